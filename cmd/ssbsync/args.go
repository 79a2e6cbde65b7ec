package main

import (
	"strings"

	"github.com/urfave/cli/v2"
)

// permute moves the flags of a command line in front of its arguments, since
// people type them behind and cli would take them for arguments. What follows
// "--" stays as it is. A flag that nobody knows is left where cli reports it.
func permute(app *cli.App, args []string) []string {
	if len(args) == 0 {
		return args
	}
	out := args[:1:1]
	known := app.Flags
	commands := app.Commands
	rest := args[1:]
	for {
		flags, words := split(known, rest, len(commands) > 0)
		out = append(out, flags...)
		if len(words) == 0 {
			return out
		}
		cmd := find(commands, words[0])
		if cmd == nil || cmd.SkipFlagParsing {
			return append(out, words...)
		}
		out = append(out, words[0])
		// The flags of the program may stand behind the command as well.
		global, local := divide(app.Flags, cmd.Flags, words[1:])
		out = append(out[:1:1], append(global, out[1:]...)...)
		known, commands, rest = cmd.Flags, cmd.Subcommands, local
	}
}

// split parts words into the flags (with their values) and the rest. With
// untilWord it stops at the first word that is no flag.
func split(known []cli.Flag, words []string, untilWord bool) (flags, rest []string) {
	for i := 0; i < len(words); i++ {
		word := words[i]
		if word == "--" {
			return flags, append(rest, words[i:]...)
		}
		if !isFlag(word) {
			if untilWord {
				return flags, append(rest, words[i:]...)
			}
			rest = append(rest, word)
			continue
		}
		flags = append(flags, word)
		if takesValue(known, word) && i+1 < len(words) {
			i++
			flags = append(flags, words[i])
		}
	}
	return flags, rest
}

// divide takes the program's own flags out of the words behind a command.
func divide(global, local []cli.Flag, words []string) (flags, rest []string) {
	for i := 0; i < len(words); i++ {
		word := words[i]
		if word == "--" {
			return flags, append(rest, words[i:]...)
		}
		into := &rest
		if isFlag(word) && lookup(local, word) == nil && lookup(global, word) != nil && word != "--help" && word != "-h" {
			into = &flags
		}
		*into = append(*into, word)
		if isFlag(word) && (takesValue(local, word) || takesValue(global, word)) && i+1 < len(words) {
			i++
			*into = append(*into, words[i])
		}
	}
	return flags, rest
}

func isFlag(word string) bool { return len(word) > 1 && word[0] == '-' }

// stray refuses flags of the program among the words of a command that takes any
// word as its own: it would publish them, or work with another home folder
// than the one that was named.
func stray(c *cli.Context, otherwise string) error {
	for _, word := range c.Args().Slice() {
		if !isFlag(word) || lookup(c.App.Flags, word) == nil {
			continue
		}
		name, _, _ := strings.Cut(word, "=")
		err := usageError("%s must stand before the command: ssbsync %s … %s", name, name, c.Command.Name)
		return withHint(err, "%s", otherwise)
	}
	return nil
}

// lookup finds the flag that word sets, or nil.
func lookup(flags []cli.Flag, word string) cli.Flag {
	name, _, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
	for _, flag := range flags {
		for _, candidate := range flag.Names() {
			if candidate == name {
				return flag
			}
		}
	}
	return nil
}

// takesValue reports whether the word after the flag is its value.
func takesValue(flags []cli.Flag, word string) bool {
	if strings.Contains(word, "=") {
		return false
	}
	doc, ok := lookup(flags, word).(cli.DocGenerationFlag)
	return ok && doc.TakesValue()
}

func find(commands []*cli.Command, name string) *cli.Command {
	for _, cmd := range commands {
		if cmd.HasName(name) {
			return cmd
		}
	}
	return nil
}
