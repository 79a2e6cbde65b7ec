package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ssbsync/ssbsync/sync/node"
	"github.com/ssbsync/ssbsync/sync/stick"
)

func (p *program) syncCommand() *cli.Command {
	return &cli.Command{
		Name:      "sync",
		Category:  groupCarry,
		Usage:     "import from a stick, then export to it",
		ArgsUsage: "STICK",
		Description: `Visits a stick: takes the feeds you replicate (your own, those within friends.hops and those you carry), writes
what others who use the stick lack, and leaves a note of what this node has and wants.

Example:
   ssbsync sync /media/me/STICK`,
		Flags: append(selectionFlags(),
			&cli.StringFlag{Name: "max-size", Usage: "write at most `SIZE`, such as 500M"},
			codecFlag(),
			&cli.BoolFlag{Name: "check", Usage: "read again what lies there, to write again what is damaged"},
			&cli.BoolFlag{Name: "dry-run", Usage: "say what would be taken and written, and do neither"},
		),
		Action: func(c *cli.Context) error {
			if err := exactly(c, 1, "sync STICK"); err != nil {
				return err
			}
			if err := noneEmpty(c); err != nil {
				return err
			}
			options, err := exportSelection(c)
			if err != nil {
				return err
			}
			return p.visit(c.Context, c.Args().First(), options)
		},
	}
}

// visit syncs with a stick and prints the report.
func (p *program) visit(ctx context.Context, path string, o node.Carriage) error {
	var report *stick.VisitReport
	err := p.with(func(c *client) error {
		item, err := p.atFolder(ctx, c, "ssbsync.sync", path, o)
		if item != nil {
			report = item.Visit
		}
		return err
	})
	if err != nil {
		if report != nil { // the import was done by then
			p.notice("%s", summary("imported", &report.Import))
		}
		if noStick(err) {
			return withHint(err, "to use a new stick: ssbsync export %s", pathText(path))
		}
		return err
	}
	if err := p.printVisit(report); err != nil {
		return err
	}
	if report.Partly() || report.Export.Left > 0 && o.MaxSize == 0 {
		return errPartly
	}
	return nil
}

// noStick reports whether a folder has no marker of a stick: the node tells that
// in words only.
func noStick(err error) bool { return strings.HasSuffix(err.Error(), stick.ErrNoMarker.Error()) }

func (p *program) printVisit(report *stick.VisitReport) error {
	if p.json {
		return p.printLine(report)
	}
	fmt.Fprintln(p.stdout, summary("imported", &report.Import))
	p.explain(&report.Import)
	fmt.Fprintln(p.stdout, summary("exported", &report.Export))
	p.explain(&report.Export)
	if report.ReadOnly {
		p.warn("the stick takes no writes: what was imported is safe, but nobody learns of it there")
		return nil
	}
	p.safeToRemove(&report.Export)
	return nil
}

// safeToRemove says that all that was written is on the medium, if that is
// known.
func (p *program) safeToRemove(report *stick.Report) {
	if !report.Unverified {
		fmt.Fprintln(p.stdout, "safe to remove")
	}
}
