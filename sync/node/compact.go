package node

import (
	"context"
	"fmt"
	"time"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// CompactItem is what ssbsync.compact sends: progress again and again, then the
// report.
type CompactItem struct {
	Progress *stick.Progress `json:"progress,omitempty"`
	Report   *CompactReport  `json:"report,omitempty"`
}

// CompactReport tells what ssbsync.compact did: the size of the store before
// and after, in bytes.
type CompactReport struct {
	Before   int64   `json:"before"`
	After    int64   `json:"after"`
	Saved    int64   `json:"saved"`
	Verified bool    `json:"verified"` // the new file was read from the medium, not from memory
	Seconds  float64 `json:"seconds"`
}

// compact gives space that the store does not need back to the disk. What comes
// in meanwhile waits; everything else goes on.
func (n *Node) compact(ctx context.Context, _ *muxrpc.Call, st *muxrpc.Stream) error {
	began := time.Now()
	news := make(chan stick.Progress, 1)
	var report store.CompactReport
	var failed error
	go func() {
		defer close(news)
		report, failed = n.store.Compact(ctx, store.CompactOptions{Reserve: int64(n.reserve()), Progress: tellLatest(news)})
	}()
	tell := progressTo(ctx, st)
	for now := range news {
		tell(now)
	}
	if failed != nil {
		return spaceError(failed)
	}
	return st.Send(ctx, CompactItem{Report: &CompactReport{
		Before: report.Before, After: report.After, Saved: report.Before - report.After,
		Verified: report.Verified, Seconds: time.Since(began).Seconds(),
	}})
}

// tellLatest returns a callback that puts its progress into news, whose
// capacity is 1, in place of what nobody took: writers must not wait for who
// looks on.
func tellLatest(news chan stick.Progress) func(store.CompactPhase, int64, int64) {
	return func(phase store.CompactPhase, done, total int64) {
		now := stick.Progress{Phase: stick.Phase(phase), Bytes: done, TotalBytes: total}
		for {
			select {
			case news <- now:
				return
			default:
			}
			select {
			case <-news:
			default:
			}
		}
	}
}

// Disk is how large the store is and how much of it holds nothing, in bytes.
type Disk struct {
	Size   int64 `json:"size"`
	Unused int64 `json:"unused"`
}

func (n *Node) disk() (Disk, error) {
	size, unused, err := n.store.Space()
	if err != nil {
		return Disk{}, fmt.Errorf("measuring the store: %w", err)
	}
	return Disk{size, unused}, nil
}
