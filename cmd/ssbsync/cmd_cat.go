package main

import (
	"bufio"

	"github.com/urfave/cli/v2"

	"github.com/ssbsync/ssbsync/bundle"
)

func (p *program) catCommand() *cli.Command {
	return &cli.Command{
		Name:      "cat",
		Category:  groupCarry,
		Usage:     "print the messages of a bundle",
		ArgsUsage: "FILE|FOLDER|-…",
		Description: `Prints the messages of a bundle, one value a line, without verifying their signatures. It needs no home folder.

Example:
   ssbsync cat friends.ssb.zst | jq .content.text`,
		Action: func(c *cli.Context) error {
			if c.NArg() == 0 {
				return usageError("usage: ssbsync cat FILE|FOLDER|-…")
			}
			if err := noneEmpty(c); err != nil {
				return err
			}
			out := bufio.NewWriterSize(p.stdout, 64<<10)
			partly := false
			err := p.eachBundle(c.Args().Slice(), func(name string, r *bundle.Reader) error {
				if err := readable(r); err != nil {
					return err
				}
				report, err := r.Verify(c.Context, func(_ int, lines []byte) error {
					_, err := out.Write(lines)
					return err
				})
				for _, damage := range report.Damage {
					partly = true
					p.warn("%s: %v", pathText(name), damage)
				}
				return err
			})
			if flushErr := out.Flush(); err == nil {
				err = flushErr
			}
			if err == nil && partly {
				return errPartly
			}
			return err
		},
	}
}
