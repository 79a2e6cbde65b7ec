// Command bench measures ssbsync as its users meet it: the program as a
// process, with a data set, beside other programs where they are installed.
//
//	go run ./cmd/bench [--data FILE] [--rounds N] [--svg FILE]
//
// It prints tables in Markdown. Whatever takes messages in is compared with
// std verify-only: crypto/ed25519 over the same signatures, parsed before, on
// all cores, measured alternately with it. The median of the ratios says what
// the rest costs, whatever the machine and whatever else it does.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// options are the command line.
type options struct {
	data     string
	messages int
	feeds    int
	seed     uint64
	keep     string
	rounds   int
	svg      string
	program  string
	only     string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		interrupted := ctx.Err() != nil
		stop()
		switch {
		case errors.Is(err, flag.ErrHelp):
			os.Exit(2)
		case interrupted:
			fmt.Fprintln(os.Stderr, "bench: interrupted; nothing is left behind")
			os.Exit(130)
		}
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

// parts are what can be measured by itself. Importing is always: the rest needs
// what it leaves.
var parts = [...]string{"import", "read", "network", "others", "sizes"}

func known(names []string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(parts[:], name) })
}

func parse(args []string, help io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(help)
	flags.StringVar(&o.data, "data", "", "measure with this `FILE` of {key, value, timestamp} lines, .jsonl or .jsonl.zst (default: SSBSYNC_DATA, else the 2,000 messages in testdata)")
	flags.IntVar(&o.messages, "messages", 0, "make a data set of `N` messages and measure with it; the same on every machine")
	flags.IntVar(&o.feeds, "feeds", 1000, "of so many feeds (with --messages)")
	flags.Uint64Var(&o.seed, "seed", 1, "made from this `NUMBER` (with --messages)")
	flags.StringVar(&o.keep, "keep", "", "write the data set that was made to this `FILE` (.jsonl.zst) and end")
	flags.IntVar(&o.rounds, "rounds", 5, "how often what is compared is repeated")
	flags.StringVar(&o.svg, "svg", "", "draw the result to this `FILE`")
	flags.StringVar(&o.program, "ssbsync", "", "measure this `PROGRAM` instead of the source here")
	flags.StringVar(&o.only, "only", "", "measure only these `PARTS` of "+strings.Join(parts[:], ",")+", with commas between")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("%q is no option", flags.Arg(0))
	case o.only != "" && !known(strings.Split(o.only, ",")):
		return o, fmt.Errorf("--only %s: the parts are %s", o.only, strings.Join(parts[:], ","))
	case o.rounds < 1:
		return o, errors.New("--rounds is 1 at least")
	case o.keep != "" && o.messages == 0:
		return o, errors.New("--keep goes with --messages")
	}
	return o, nil
}

func run(ctx context.Context, args []string) (err error) {
	o, err := parse(args, os.Stderr)
	if err != nil {
		return err
	}
	top, err := findTop()
	if err != nil {
		return err
	}
	if o.keep != "" {
		return makeData(ctx, o, o.keep)
	}
	dir, err := os.MkdirTemp("", "ssbsync-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := &bench{ctx: ctx, dir: dir, top: top, options: o, program: o.program}
	if o.messages > 0 {
		b.options.data = filepath.Join(dir, "made.jsonl.zst")
		if err := makeData(ctx, o, b.options.data); err != nil {
			return err
		}
	}
	return b.measureAll(os.Stdout)
}

// findTop finds the top of the repository, from which the program is built.
func findTop() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Path}} {{.Dir}}").Output()
	if path, dir, ok := strings.Cut(strings.TrimSpace(string(out)), " "); err == nil && ok && strings.HasSuffix(path, "/ssbsync") {
		return dir, nil
	}
	return "", errors.New("this runs in a clone of ssbsync, with Go: go run ./cmd/bench")
}
