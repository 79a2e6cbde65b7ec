package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/sync/node"
)

func (p *program) compactCommand() *cli.Command {
	return &cli.Command{
		Name:     "compact",
		Category: groupNode,
		Usage:    "give space that the store no longer needs back to the disk",
		Description: `Copies what the store holds into a new file, compares it with the old one, and puts it in its place. Until then the old
one is untouched: this can be interrupted at any time. Nothing is removed but empty space. It needs as much free space as
the store takes. A running server goes on; messages that arrive meanwhile wait until it is done.

Example:
   ssbsync compact`,
		Action: func(c *cli.Context) error {
			if err := exactly(c, 0, "compact"); err != nil {
				return err
			}
			var report *node.CompactReport
			err := p.with(func(conn *client) error {
				stream, err := conn.Source(c.Context, "ssbsync.compact")
				if err != nil {
					return err
				}
				bar := p.newProgress()
				defer bar.end()
				return receive(c.Context, stream, func(item muxrpc.Item) error {
					var now node.CompactItem
					if err := item.Unmarshal(&now); err != nil {
						return fmt.Errorf("reading the node's progress: %v", err)
					}
					if now.Progress != nil {
						bar.update(*now.Progress)
					}
					if now.Report != nil {
						report = now.Report
					}
					return nil
				})
			})
			if err != nil {
				return err
			}
			return p.printCompacted(report)
		},
	}
}

func (p *program) printCompacted(r *node.CompactReport) error {
	switch {
	case r == nil:
		return errNoReport
	case p.json:
		return p.printLine(r)
	case r.Saved == 0:
		fmt.Fprintf(p.stdout, "nothing to save: the store takes %s\n", bytesText(r.After))
		return nil
	}
	fmt.Fprintf(p.stdout, "saved %s: the store takes %s now, and took %s\n", bytesText(r.Saved), bytesText(r.After), bytesText(r.Before))
	return nil
}
