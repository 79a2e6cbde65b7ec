package node

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/ingest"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// bundleMagicLen is how many bytes tell a bundle from other files.
const bundleMagicLen = 24

// importStream imports what the caller streams: a bundle, or messages as JSON
// objects, plain or compressed with zstd. Which it is shows in the first
// bytes.
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
	in := bufio.NewReaderSize(&streamReader{ctx: ctx, stream: st}, streamChunk)
	// Fewer bytes than asked for are no error here: the source may be short.
	magic, _ := in.Peek(bundleMagicLen)
	var report stick.Report
	switch {
	case len(magic) == 0:
		return fmt.Errorf("importing %s: nothing in it", o.Name)
	case bundle.IsBundle(magic):
		report, err = n.importBundle(ctx, st, in, o.Name, accept)
	case bundle.IsZstd(magic):
		report, err = n.importZstd(ctx, st, in, o.Name, accept)
	default:
		report, err = n.importJSON(ctx, st, in, o.Name, accept)
	}
	return n.imported(ctx, st, o.Name, &report, err)
}

// importBundle imports a single bundle, which it keeps in a file meanwhile:
// its parts are read in the order in which they are needed.
func (n *Node) importBundle(ctx context.Context, st *muxrpc.Stream, in io.Reader, name string, accept func(refs.Feed) bool) (stick.Report, error) {
	spool, err := os.CreateTemp(filepath.Join(n.options.Home, ownDir), "import-*.tmp")
	if err != nil {
		return stick.Report{}, fmt.Errorf("keeping the bundle: %w", err)
	}
	defer os.Remove(spool.Name())
	defer spool.Close()
	size, err := io.Copy(spool, io.LimitReader(in, stick.MaxBundleSize+1))
	if err != nil {
		return stick.Report{}, fmt.Errorf("reading the bundle: %w", err)
	}
	if size > stick.MaxBundleSize {
		return stick.Report{}, fmt.Errorf("larger than a bundle may be (%d bytes)", int64(stick.MaxBundleSize))
	}
	return n.peer.ImportBundle(ctx, name, spool, size, stick.ImportOptions{Accept: accept, Progress: progressTo(ctx, st)})
}

func (n *Node) importZstd(ctx context.Context, st *muxrpc.Stream, in io.Reader, name string, accept func(refs.Feed) bool) (stick.Report, error) {
	plain, err := bundle.NewZstdReader(in)
	if err != nil {
		return stick.Report{}, err
	}
	defer plain.Close()
	return n.importJSON(ctx, st, plain, name, accept)
}

// importJSON imports messages that come as JSON objects.
func (n *Node) importJSON(ctx context.Context, st *muxrpc.Stream, in io.Reader, name string, accept func(refs.Feed) bool) (stick.Report, error) {
	began := n.options.Now()
	counter := &countingReader{in: in}
	var bad []ingest.Reject
	var badCount int64
	intake := n.ingest.Open(ingest.Source{Name: name, Accept: accept})
	items := newJSONSource(counter)
	progress := progressTo(ctx, st)
	var read int64
	for {
		item, err := items.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			_, flushErr := intake.Flush(ctx)
			return stick.Report{}, errors.Join(fmt.Errorf("behind line %d: %w", items.line, err), flushErr)
		}
		if item.err != nil {
			if badCount++; badCount <= maxBadItems {
				bad = append(bad, ingest.Reject{Source: name, Pos: item.line, Reason: item.err.Error()})
			}
			continue
		}
		if err := intake.AddAt(ctx, unwrap(item.text), item.line); err != nil {
			return stick.Report{}, err
		}
		if read++; read%256 == 0 {
			progress(stick.Progress{Phase: stick.Reading, Bytes: counter.n, Messages: read})
		}
	}
	sum, err := intake.Flush(ctx)
	if err != nil {
		return stick.Report{}, err
	}
	report := stick.NewReport(sum)
	report.Messages += badCount
	report.Rejected += badCount
	report.Rejects = append(report.Rejects, bad...)
	report.Bytes = counter.n
	report.Seconds = n.options.Now().Sub(began).Seconds()
	return report, nil
}

// maxBadItems is how many items that are no JSON object are named.
const maxBadItems = 20

// countingReader counts the bytes that go through it.
type countingReader struct {
	in io.Reader
	n  int64
}

func (r *countingReader) Read(b []byte) (int, error) {
	n, err := r.in.Read(b)
	r.n += int64(n)
	return n, err
}

