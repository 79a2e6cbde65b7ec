package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/sync/node"
	"github.com/ssbsync/ssbsync/sync/stick"
)

func (p *program) stickCommand() *cli.Command {
	return &cli.Command{
		Name:     "stick",
		Category: groupCarry,
		Usage:    "list sticks, look at one, forget one",
		Description: `A stick is a medium or folder that carries messages. The first "ssbsync export" makes one, and "ssbsync enroll" has it
synced by itself.

Examples:
   ssbsync stick list
   ssbsync stick show /media/me/STICK`,
		Subcommands: []*cli.Command{
			p.stickListCommand(),
			p.stickShowCommand(),
			p.stickForgetCommand(),
		},
	}
}

func (p *program) stickListCommand() *cli.Command {
	return &cli.Command{
		Name:  "list",
		Usage: "list the sticks that are enrolled or plugged in",
		Description: `Prints for each stick its label, its id, whether it is synced by itself, and where it is.

Example:
   ssbsync stick list`,
		Action: func(c *cli.Context) error {
			if err := exactly(c, 0, "stick list"); err != nil {
				return err
			}
			return p.with(func(nd *client) error {
				stream, err := nd.Source(c.Context, "ssbsync.stick.list")
				if err != nil {
					return err
				}
				return receive(c.Context, stream, p.printStick)
			})
		},
	}
}

func (p *program) printStick(item muxrpc.Item) error {
	if p.json {
		return p.printJSON(item.JSON())
	}
	var s node.StickInfo
	if err := item.Unmarshal(&s); err != nil {
		return fmt.Errorf("reading a stick: %v", err)
	}
	place := "not here"
	if s.Folder != "" {
		place = "not here: " + pathText(s.Folder)
	}
	if s.Path != "" {
		place = "at " + pathText(s.Path)
	}
	known := "left alone"
	if s.Enrolled {
		known = "enrolled"
	}
	if s.Visited != 0 {
		known += ", last visited " + time.UnixMilli(s.Visited).Format(time.DateTime)
	}
	_, err := fmt.Fprintf(p.stdout, "%s\n    stick %s\n    %s\n    %s\n", nameOf(s.Label, s.Path), s.Stick, place, known)
	return err
}

func (p *program) stickShowCommand() *cli.Command {
	return &cli.Command{
		Name:      "show",
		Usage:     "say what lies on a stick and who visited it",
		ArgsUsage: "PATH",
		Description: `Prints what lies on a stick, the nodes that left word there, and what they lack of it. With --dry-run it says also what a
visit would take and write. Nothing on the stick is changed.

Examples:
   ssbsync stick show /media/me/STICK
   ssbsync stick show /media/me/STICK --dry-run`,
		Flags: []cli.Flag{&cli.BoolFlag{Name: "dry-run", Usage: "say what a visit would take and write"}},
		Action: func(c *cli.Context) error {
			if err := exactly(c, 1, "stick show PATH"); err != nil {
				return err
			}
			if err := noneEmpty(c); err != nil {
				return err
			}
			path, err := filepath.Abs(c.Args().First())
			if err != nil {
				return err
			}
			return p.showStick(c.Context, node.ShowOptions{Path: path, DryRun: c.Bool("dry-run")})
		},
	}
}

func (p *program) showStick(ctx context.Context, o node.ShowOptions) error {
	var found *node.StickDetails
	err := p.with(func(c *client) error {
		stream, err := c.Source(ctx, "ssbsync.stick.show", o)
		if err != nil {
			return err
		}
		bar := p.newProgress()
		defer bar.end()
		return receive(ctx, stream, func(item muxrpc.Item) error {
			var message node.ShowItem
			if err := item.Unmarshal(&message); err != nil {
				return fmt.Errorf("reading the node's progress: %v", err)
			}
			if message.Progress != nil {
				bar.update(*message.Progress)
			}
			found = message.Stick
			return nil
		})
	})
	if err != nil {
		return err
	}
	if found == nil {
		return errNoReport
	}
	if p.json {
		return p.printLine(found)
	}
	p.printDetails(found)
	return nil
}

func (p *program) printDetails(s *node.StickDetails) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(p.stdout, "%-9s "+format+"\n", append([]any{name}, args...)...)
	}
	line("stick", "%s", s.Stick)
	if s.Label != "" {
		line("label", "%s", s.Label)
	}
	known := "no: ssbsync enroll " + pathText(s.Path)
	if s.Enrolled {
		known = "yes"
	}
	line("enrolled", "%s", known)
	line("holds", "%s of %s in %s, %s", plural(s.Messages, "message"), plural(s.Feeds, "feed"), plural(s.Bundles, "bundle"), bytesText(s.Bytes))
	line("free", "%s of %s", bytesText(s.Free), bytesText(s.Total))
	for i := range s.Visitors {
		p.printVisitor(&s.Visitors[i])
	}
	p.explain(&stick.Report{Losses: s.Losses, Skipped: s.Skipped, Warnings: s.Warnings})
	if s.Visit != nil {
		fmt.Fprintln(p.stdout, summary("imported", &s.Visit.Import))
		p.explain(&s.Visit.Import)
		fmt.Fprintln(p.stdout, summary("exported", &s.Visit.Export))
		p.explain(&s.Visit.Export)
	}
}

// printVisitor prints what a node said when it was here last.
func (p *program) printVisitor(v *stick.Visitor) {
	who := v.Identity.String()
	switch {
	case v.Own:
		who += " (this node)"
	case !v.Trusted:
		who += " (a stranger)"
	}
	wants := plural(int64(v.Wants), "feed")
	if v.WantsAll {
		wants = "every feed"
	}
	fmt.Fprintf(p.stdout, "visit %-3d %s\n          held %s of %s, wants %s, lacks %s of what lies here\n",
		v.Visit, who, plural(v.Messages, "message"), plural(int64(v.Feeds), "feed"), wants, grouped(v.Lacking))
	if v.Damaged > 0 {
		fmt.Fprintf(p.stdout, "          found %s damaged\n", plural(int64(v.Damaged), "bundle"))
	}
}

func (p *program) stickForgetCommand() *cli.Command {
	return &cli.Command{
		Name:      "forget",
		Usage:     "no longer sync a stick by itself",
		ArgsUsage: "STICK",
		Description: `Ends that a stick, named by its id, is synced by itself. Nothing on it is changed.

Example:
   ssbsync stick forget 0102030405060708090a0b0c0d0e0f10`,
		Action: func(c *cli.Context) error {
			if err := exactly(c, 1, "stick forget STICK"); err != nil {
				return err
			}
			id, err := stick.ParseID(c.Args().First())
			if err != nil {
				return &codedError{code: exitUsage, err: err, hint: "ssbsync stick list prints the ids"}
			}
			answer, err := p.async(c.Context, "ssbsync.stick.forget", id)
			if err != nil {
				return err
			}
			var known bool
			if err := json.Unmarshal(answer, &known); err != nil {
				return fmt.Errorf("reading the answer: %v", err)
			}
			if !known {
				return fmt.Errorf("stick %s is not enrolled", id)
			}
			p.notice("stick %s is left alone from now on", id)
			return nil
		},
	}
}
