package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// program is one run of the command line: its streams and global flags.
type program struct {
	stdin  io.Reader
	stdout *output
	stderr io.Writer

	path  string // --path
	json  bool   // --json
	quiet bool   // --quiet
}

// run runs the command line and returns the exit code. It is the only place
// that maps errors to codes and prints them.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := &program{stdin: stdin, stdout: &output{Writer: stdout}, stderr: stderr}
	app := p.app()
	err := p.stdout.orElse(ownError(app.RunContext(ctx, permute(app, args))))
	if err != nil && err != error(errPartly) {
		reportError(stderr, err)
	}
	return exitCode(err)
}

// ownError turns an error of cli, which has an exit code of its own choice, into
// ours: it knows no help about a word.
func ownError(err error) error {
	var theirs cli.ExitCoder
	if !errors.As(err, &theirs) {
		return err
	}
	text, hint, _ := strings.Cut(theirs.Error(), ". ")
	if !strings.Contains(hint, "mean") || strings.Contains(hint, `""`) {
		hint = "ssbsync --help"
	}
	return &codedError{code: exitUsage, err: errors.New(strings.ToLower(text[:1]) + text[1:]), hint: hint}
}

func (p *program) app() *cli.App {
	app := &cli.App{
		Name:      "ssbsync",
		Usage:     "Secure Scuttlebutt, over networks and on USB sticks",
		UsageText: "ssbsync [--path DIR] [--json] [--quiet] COMMAND [ARGUMENT…]",
		Version:   version(),
		Reader:    p.stdin,
		Writer:    p.stdout,
		ErrWriter: p.stderr,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "path", Usage: "home `FOLDER` with secret, config and store (default: $ssb_path, ~/.$ssb_appname, ~/.ssb)", Destination: &p.path},
			&cli.BoolFlag{Name: "json", Usage: "one compact JSON object a line", Destination: &p.json},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "no progress, no notices", Destination: &p.quiet},
		},
		EnableBashCompletion:      true,
		Suggest:                   true,
		UseShortOptionHandling:    false,
		DisableSliceFlagSeparator: true,
		ExitErrHandler:            func(*cli.Context, error) {}, // cli would exit by itself
		OnUsageError:              onUsageError,
		Before:                    noEmptyHome,
		Action:                    noCommand,
		Commands:                  p.commands(),
	}
	for _, flag := range app.Flags {
		hideDefault(flag)
	}
	for _, cmd := range app.Commands {
		prepare(cmd)
	}
	return app
}

// noEmptyHome refuses --path "", which a script says where a variable is not
// set: it would work in the home folder of the user instead.
func noEmptyHome(c *cli.Context) error {
	if c.IsSet("path") && c.String("path") == "" {
		return usageError("--path is empty")
	}
	return nil
}

// prepare gives a command the manners that all share.
func prepare(cmd *cli.Command) {
	cmd.OnUsageError = onUsageError
	cmd.HideHelpCommand = true
	for _, flag := range cmd.Flags {
		hideDefault(flag)
	}
	for _, sub := range cmd.Subcommands {
		prepare(sub)
	}
	if len(cmd.Subcommands) > 0 && cmd.Action == nil {
		cmd.Action = noCommand
	}
}

// hideDefault keeps "(default: false)" and its like, which tell nobody
// anything, out of the help.
func hideDefault(flag cli.Flag) {
	if f, ok := flag.(*cli.BoolFlag); ok {
		f.DisableDefaultText = true
	}
}

func onUsageError(c *cli.Context, err error, _ bool) error {
	name := "ssbsync"
	if c.Command != nil && c.Command.Name != "" && c.Command.Name != "ssbsync" {
		name += " " + c.Command.Name
	}
	return &codedError{code: exitUsage, err: fmt.Errorf("%v", err), hint: name + " --help"}
}

// noCommand answers a command line that names no command we know.
func noCommand(c *cli.Context) error {
	if !c.Args().Present() {
		return cli.ShowSubcommandHelp(c)
	}
	name := c.Args().First()
	err := &codedError{code: exitUsage, err: fmt.Errorf("unknown command %q", name), hint: "ssbsync --help"}
	commands := c.App.Commands
	if len(c.Command.Subcommands) > 0 {
		commands = c.Command.Subcommands
	}
	if best := closest(name, commands); best != "" {
		err.hint = best
	}
	return err
}

// closest asks whether the command was meant that name resembles, or returns
// "".
func closest(name string, commands []*cli.Command) string {
	for _, cmd := range commands {
		if len(name) > 1 && !cmd.Hidden && (strings.HasPrefix(cmd.Name, name) || strings.HasPrefix(name, cmd.Name)) {
			return fmt.Sprintf("did you mean %q?", cmd.Name)
		}
	}
	return cli.SuggestCommand(commands, name)
}

// notice prints a line for the user beside the data, unless --quiet.
func (p *program) notice(format string, args ...any) {
	if !p.quiet {
		tell(p.stderr, "ssbsync", format, args...)
	}
}

// warn prints a warning.
func (p *program) warn(format string, args ...any) {
	tell(p.stderr, "warning", format, args...)
}

// hint prints what the user can do next.
func (p *program) hint(format string, args ...any) {
	tell(p.stderr, "hint", format, args...)
}

// home returns the home folder of this run.
func (p *program) home() (string, error) { return homeFolder(p.path, os.Getenv) }

// exactly checks the number of a command's arguments.
func exactly(c *cli.Context, n int, usage string) error {
	if c.NArg() != n {
		return usageError("usage: ssbsync %s", usage)
	}
	return nil
}

// noneEmpty refuses empty names of files and folders, which a script has where a
// variable is not set: as a folder they would be the one it runs in.
func noneEmpty(c *cli.Context) error {
	if slices.Contains(c.Args().Slice(), "") {
		return usageError("the name of a file or folder is empty")
	}
	return nil
}
