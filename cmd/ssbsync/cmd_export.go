package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/store/durable"
	"github.com/ssbsync/ssbsync/sync/node"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// bundleSuffix is how the names of bundles end.
const bundleSuffix = ".ssb.zst"

func (p *program) exportCommand() *cli.Command {
	return &cli.Command{
		Name:      "export",
		Category:  groupCarry,
		Usage:     "write messages to a stick, a folder or a file",
		ArgsUsage: "DESTINATION",
		Description: `Writes what the destination lacks. A stick or folder keeps what it has; a second export adds only what is new.
A name that ends in .ssb.zst makes a single file, and "-" writes to standard output. Where nothing
is to be written there is no file.

With the codec jsonl the messages in a bundle can be read without this program: zstd -dc NAME.ssb.zst | jq. The codec
compact takes about a quarter less room; ssbsync cat prints its messages. Files and new folders get jsonl; a stick gets
compact as soon as every node that has left a note there reads it.

Examples:
   ssbsync export /media/me/STICK
   ssbsync export --hops 1 friends.ssb.zst`,
		Flags: append(selectionFlags(),
			&cli.StringFlag{Name: "to", Usage: "only what the node with this `ID` lacked when its last have was seen (a feed id or a store id)"},
			&cli.StringFlag{Name: "max-size", Usage: "write at most `SIZE`, such as 500M"},
			codecFlag(),
			&cli.BoolFlag{Name: "all", Usage: "write also what every node known there has already"},
			&cli.BoolFlag{Name: "check", Usage: "read again what lies there, to write again what is damaged"},
			&cli.BoolFlag{Name: "no-have", Usage: "do not leave a note of what this node has and wants"},
			&cli.BoolFlag{Name: "dry-run", Usage: "say what would be written, and write nothing"},
		),
		Action: func(c *cli.Context) error {
			if err := exactly(c, 1, "export DESTINATION"); err != nil {
				return err
			}
			if err := noneEmpty(c); err != nil {
				return err
			}
			options, err := exportSelection(c)
			if err != nil {
				return err
			}
			return p.export(c.Context, c.Args().First(), options)
		},
	}
}

func codecFlag() cli.Flag {
	return &cli.StringFlag{Name: "codec", Usage: "write messages as `CODEC`: jsonl or compact (default: as described for export)"}
}

func exportSelection(c *cli.Context) (node.Carriage, error) {
	o, err := selection(c)
	if err != nil {
		return o, err
	}
	o.To, o.All, o.NoHave, o.DryRun, o.Check = c.String("to"), c.Bool("all"), c.Bool("no-have"), c.Bool("dry-run"), c.Bool("check")
	if o.Codec = c.String("codec"); o.Codec != "" && !slices.Contains(bundle.Codecs(), o.Codec) {
		return o, usageError("--codec: %.80q is none of %s", o.Codec, strings.Join(bundle.Codecs(), ", "))
	}
	if c.IsSet("max-size") {
		o.MaxSize, err = parseSize(c.String("max-size"))
	}
	return o, err
}

// export writes to the destination and prints the report.
func (p *program) export(ctx context.Context, destination string, o node.Carriage) error {
	var report *stick.Report
	err := p.with(func(c *client) (err error) {
		switch {
		case destination == "-":
			report, err = p.exportOutput(ctx, c, o)
		case isBundleName(destination):
			report, err = p.exportFile(ctx, c, destination, o)
		default:
			report, err = p.exportFolder(ctx, c, destination, o)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := p.printExported(destination, report); err != nil {
		return err
	}
	if report.Partly() || report.Left > 0 && o.MaxSize == 0 {
		return errPartly
	}
	return nil
}

// printExported prints the report; on standard error when standard output is
// the bundle.
func (p *program) printExported(destination string, report *stick.Report) error {
	if destination == "-" && !report.DryRun {
		if p.json {
			return printLine(p.stderr, report)
		}
		p.notice("%s", summary("exported", report))
		p.explain(report)
		return nil
	}
	if err := p.printReport("exported", report); err != nil {
		return err
	}
	if isFolder(destination) && !report.DryRun && !p.json {
		p.safeToRemove(report)
	}
	return nil
}

func (p *program) exportFolder(ctx context.Context, c *client, path string, o node.Carriage) (*stick.Report, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noFolder(path)
	}
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, usageError("%s is not a folder, and its name does not end in %s", path, bundleSuffix)
	}
	item, err := p.atFolder(ctx, c, "ssbsync.export", path, o)
	if err != nil {
		return nil, err
	}
	return item.Report, nil
}

// noFolder says what may be wrong with a destination that is not there.
func noFolder(path string) error {
	err := fmt.Errorf("%s: no such folder", path)
	switch filepath.Ext(path) {
	case ".zst", ".ssb", ".jsonl":
		return withHint(err, "the name of a single file must end in %s", bundleSuffix)
	}
	return withHint(err, "is the stick mounted? to use a new folder: mkdir -p %s", path)
}

// errEmpty keeps a file of which nothing was written from getting its name.
var errEmpty = errors.New("nothing to export")

// exportFile writes a single bundle that appears under its name only when it
// is whole. Without anything to write there is no file: nothing would read it.
func (p *program) exportFile(ctx context.Context, c *client, path string, o node.Carriage) (report *stick.Report, err error) {
	if o.DryRun {
		return p.exportTo(ctx, c, io.Discard, o)
	}
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if _, err := root.Lstat(filepath.Base(path)); err == nil {
		return nil, withHint(fmt.Errorf("%s is there already", path), "give another name, or remove it first")
	}
	_, err = durable.WriteFile(root, filepath.Base(path), durable.Options{}, func(w io.Writer) error {
		if report, err = p.exportTo(ctx, c, w, o); err == nil && report.Bundles == 0 {
			err = errEmpty
		}
		return err
	})
	if errors.Is(err, errEmpty) {
		p.notice("%s, no file written", nothing(report))
		return report, nil
	}
	if err != nil {
		return nil, notWritten(path, err)
	}
	return report, nil
}

// notWritten says which file was not written, and what to do on a full disk.
func notWritten(path string, err error) error {
	full := durable.IsFull(err)
	err = fmt.Errorf("writing %s: %w", path, err)
	if full {
		err = withHint(err, hintNoSpace)
	}
	return err
}

// nothing says why an export wrote nothing.
func nothing(report *stick.Report) string {
	if report.Left > 0 {
		return "no message fits"
	}
	return errEmpty.Error()
}

// exportOutput streams a single bundle to standard output; a dry run writes
// nothing.
func (p *program) exportOutput(ctx context.Context, c *client, o node.Carriage) (*stick.Report, error) {
	if file, ok := p.stdout.Writer.(*os.File); ok && !o.DryRun && term.IsTerminal(int(file.Fd())) {
		return nil, usageError("a bundle is not for a terminal: redirect standard output")
	}
	return p.exportTo(ctx, c, p.stdout, o)
}

// exportTo streams a single bundle.
func (p *program) exportTo(ctx context.Context, c *client, w io.Writer, o node.Carriage) (*stick.Report, error) {
	stream, err := c.Source(ctx, "ssbsync.exportStream", o)
	if err != nil {
		return nil, err
	}
	item, err := p.follow(ctx, stream, w)
	if err != nil {
		return nil, err
	}
	return item.Report, nil
}
