package node

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/ingest"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// bundleMagicLen is how many bytes tell a bundle from other files.
const bundleMagicLen = 24

// bundleSuffix is how the names of bundles end.
const bundleSuffix = ".ssb.zst"

// importStream imports what the caller streams: a bundle, or messages as JSON
// objects, plain or compressed with zstd. Which it is shows in the first
// bytes; what is named like a bundle is taken for one even when they are
// damaged.
func (n *Node) importStream(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	var o Carriage
	if err := options(c, &o); err != nil {
		return err
	}
	if err := n.policy.refresh(ctx); err != nil {
		return err
	}
	accept, err := n.selection(o)
	if err != nil {
		return err
	}
	source := &streamReader{ctx: ctx, stream: st}
	in := bufio.NewReaderSize(source, streamChunk)
	// Fewer bytes than asked for are no error here: the source may be short.
	magic, _ := in.Peek(bundleMagicLen)
	return n.explicitly(ctx, st, o.Name, func() (stick.Report, error) {
		switch {
		case len(magic) == 0:
			return stick.Report{}, errors.New("nothing in it")
		case bundle.IsBundle(magic) || strings.HasSuffix(o.Name, bundleSuffix):
			return n.importBundle(ctx, st, in, o.Name, accept)
		case bundle.IsZstd(magic):
			return n.importZstd(ctx, st, in, o, accept, source)
		case isUTF16(magic):
			return stick.Report{}, errors.New("the text is UTF-16: convert it to UTF-8")
		}
		return n.importJSON(ctx, st, in, o, accept, source)
	})
}

// importBundle imports a single bundle, which it keeps in a file meanwhile:
// its parts are read in the order in which they are needed.
func (n *Node) importBundle(ctx context.Context, st *muxrpc.Stream, in io.Reader, name string, accept func(refs.Feed) bool) (stick.Report, error) {
	if err := n.room(); err != nil {
		return stick.Report{}, err
	}
	spool, err := os.CreateTemp(filepath.Join(n.options.Home, ownDir), "import-*.tmp")
	if err != nil {
		return stick.Report{}, fmt.Errorf("keeping the bundle: %w", err)
	}
	defer os.Remove(spool.Name())
	defer spool.Close()
	os.Remove(spool.Name()) // where that is possible, so that nothing stays if we are killed
	size, err := io.Copy(spool, io.LimitReader(in, stick.MaxBundleSize+1))
	if err != nil {
		return stick.Report{}, fmt.Errorf("reading the bundle: %w", err)
	}
	if size > stick.MaxBundleSize {
		return stick.Report{}, fmt.Errorf("larger than a bundle may be (%d bytes)", int64(stick.MaxBundleSize))
	}
	return n.peer.ImportBundle(ctx, name, spool, size, stick.ImportOptions{Accept: accept, Progress: progressTo(ctx, st)})
}

// importZstd imports messages that come as compressed JSON objects.
func (n *Node) importZstd(ctx context.Context, st *muxrpc.Stream, in io.Reader, o Carriage, accept func(refs.Feed) bool, source *streamReader) (stick.Report, error) {
	plain, err := bundle.NewZstdReader(in)
	if err != nil {
		return stick.Report{}, err
	}
	defer plain.Close()
	return n.importJSON(ctx, st, plain, o, accept, source)
}

// importJSON imports messages that come as JSON objects; source tells how
// many bytes of the file were read.
func (n *Node) importJSON(ctx context.Context, st *muxrpc.Stream, in io.Reader, o Carriage, accept func(refs.Feed) bool, source *streamReader) (stick.Report, error) {
	began := n.options.Now()
	intake := n.ingest.Open(ingest.Source{Name: o.Name, Accept: accept})
	progress := progressTo(ctx, st)
	bad, err := n.handItems(ctx, intake, newJSONSource(in), func(read int64) {
		progress(stick.Progress{Phase: stick.Reading, Bytes: source.read, TotalBytes: o.Size, Messages: read})
	})
	// What was handed over is kept, whatever ends the import.
	sum, flushErr := intake.Flush(context.WithoutCancel(ctx))
	report := stick.NewReport(sum)
	switch {
	case errors.Is(flushErr, ingest.ErrNoRoom):
		report.OutOfRoom(flushErr)
	case flushErr != nil:
		return report, flushErr
	case ctx.Err() != nil:
		return report, context.Cause(ctx)
	case source.err != nil && err != nil:
		return report, err
	case err != nil:
		// The source was read to its end: it is its content that is cut.
		report.Losses = append(report.Losses, stick.Loss{Bundle: o.Name, Frame: -1, Reason: err.Error()})
	}
	report.Messages += bad.count
	report.Rejected += bad.count
	report.Rejects = byLine(o.Name, append(report.Rejects, bad.first...))
	report.Explain()
	report.Bytes = source.read
	report.Seconds = n.options.Now().Sub(began).Seconds()
	return report, nil
}

// byLine sorts the rejected messages of a file by the lines they start on.
func byLine(name string, rejects []ingest.Reject) []ingest.Reject {
	slices.SortFunc(rejects, func(a, b ingest.Reject) int { return cmp.Compare(a.Pos, b.Pos) })
	for i := range rejects {
		if rejects[i].Pos >= 0 { // else it had waited since an earlier import
			rejects[i].Source = fmt.Sprintf("%s line %d", name, rejects[i].Pos)
		}
	}
	return rejects
}

// maxBadItems is how many items that are no JSON object are named.
const maxBadItems = 20

// badItems are items of a JSON source that are no object.
type badItems struct {
	count int64
	first []ingest.Reject
}

// note counts an item that is no object, and keeps the first of them.
func (b *badItems) note(item jsonItem) {
	if b.count++; b.count <= maxBadItems {
		b.first = append(b.first, ingest.Reject{Pos: item.line, Reason: item.err.Error()})
	}
}

// handItems hands the messages of a JSON source to the intake.
func (n *Node) handItems(ctx context.Context, intake *ingest.Intake, items *jsonSource, progress func(read int64)) (bad badItems, err error) {
	for read := int64(0); ; read++ {
		item, err := items.Next()
		switch {
		case errors.Is(err, io.EOF):
			return bad, nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			return bad, fmt.Errorf("cut short behind line %d", items.line)
		case err != nil:
			return bad, fmt.Errorf("reading on behind line %d: %w", items.line, err)
		case item.err != nil:
			bad.note(item)
			continue
		}
		if err := intake.AddAt(ctx, unwrap(item.text), item.line); err != nil {
			return bad, err
		}
		if read%256 == 0 {
			progress(read)
		}
	}
}

// isUTF16 reports whether a text begins like one in UTF-16, which is what
// some shells write to files.
func isUTF16(prefix []byte) bool {
	return bytes.HasPrefix(prefix, []byte{0xff, 0xfe}) || bytes.HasPrefix(prefix, []byte{0xfe, 0xff})
}
