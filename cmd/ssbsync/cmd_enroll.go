package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/sync/node"
)

func (p *program) enrollCommand() *cli.Command {
	return &cli.Command{
		Name:      "enroll",
		Category:  groupCarry,
		Usage:     "make a stick or folder one that is synced by itself",
		ArgsUsage: "PATH",
		Description: `Writes the marker of a stick, unless there is one, and remembers the stick: "ssbsync server" and "ssbsync watch" visit it
from now on whenever it is plugged in. A plain folder (of a program that keeps folders in sync, or of a file server) is
watched from now on. Files that lie there are left alone.

With --check-capacity all free space is filled and read back first, which finds sticks that claim more than they hold.
It takes as long as writing a full stick does. A stick that lies may lose what lies on it.

Examples:
   ssbsync enroll /media/me/STICK --label "village hall"
   ssbsync enroll ~/Sync/ssb`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "label", Usage: "call a new stick `NAME`: at most 64 bytes"},
			&cli.BoolFlag{Name: "check-capacity", Usage: "fill it and read it back first"},
		},
		Action: func(c *cli.Context) error {
			if err := exactly(c, 1, "enroll PATH"); err != nil {
				return err
			}
			if err := noneEmpty(c); err != nil {
				return err
			}
			path, err := filepath.Abs(c.Args().First())
			if err != nil {
				return err
			}
			if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) { // a server may see less, not more
				return withHint(fmt.Errorf("%s: no such folder", pathText(path)), "is the stick mounted? to use a new folder: mkdir -p %s", pathText(path))
			}
			return p.enroll(c.Context, node.EnrollOptions{Path: path, Label: c.String("label"), CheckCapacity: c.Bool("check-capacity")})
		},
	}
}

// enroll enrolls a stick and prints what came of it.
func (p *program) enroll(ctx context.Context, o node.EnrollOptions) error {
	var last node.EnrollItem
	var capacity *node.Capacity
	err := p.with(func(c *client) error {
		stream, err := c.Source(ctx, "ssbsync.stick.enroll", o)
		if err != nil {
			return err
		}
		bar := p.newProgress()
		defer bar.end()
		return receive(ctx, stream, func(item muxrpc.Item) error {
			last = node.EnrollItem{}
			if err := item.Unmarshal(&last); err != nil {
				return fmt.Errorf("reading the node's progress: %v", err)
			}
			if last.Progress != nil {
				bar.update(capacityProgress(last.Progress))
			}
			if last.Capacity != nil {
				capacity = last.Capacity
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	return p.printEnrolled(o, last, capacity)
}

func (p *program) printEnrolled(o node.EnrollOptions, last node.EnrollItem, capacity *node.Capacity) error {
	last.Capacity, last.Progress = capacity, nil
	if p.json {
		if err := p.printLine(last); err != nil {
			return err
		}
	} else if capacity != nil {
		p.printCapacity(capacity)
	}
	if capacity != nil && !capacity.OK {
		return withHint(fmt.Errorf("%s does not hold what it claims: not enrolled", o.Path), "take another stick; what lies on this one may be lost")
	}
	s := last.Stick
	if s == nil {
		return errNoReport
	}
	if !p.json {
		fmt.Fprintf(p.stdout, "enrolled %s (stick %s)\n", nameOf(s.Label, s.Path), s.Stick)
	}
	if o.Label != "" && s.Label != o.Label {
		p.warn("the stick keeps the label it has: %q", s.Label)
	}
	if p.quiet || p.json {
		return nil
	}
	if !last.Visits {
		p.hint("ssbsync sync %s, or let ssbsync server or ssbsync watch do that by itself", pathText(s.Path))
	}
	if last.Alone {
		p.hint("%s", `you follow nobody yet, so only your own feed is carried: ssbsync follow FEED, or set "replicate": "all" in the config to carry everything`)
	}
	return nil
}

// nameOf is what to call a stick: its label, or where it is.
func nameOf(label, path string) string {
	if label != "" {
		return label
	}
	return pathText(path)
}

func (p *program) printCapacity(c *node.Capacity) {
	fmt.Fprintf(p.stdout, "capacity: %s of %s written at %s/s, %s read back as written", bytesText(c.Written), bytesText(c.Size), bytesText(c.WriteRate), bytesText(c.Good))
	for _, wrong := range []struct {
		n    int64
		what string
	}{{c.Zero, "as zeros"}, {c.Elsewhere, "as what belongs elsewhere"}, {c.Damaged, "damaged"}, {c.Unreadable, "not at all"}} {
		if wrong.n > 0 {
			fmt.Fprintf(p.stdout, ", %s %s", bytesText(wrong.n), wrong.what)
		}
	}
	fmt.Fprintln(p.stdout)
	if c.Error != "" {
		p.warn("the test ended early: %s", c.Error)
	}
	if c.OK && !c.Verified {
		p.warn("this proves little: the system cannot be told to forget what it wrote")
	}
}
