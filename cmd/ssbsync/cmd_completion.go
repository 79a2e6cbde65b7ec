package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

// The scripts ask the program itself, by --generate-bash-completion, for the
// words that may come next.
const bashCompletion = `_ssbsync() {
  local word=${COMP_WORDS[COMP_CWORD]} words
  COMPREPLY=()
  if [ "$word" = "-" ] || [ "${word#--}" != "$word" ]; then
    words=$("${COMP_WORDS[@]:0:COMP_CWORD}" "$word" --generate-bash-completion 2>/dev/null)
  else
    words=$("${COMP_WORDS[@]:0:COMP_CWORD}" --generate-bash-completion 2>/dev/null)
  fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o bashdefault -o default -F _ssbsync ssbsync
`

const zshCompletion = `#compdef ssbsync
_ssbsync() {
  local -a words
  words=("${(@f)$(_CLI_ZSH_AUTOCOMPLETE_HACK=1 ${words[1,CURRENT-1]} --generate-bash-completion 2>/dev/null)}")
  if [ -n "$words" ]; then _describe 'ssbsync' words; else _files; fi
}
compdef _ssbsync ssbsync
`

func (p *program) completionCommand() *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Category:  groupNode,
		Usage:     "print a completion script for your shell",
		ArgsUsage: "bash|zsh|fish",
		Description: `Prints a script that completes ssbsync's commands and flags.

Examples:
   ssbsync completion bash > ~/.local/share/bash-completion/completions/ssbsync
   ssbsync completion fish > ~/.config/fish/completions/ssbsync.fish`,
		Action: func(c *cli.Context) error {
			if err := exactly(c, 1, "completion bash|zsh|fish"); err != nil {
				return err
			}
			script, err := completionScript(c)
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(p.stdout, script)
			return err
		},
	}
}

func completionScript(c *cli.Context) (string, error) {
	switch shell := strings.ToLower(c.Args().First()); shell {
	case "bash":
		return bashCompletion, nil
	case "zsh":
		return zshCompletion, nil
	case "fish":
		return c.App.ToFishCompletion()
	default:
		return "", usageError("no completion for %q: bash, zsh or fish", shell)
	}
}
