package main

import (
	"encoding/json"
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
		Usage:    "examine the store for damage",
		Description: `Reads the whole store: the pages of the database, every message, every feed's chain and every index. With
--signatures every message is verified anew.

Example:
   ssbsync check --signatures`,
		Flags: []cli.Flag{&cli.BoolFlag{Name: "signatures", Usage: "verify every signature again"}},
		Action: func(c *cli.Context) error {
			if err := exactly(c, 0, "check [--signatures]"); err != nil {
				return err
			}
			return p.with(func(conn *client) error {
				stream, err := conn.Source(c.Context, "ssbsync.check", node.CheckOptions{Signatures: c.Bool("signatures")})
				if err != nil {
					return err
				}
				return receive(c.Context, stream, p.printCheck)
			})
		},
	}
}

// printCheck prints the report of a check; damage is an error.
func (p *program) printCheck(item muxrpc.Item) error {
	if p.json {
		if err := p.printJSON(item.JSON()); err != nil {
			return err
		}
	}
	var report node.CheckReport
	if err := json.Unmarshal(item.JSON(), &report); err != nil {
		return fmt.Errorf("reading the report: %v", err)
	}
	for _, problem := range report.Problems {
		p.warn("%s", problem)
	}
	if report.Found > 0 {
		return withHint(errors.New(plural(report.Found, "problem")+" in the store"), "move the store away and import the messages again from sticks and peers")
	}
	if p.json {
		return nil
	}
	_, err := fmt.Fprintf(p.stdout, "ok: %s of %s, %s\n", plural(report.Messages, "message"), plural(report.Feeds, "feed"), bytesText(report.Size))
	return err
}
