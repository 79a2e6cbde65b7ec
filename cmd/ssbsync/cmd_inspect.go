package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/ssbsync/ssbsync/bundle"
)

func (p *program) inspectCommand() *cli.Command {
	return &cli.Command{
		Name:      "inspect",
		Category:  groupCarry,
		Usage:     "say what is in a bundle",
		ArgsUsage: "FILE|FOLDER|-…",
		Description: `Prints who exported a bundle and which messages of which feeds it holds, as its signed manifest says. Nothing is
decompressed. It needs no home folder.

Example:
   ssbsync inspect /media/me/STICK`,
		Flags: []cli.Flag{&cli.BoolFlag{Name: "ranges", Usage: "list every feed and its sequences"}},
		Action: func(c *cli.Context) error {
			if c.NArg() == 0 {
				return usageError("usage: ssbsync inspect FILE|FOLDER|-…")
			}
			if err := noneEmpty(c); err != nil {
				return err
			}
			return p.eachBundle(c.Args().Slice(), func(name string, r *bundle.Reader) error {
				return p.inspect(name, r, c.Bool("ranges"))
			})
		},
	}
}

func (p *program) inspect(name string, r *bundle.Reader, ranges bool) error {
	info := r.Inspect()
	if p.json {
		return p.printLine(info)
	}
	fmt.Fprintf(p.stdout, "%s\n", pathText(name))
	fmt.Fprintf(p.stdout, "  exporter  %s\n", info.Exporter)
	fmt.Fprintf(p.stdout, "  network   %s\n", info.Network)
	fmt.Fprintf(p.stdout, "  codec     %s\n", info.Codec)
	fmt.Fprintf(p.stdout, "  holds     %s of %s, %s in %s", plural(int64(info.Messages), "message"),
		plural(int64(info.Feeds), "feed"), plural(int64(info.Blobs), "blob"), plural(int64(info.Frames), "frame"))
	fmt.Fprintf(p.stdout, "\n  size      %s (%s of messages)\n", bytesText(info.Bytes), bytesText(info.Raw))
	if ranges {
		for _, run := range info.Ranges {
			fmt.Fprintf(p.stdout, "  %s %d–%d\n", run.Feed, run.First, run.Last)
		}
	}
	for _, damage := range info.Damage {
		fmt.Fprintf(p.stdout, "  damaged   %v\n", damage)
	}
	return nil
}
