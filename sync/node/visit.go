package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ssbsync/ssbsync/store/durable"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// visitProgressEvery is how often the progress of a visit is told.
const visitProgressEvery = 500 * time.Millisecond

// errAnother says that the medium is not the one that was looked at.
var errAnother = errors.New("another stick took its place")

// visit visits the medium. The caller holds the turn of the visitor.
func (k *keeper) visit(s sight, since time.Time) {
	began := time.Now()
	e := k.event(MediaVisiting)
	e.Wait = began.Sub(since).Seconds()
	k.tell(e)
	resume := func(...string) {}
	if k.folder {
		resume = k.v.source.Ignore(k.path)
	}
	before := k.v.node.news()
	v := k.v.node.visitMedium(k.ctx, k.path, s.stick, k.folder, k.progress())
	resume(v.own()...)
	k.told, k.visits, k.ended = "", k.visits+1, time.Now()
	k.seen = before + uint64(v.report.Import.New+v.report.Import.Blobs)
	k.failures++
	if v.err == nil {
		k.failures = 0
		if err := k.v.node.visited(s.stick); err != nil {
			k.v.node.options.Log.Error("noting a visit failed", "err", err)
		}
	}
	done := k.event(MediaDone)
	done.Wait, done.Seconds = e.Wait, k.ended.Sub(began).Seconds()
	v.describe(&done)
	k.tell(done)
}

// progress returns a callback that tells of progress, but not too often.
func (k *keeper) progress() func(stick.Progress) {
	last := time.Now()
	return func(p stick.Progress) {
		if now := time.Now(); now.Sub(last) >= visitProgressEvery {
			last = now
			e := k.event(MediaProgress)
			e.Progress = &p
			k.tell(e)
		}
	}
}

// mediumVisit is what became of a visit that nobody asked for.
type mediumVisit struct {
	report stick.VisitReport
	safe   bool  // all that was written is on the medium
	err    error // why it ended early
}

// visitMedium visits the stick of that id at a path and brings what was written
// to the medium. Nothing of it is open afterwards. With shared the path is a
// folder on a disk of this machine, of which only our own files are synced.
func (n *Node) visitMedium(ctx context.Context, path string, id stick.ID, shared bool, progress func(stick.Progress)) (v mediumVisit) {
	if v.err = n.policy.refresh(ctx); v.err != nil {
		return v
	}
	var root *os.Root
	if root, v.err = os.OpenRoot(path); v.err != nil {
		return v
	}
	defer root.Close()
	var s *stick.Stick
	if s, v.err = stick.Open(root); v.err == nil && s.ID() != id {
		v.err = errAnother
	}
	if v.err != nil {
		return v
	}
	v.report, v.err = n.peer.Visit(ctx, s, stick.VisitOptions{Progress: progress})
	if err := n.policy.refresh(context.WithoutCancel(ctx)); v.err == nil {
		v.err = err
	}
	if cause := context.Cause(ctx); v.err != nil && cause != nil {
		v.err = cause
	}
	if shared || v.err == nil && v.report.ReadOnly || errors.Is(v.err, errUnmounted) {
		v.safe = v.err == nil
		return v
	}
	err := durable.SyncFS(root)
	v.safe = err == nil
	if v.err == nil && err != nil {
		v.err = fmt.Errorf("syncing the file system: %w", err)
	}
	return v
}

// own returns the names of files that the visit wrote. There is always one: of
// what others did meanwhile the watcher shall tell.
func (v *mediumVisit) own() []string {
	return append([]string{"ssbsync/stick.json"}, v.report.Export.Names...)
}

// describe puts what became of the visit into its event.
func (v *mediumVisit) describe(e *MediaEvent) {
	e.In, e.Out, e.Safe, e.Report = v.report.Import.New, v.report.Export.Messages, v.safe, &v.report
	e.ReadOnly = e.ReadOnly || v.report.ReadOnly
	switch {
	case errors.Is(v.err, errUnmounted):
		e.Result = ResultRemoved
	case errors.Is(v.err, context.Canceled):
		e.Result = ResultInterrupted
	case v.err != nil:
		e.Result = ResultFailed
	case v.report.Partly() || v.report.Export.Left > 0:
		e.Result = ResultPartly
	default:
		e.Result = ResultDone
	}
	if v.err != nil {
		e.Error = v.err.Error()
	}
}

// printable replaces what cannot be shown as it is.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return utf8.RuneError
	}, s)
}
