package main

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/sync/node"
)

func (p *program) checkCommand() *cli.Command {
	return &cli.Command{
		Name:     "check",
		Category: groupNode,
		Usage:    "examine the store and the blobs for damage",
		Description: `Reads the whole store: the pages of the database, every message, every feed's chain and every index; and every blob.
With --signatures every message is verified anew.

Blobs whose files are damaged are named. With --repair they are moved to the folder blobs/damaged in the home folder, and
peers and sticks are asked for them again.

Example:
   ssbsync check --signatures`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "signatures", Usage: "verify every signature again"},
			&cli.BoolFlag{Name: "no-blobs", Usage: "leave the blobs out"},
			&cli.BoolFlag{Name: "repair", Usage: "move damaged blobs away and ask for them again"},
		},
		Action: func(c *cli.Context) error {
			if err := exactly(c, 0, "check [--signatures]"); err != nil {
				return err
			}
			o := node.CheckOptions{Signatures: c.Bool("signatures"), Blobs: !c.Bool("no-blobs"), Repair: c.Bool("repair")}
			if o.Repair && !o.Blobs {
				return usageError("--repair is for blobs: leave --no-blobs out")
			}
			return p.with(func(conn *client) error {
				stream, err := conn.Source(c.Context, "ssbsync.check", o)
				if err != nil {
					return err
				}
				bar := p.newProgress()
				defer bar.end()
				return receive(c.Context, stream, func(item muxrpc.Item) error { return p.takeCheck(item, bar) })
			})
		},
	}
}

// takeCheck takes an item of a check: progress, or the report.
func (p *program) takeCheck(item muxrpc.Item, bar *progress) error {
	var message node.CarriageItem
	if item.Unmarshal(&message) == nil && message.Progress != nil {
		bar.update(*message.Progress)
		return nil
	}
	bar.end()
	return p.printCheck(item)
}

// printCheck prints the report of a check; damage is an error.
func (p *program) printCheck(item muxrpc.Item) error {
	if p.json {
		if err := p.printJSON(item.JSON()); err != nil {
			return err
		}
	}
	var report node.CheckReport
	if err := item.Unmarshal(&report); err != nil {
		return fmt.Errorf("reading the report: %v", err)
	}
	for _, problem := range report.Problems {
		p.warn("%s", problem)
	}
	blobs := p.warnBadBlobs(report.Blobs)
	if report.Found > 0 {
		return withHint(errors.New(plural(report.Found, "problem")+" in the store"), "move the store away and import the messages again from sticks and peers")
	}
	if blobs != nil || p.json {
		return blobs
	}
	text := fmt.Sprintf("ok: %s of %s, %s", plural(report.Messages, "message"), plural(report.Feeds, "feed"), bytesText(report.Size))
	if b := report.Blobs; b != nil && b.Blobs > 0 {
		text += fmt.Sprintf("; %s, %s", plural(b.Blobs, "blob"), bytesText(b.Bytes))
	}
	_, err := fmt.Fprintln(p.stdout, text)
	return err
}

// warnBadBlobs names the blobs that are damaged. The error says that some are
// still where they were.
func (p *program) warnBadBlobs(check *node.BlobCheck) error {
	if check == nil {
		return nil
	}
	for _, bad := range check.Bad {
		what := ""
		if bad.Own {
			what = " (added here)"
		}
		switch {
		case bad.Wanted:
			what += "; moved to blobs/damaged, asked for again"
		case bad.Aside:
			what += "; moved to blobs/damaged"
		}
		p.warn("blob %s is damaged: %s%s", bad.ID, bad.Reason, what)
	}
	if more := check.Found - int64(len(check.Bad)); more > 0 {
		p.warn("and %s more", plural(more, "damaged blob"))
	}
	if check.Left == 0 {
		return nil
	}
	return withHint(errors.New(plural(check.Left, "damaged blob")), "ssbsync check --repair moves them away and asks peers and sticks for them again")
}
