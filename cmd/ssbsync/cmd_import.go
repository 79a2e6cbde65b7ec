package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/node"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// pieceSize is the size of the pieces in which a file is handed to the node,
// in bytes.
const pieceSize = 64 << 10

func (p *program) importCommand() *cli.Command {
	return &cli.Command{
		Name:      "import",
		Category:  groupCarry,
		Usage:     "take in messages from a stick, a folder or files",
		ArgsUsage: "SOURCE…",
		Description: `Takes in what the source holds and the store lacks. Every message is verified; what its author did not sign
does not get in. The source is only read, never written to.

A source is a stick or folder that "ssbsync export" wrote, a bundle (NAME.ssb.zst), a file of messages as JSON
(.jsonl, .jsonl.zst, or what "ssb-server log" prints), or "-" for standard input. All feeds are taken; --feed and
--hops narrow it.

Examples:
   ssbsync import /media/me/STICK
   ssb-server log | ssbsync import -`,
		Flags: selectionFlags(),
		Action: func(c *cli.Context) error {
			if c.NArg() == 0 {
				return usageError("usage: ssbsync import SOURCE…")
			}
			if err := noneEmpty(c); err != nil {
				return err
			}
			options, err := selection(c)
			if err != nil {
				return err
			}
			return p.with(func(node *client) error { return p.importAll(c.Context, node, c.Args().Slice(), options) })
		},
	}
}

// selectionFlags narrow an operation to some feeds.
func selectionFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "feed", Usage: "only this `FEED`; may be given several times"},
		&cli.IntFlag{Name: "hops", Value: -1, Usage: "only feeds within `N` steps of your follows"},
	}
}

// selection reads the flags of selectionFlags.
func selection(c *cli.Context) (node.Carriage, error) {
	var o node.Carriage
	for _, text := range c.StringSlice("feed") {
		feed, err := refs.ParseFeed(text)
		if err != nil {
			return o, usageError("--feed: %v", err)
		}
		o.Feeds = append(o.Feeds, feed)
	}
	if c.IsSet("hops") {
		hops := c.Int("hops")
		if hops < 0 {
			return o, usageError("--hops: %d is below 0", hops)
		}
		o.Hops = &hops
	}
	return o, nil
}

// importAll imports one source after the other. A source that fails does not
// keep the others out.
func (p *program) importAll(ctx context.Context, c *client, sources []string, o node.Carriage) error {
	var failed []error
	done, partly := 0, false
	for _, source := range sources {
		report, err := p.importOne(ctx, c, source, o)
		if err != nil && ctx.Err() != nil {
			_ = settle(p, failed, 1, "") // names them; the interruption is what counts
			return err
		}
		if err != nil {
			failed = append(failed, explainRemote(err))
			continue
		}
		if err := p.printReport("imported", report); err != nil {
			return err
		}
		p.explainLosses(source, report)
		partly = partly || report.Partly()
		done++
	}
	if partly && len(failed) == 0 {
		return errPartly
	}
	return settle(p, failed, done, "none of %d sources could be imported")
}

// importOne imports one source: a folder is opened by the node, a file is
// handed to it.
func (p *program) importOne(ctx context.Context, c *client, source string, o node.Carriage) (*stick.Report, error) {
	if source == "-" {
		o.Name = "standard input"
		return p.importInput(ctx, c, o)
	}
	info, err := os.Stat(source)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return p.importFolder(ctx, c, source, o)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is neither a folder nor a regular file", source)
	}
	file, err := os.Open(source)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	o.Name, o.Size = source, info.Size()
	return p.importReader(ctx, c, file, o)
}

// importInput imports standard input, which is empty when the export at the
// other end of a pipe had nothing to write.
func (p *program) importInput(ctx context.Context, c *client, o node.Carriage) (*stick.Report, error) {
	in := bufio.NewReaderSize(readWithin(ctx, p.stdin), pieceSize)
	if _, err := in.Peek(1); errors.Is(err, io.EOF) {
		return &stick.Report{}, nil
	}
	return p.importReader(ctx, c, in, o)
}

func (p *program) importFolder(ctx context.Context, c *client, path string, o node.Carriage) (*stick.Report, error) {
	item, err := p.atFolder(ctx, c, "ssbsync.import", path, o)
	if err != nil {
		return nil, err
	}
	return item.Report, nil
}

// importReader streams a source to the node.
func (p *program) importReader(ctx context.Context, c *client, in io.Reader, o node.Carriage) (*stick.Report, error) {
	stream, err := c.Duplex(ctx, "ssbsync.importStream", o)
	if err != nil {
		return nil, err
	}
	sent := make(chan error, 1)
	go func() { sent <- feed(ctx, stream, in) }()
	item, err := p.follow(ctx, stream, nil)
	if err != nil {
		return nil, cmp.Or(unreadable(sent), err)
	}
	if item.Report.NoRoom { // the node did not read to the end
		return item.Report, nil
	}
	return item.Report, <-sent
}

// unreadable returns the error of the source that ended an import, nil when
// something else did.
func unreadable(sent <-chan error) error {
	var failed *fs.PathError
	select {
	case err := <-sent:
		if errors.As(err, &failed) {
			return err
		}
	default: // still sending: the node had enough
	}
	return nil
}

// feed sends everything that in holds.
func feed(ctx context.Context, stream *muxrpc.Stream, in io.Reader) error {
	piece := make([]byte, pieceSize)
	for {
		n, err := in.Read(piece)
		if n > 0 {
			if err := stream.Send(ctx, piece[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return stream.CloseSend()
		}
		if err != nil {
			stream.Close(err)
			return err
		}
	}
}

// atFolder calls a method that works on a folder, which the node opens, and
// shows its progress until the report comes.
func (p *program) atFolder(ctx context.Context, c *client, method, path string, o node.Carriage) (*node.CarriageItem, error) {
	var err error
	if o.Path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	stream, err := c.Source(ctx, method, o)
	if err != nil {
		return nil, err
	}
	return p.follow(ctx, stream, nil)
}

var errNoReport = errors.New("the node ended without a report")

// follow shows the progress of an operation until its report comes, and hands
// bytes on the way to data.
func (p *program) follow(ctx context.Context, stream *muxrpc.Stream, data io.Writer) (*node.CarriageItem, error) {
	bar := p.newProgress()
	defer bar.end()
	var last *node.CarriageItem
	err := receive(ctx, stream, func(item muxrpc.Item) error {
		if item.Kind == muxrpc.Binary && data != nil {
			_, err := data.Write(item.Body)
			return err
		}
		var message node.CarriageItem
		if err := item.Unmarshal(&message); err != nil {
			return fmt.Errorf("reading the node's progress: %v", err)
		}
		if message.Progress != nil {
			bar.update(*message.Progress)
			return nil
		}
		last = &message
		return nil
	})
	if err == nil && last == nil {
		err = errNoReport
	}
	return last, err
}
