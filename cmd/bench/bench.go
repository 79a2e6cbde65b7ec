package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// bench is one run of this program.
type bench struct {
	ctx     context.Context
	dir     string // for everything that is made; removed at the end
	top     string // of the repository
	program string // ssbsync
	options options
	set     *dataSet
	codecs  []string // of bundles, "" for one without a name

	rows     []row
	sizes    []size
	programs []string // that were measured beside ssbsync
	verified usage    // std verify-only, the median of all its rounds
	every    []usage  // of these rounds
}

// say tells what is going on.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...)
}

// wants tells whether a part is to be measured.
func (b *bench) wants(part string) bool {
	return b.options.only == "" || slices.Contains(strings.Split(b.options.only, ","), part)
}

func (b *bench) path(name ...string) string {
	return filepath.Join(append([]string{b.dir}, name...)...)
}

// measureAll measures everything and prints it.
func (b *bench) measureAll(out io.Writer) error {
	if err := b.prepare(); err != nil {
		return err
	}
	parts := []struct {
		name string
		do   func() error
	}{
		{"import", b.imports},
		{"read", b.reads},
		{"network", b.network},
		{"others", b.others},
		{"sizes", b.compressors},
	}
	for _, part := range parts {
		if part.name == "import" || b.wants(part.name) { // the rest needs what it leaves
			if err := part.do(); err != nil {
				return err
			}
		}
	}
	b.verified = middle(b.every)
	b.print(out)
	if b.options.svg == "" {
		return nil
	}
	return b.draw(b.options.svg)
}

// prepare builds the program and reads the data set.
func (b *bench) prepare() error {
	if b.program == "" {
		b.program = b.path("ssbsync" + exeSuffix())
		b.say("building ssbsync")
		if err := b.build(); err != nil {
			return err
		}
	}
	path, err := filepath.Abs(findData(b.options.data, b.top))
	if err != nil {
		return err
	}
	b.say("reading %s", path)
	lines, err := b.fileFor("others", "lines.jsonl")
	if err != nil {
		return err
	}
	values, err := b.fileFor("sizes", "values.jsonl")
	if err != nil {
		return errors.Join(err, lines.Close())
	}
	b.set, err = readData(b.ctx, path, lines, values)
	if err = errors.Join(err, lines.Close(), values.Close()); err != nil {
		return err
	}
	b.codecs, err = b.findCodecs()
	return err
}

// fileFor makes a file that a part needs, or takes what is written nowhere.
func (b *bench) fileFor(part, name string) (io.WriteCloser, error) {
	if !b.wants(part) {
		return nowhere{io.Discard}, nil
	}
	return os.Create(b.path(name))
}

type nowhere struct{ io.Writer }

func (nowhere) Close() error { return nil }

// build builds the program from the source here, with the caches of the user.
func (b *bench) build() error {
	cmd := exec.CommandContext(b.ctx, "go", "build", "-o", b.program, "./cmd/ssbsync")
	cmd.Dir, cmd.Stderr = b.top, os.Stderr
	cmd.Cancel, cmd.WaitDelay = func() error { return interrupt(cmd.Process) }, 10*time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("building ssbsync: %w", err)
	}
	return nil
}

func exeSuffix() string {
	if runtime.GOOS == "windows" {
		return ".exe"
	}
	return ""
}

// measure is what a path took, the median of its rounds.
type measure struct {
	usage
	messages int64   // what it handled; 0: its time counts, not its rate
	bytes    int64   // if not 0, its size counts and nothing else
	ofWall   float64 // std verify-only's time in ratio to its; 0: not compared
	ofCPU    float64
}

// row is a line of the table: the same work by several programs.
type row struct {
	name   string
	ours   measure
	others map[string]measure
}

// compare repeats work alternately with std verify-only. A round is compared
// with the mean of what std verify-only took before and after it: the speed of
// many machines drifts.
func (b *bench) compare(work func(round int) (usage, error)) (measure, error) {
	var all []usage
	var wall, cpu []float64
	before, err := b.verifyOnly()
	if err != nil {
		return measure{}, err
	}
	for round := range b.options.rounds {
		u, err := work(round)
		if err != nil {
			return measure{}, err
		}
		after, err := b.verifyOnly()
		if err != nil {
			return measure{}, err
		}
		all = append(all, u)
		wall = append(wall, ratio((before.wall+after.wall)/2, u.wall))
		cpu = append(cpu, ratio((before.cpu+after.cpu)/2, u.cpu))
		before = after
	}
	return measure{usage: middle(all), messages: b.set.messages, ofWall: median(wall), ofCPU: median(cpu)}, nil
}

func (b *bench) verifyOnly() (usage, error) {
	u, err := b.set.verify(b.ctx)
	b.every = append(b.every, u)
	return u, err
}

// repeat repeats work that is not compared.
func repeat(rounds int, work func() (usage, error)) (usage, error) {
	var all []usage
	for range rounds {
		u, err := work()
		if err != nil {
			return usage{}, err
		}
		all = append(all, u)
	}
	return middle(all), nil
}

// middle is the median of times and the highest of memory.
func middle(all []usage) usage {
	var wall, cpu []time.Duration
	var m usage
	for _, u := range all {
		wall, cpu, m.anon = append(wall, u.wall), append(cpu, u.cpu), max(m.anon, u.anon)
	}
	m.wall, m.cpu = median(wall), median(cpu)
	return m
}

func median[T time.Duration | float64](values []T) T {
	slices.Sort(values)
	return values[len(values)/2]
}

func ratio(a, b time.Duration) float64 {
	if a <= 0 || b <= 0 {
		return 0
	}
	return a.Seconds() / b.Seconds()
}
