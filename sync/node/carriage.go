package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// Carriage are the options of the methods that move feeds: ssbsync.import,
// importStream, export, exportStream and sync.
type Carriage struct {
	Path    string      `json:"path,omitempty"` // folder, absolute
	Name    string      `json:"name,omitempty"` // of a stream, for error texts
	Size    int64       `json:"size,omitempty"` // of a stream in bytes, 0 = unknown; for the progress
	Feeds   []refs.Feed `json:"feeds,omitempty"`
	Hops    *int        `json:"hops,omitempty"`    // only feeds within so many hops
	To      string      `json:"to,omitempty"`      // export: a feed id, or a store id
	MaxSize int64       `json:"maxSize,omitempty"` // export: bytes
	DryRun  bool        `json:"dryRun,omitempty"`
	All     bool        `json:"all,omitempty"`
	NoHave  bool        `json:"noHave,omitempty"`
	Check   bool        `json:"check,omitempty"` // export, sync: read again what lies there
	Codec   string      `json:"codec,omitempty"` // export, sync: one of bundle.Codecs
}

// CarriageItem is what those methods send: progress again and again, then one
// report.
type CarriageItem struct {
	Progress *stick.Progress    `json:"progress,omitempty"`
	Report   *stick.Report      `json:"report,omitempty"`
	Visit    *stick.VisitReport `json:"visit,omitempty"`
}

// progressEvery is how often progress is sent.
const progressEvery = 100 * time.Millisecond

func (n *Node) addCarriage(m *muxrpc.Mux) {
	m.Source("ssbsync.import", n.importFolder)
	m.Duplex("ssbsync.importStream", n.importStream)
	m.Source("ssbsync.export", n.exportFolder)
	m.Source("ssbsync.exportStream", n.exportStream)
	m.Source("ssbsync.sync", n.sync)
}

// importFolder imports from a stick or a folder of bundles.
func (n *Node) importFolder(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	o, root, err := n.openFolder(ctx, c)
	if err != nil {
		return err
	}
	defer root.Close()
	s, err := stick.OpenSource(root)
	if err != nil {
		return fmt.Errorf("%s: %w", o.Path, err)
	}
	accept, err := n.selection(o)
	if err != nil {
		return err
	}
	return n.explicitly(ctx, st, o.Path, func() (stick.Report, error) {
		return n.peer.Import(ctx, s, stick.ImportOptions{Accept: accept, Progress: progressTo(ctx, st)})
	})
}

// explicitly runs an import that the user asked for: the feeds that it brings
// are carried from now on, whatever ends it.
func (n *Node) explicitly(ctx context.Context, st *muxrpc.Stream, name string, run func() (stick.Report, error)) error {
	if err := n.expect(); err != nil {
		return spaceError(err)
	}
	stop := n.followGraph(ctx)
	report, err := run()
	stop()
	if e := n.arrived(context.WithoutCancel(ctx), report.Brought); err == nil {
		err = e
	}
	if err != nil {
		return spaceError(fmt.Errorf("importing %s: %w", name, err))
	}
	return st.Send(ctx, CarriageItem{Report: &report})
}

// graphStep is after how many messages of an import the follow graph reads them:
// while others are verified, rather than all at the end.
const graphStep = 10_000

// followGraph lets the follow graph read what an import brings, until stop is
// called. What is left then, and an error, is met by who asks the graph.
func (n *Node) followGraph(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() {
		for last := n.store.Last(); n.store.Wait(ctx, last+graphStep-1) == nil; last = n.store.Last() {
			if n.graph.Update(ctx) != nil {
				return
			}
		}
	})
	return func() {
		cancel()
		running.Wait()
	}
}

// exportFolder writes what a stick lacks.
func (n *Node) exportFolder(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	o, root, err := n.openFolder(ctx, c)
	if err != nil {
		return err
	}
	defer root.Close()
	out, err := n.exportOptions(o)
	if err != nil {
		return err
	}
	out.Progress = progressTo(ctx, st)
	s, err := openDestination(root, o.DryRun)
	if err != nil {
		return spaceError(fmt.Errorf("exporting to %s: %w", o.Path, err))
	}
	report, err := n.peer.Export(ctx, s, out)
	if err == nil && !o.DryRun {
		err = n.used(s)
	}
	if err != nil {
		return spaceError(fmt.Errorf("exporting to %s: %w", o.Path, err))
	}
	return st.Send(ctx, CarriageItem{Report: &report})
}

// openDestination makes a folder a stick, unless it is only asked what would
// be written.
func openDestination(root *os.Root, dryRun bool) (*stick.Stick, error) {
	if !dryRun {
		return stick.Create(root)
	}
	s, err := stick.Open(root)
	if errors.Is(err, stick.ErrNoMarker) {
		return stick.Empty(root), nil
	}
	return s, err
}

// sync is a visit of a stick: import, then export.
func (n *Node) sync(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	o, root, err := n.openFolder(ctx, c)
	if err != nil {
		return err
	}
	defer root.Close()
	s, err := stick.Open(root)
	if err != nil {
		return fmt.Errorf("%s: %w", o.Path, err)
	}
	out, err := n.exportOptions(o)
	if err != nil {
		return err
	}
	var accept func(refs.Feed) bool
	if len(o.Feeds) > 0 || o.Hops != nil {
		accept = out.Feed
	}
	report, err := n.peer.Visit(ctx, s, stick.VisitOptions{Accept: accept, Export: out, Progress: progressTo(ctx, st)})
	if err != nil {
		if report.Import.New > 0 { // it is here to stay, and worth telling
			err = errors.Join(err, st.Send(ctx, CarriageItem{Visit: &report}))
		}
		return spaceError(fmt.Errorf("syncing with %s: %w", o.Path, err))
	}
	if err := n.policy.refresh(ctx); err != nil {
		return err
	}
	if !o.DryRun {
		if err := n.used(s); err != nil {
			return err
		}
	}
	return st.Send(ctx, CarriageItem{Visit: &report})
}

// openFolder reads the options and opens their folder.
func (n *Node) openFolder(ctx context.Context, c *muxrpc.Call) (o Carriage, root *os.Root, err error) {
	if err := options(c, &o); err != nil {
		return o, nil, err
	}
	if o.Path == "" {
		return o, nil, usage("%s: no path", c.Name())
	}
	if err := n.misplaced(o.Path); err != nil {
		return o, nil, err
	}
	if err := n.policy.refresh(ctx); err != nil {
		return o, nil, err
	}
	root, err = os.OpenRoot(o.Path)
	return o, root, n.folderError(o.Path, err)
}

// selection returns what --feed and --hops let through, nil for everything.
func (n *Node) selection(o Carriage) (func(refs.Feed) bool, error) {
	if len(o.Feeds) == 0 && o.Hops == nil {
		return nil, nil
	}
	listed := make(map[refs.Feed]bool, len(o.Feeds))
	for _, feed := range o.Feeds {
		listed[feed] = true
	}
	if o.Hops == nil {
		return func(feed refs.Feed) bool { return listed[feed] }, nil
	}
	near := n.graph.Hops(n.keys.Feed(), *o.Hops)
	return func(feed refs.Feed) bool {
		_, reached := near[feed]
		return reached || listed[feed]
	}, nil
}

// exportOptions turns the options of a call into those of an export.
func (n *Node) exportOptions(o Carriage) (stick.ExportOptions, error) {
	out := stick.ExportOptions{MaxSize: o.MaxSize, All: o.All, DryRun: o.DryRun, NoHave: o.NoHave, Check: o.Check, Codec: o.Codec}
	if o.Codec != "" && !slices.Contains(bundle.Codecs(), o.Codec) {
		return out, usage("codec %.80q is none of %s", o.Codec, strings.Join(bundle.Codecs(), ", "))
	}
	var err error
	if out.Feed, err = n.selection(o); err != nil || o.To == "" {
		return out, err
	}
	if out.To, err = refs.ParseFeed(o.To); err == nil {
		return out, nil
	}
	if out.ToStore, err = stick.ParseID(o.To); err != nil {
		return out, usage("--to: %.80q is neither a feed id nor a store id", o.To)
	}
	return out, nil
}

// progressTo returns a callback that sends progress, but not too often.
func progressTo(ctx context.Context, st *muxrpc.Stream) func(stick.Progress) {
	var last time.Time
	var phase stick.Phase
	return func(p stick.Progress) {
		now := time.Now()
		if p.Phase == phase && now.Sub(last) < progressEvery {
			return
		}
		last, phase = now, p.Phase
		// A reader that has gone ends the call by its context.
		_ = st.Send(ctx, CarriageItem{Progress: &p})
	}
}

// exportStream sends a single bundle as bytes, then a report.
func (n *Node) exportStream(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	var o Carriage
	if err := options(c, &o); err != nil {
		return err
	}
	if err := n.policy.refresh(ctx); err != nil {
		return err
	}
	out, err := n.exportOptions(o)
	if err != nil {
		return err
	}
	out.Progress = progressTo(ctx, st)
	report, err := n.peer.ExportBundle(ctx, &streamWriter{ctx: ctx, stream: st}, out)
	if err != nil {
		return fmt.Errorf("exporting: %w", err)
	}
	return st.Send(ctx, CarriageItem{Report: &report})
}

// streamChunk is the size of the pieces in which bytes travel, in bytes.
const streamChunk = 64 << 10

// streamWriter sends what is written to it as pieces of bytes.
type streamWriter struct {
	ctx    context.Context
	stream *muxrpc.Stream
}

func (w *streamWriter) Write(b []byte) (int, error) {
	for done := 0; done < len(b); {
		piece := b[done:min(len(b), done+streamChunk)]
		if err := w.stream.Send(w.ctx, piece); err != nil {
			return done, err
		}
		done += len(piece)
	}
	return len(b), nil
}

// streamReader reads the pieces of bytes that a stream brings.
type streamReader struct {
	ctx    context.Context
	stream *muxrpc.Stream
	rest   []byte
	read   int64 // bytes so far
	err    error // that reading ended with, but for the end of the stream
}

func (r *streamReader) Read(b []byte) (int, error) {
	for len(r.rest) == 0 {
		item, err := r.stream.Recv(r.ctx)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				r.err = err
			}
			return 0, err
		}
		r.rest = item.Body
		r.read += int64(len(item.Body))
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}
