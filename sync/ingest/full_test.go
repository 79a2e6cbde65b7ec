package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/ingest"
)

// noRoom fails the test unless err says that there was no room, and why.
func noRoom(t *testing.T, what string, err, why error) {
	t.Helper()
	if !errors.Is(err, ingest.ErrNoRoom) || !errors.Is(err, why) || errors.Is(err, ingest.ErrStopped) {
		t.Errorf("%s: %v", what, err)
	}
}

// The disk fills up at any commit: who handed over messages is told, nothing
// hangs, the pipeline lives, and when there is room again another intake
// completes the job.
func TestFullDisk(t *testing.T) {
	for fits := range int64(5) {
		t.Run(fmt.Sprint(fits), func(t *testing.T) {
			s := openStore(t)
			var commits atomic.Int64
			cfg := small()
			cfg.Memory = 1 // blocks early
			cfg.Store = &faulty{Store: s, before: func() error {
				if commits.Add(1) > fits {
					return fmt.Errorf("committing: %w", syscall.ENOSPC)
				}
				return nil
			}}
			r := startOn(t, s, cfg)
			in := r.Open(ingest.Source{})
			sum, err := addInParts(t, in, 50)
			noRoom(t, "Flush", err, syscall.ENOSPC)
			balanced(t, sum)
			if sum.Lost == 0 {
				t.Errorf("nothing counted: %s", counts(sum))
			}
			noRoom(t, "Add after", in.Add(context.Background(), corpus()[0]), syscall.ENOSPC)
			commits.Store(-1 << 40)
			in = r.Open(ingest.Source{})
			add(t, in, corpus()...)
			flush(t, in)
			same(t, s, corpus())
		})
	}
}

// addInParts hands over the corpus until the first error and waits after each
// part, so that there is a commit for every part, however busy the machine.
func addInParts(t *testing.T, in *ingest.Intake, part int) (ingest.Summary, error) {
	t.Helper()
	for n, raw := range corpus() {
		if err := in.Add(context.Background(), raw); err != nil {
			noRoom(t, "Add", err, syscall.ENOSPC)
			break
		}
		if n%part == part-1 {
			if sum, err := in.Flush(context.Background()); err != nil {
				return sum, err
			}
		}
	}
	return in.Flush(context.Background())
}

// Config.Room refuses what comes in, but neither duplicates nor what the user
// publishes.
func TestReserve(t *testing.T) {
	full := errors.New("the disk has 3 bytes left")
	var room atomic.Bool
	cfg := ingest.Config{Room: func() error {
		if room.Load() {
			return nil
		}
		return full
	}}
	r := start(t, cfg)
	in := r.Open(ingest.Source{})
	add(t, in, corpus()[0])
	sum, err := in.Flush(context.Background())
	noRoom(t, "Flush", err, full)
	expect(t, "refused", sum, "messages=1 lost=1")
	own := pair(9)
	_, err = r.Publish(context.Background(), own.Feed(), func(head message.Head) (*message.Message, error) {
		return message.Create(own, head, []byte(`{"type":"post"}`), 1, nil)
	})
	if err != nil {
		t.Errorf("publishing below the reserve: %v", err)
	}
	room.Store(true)
	in = r.Open(ingest.Source{})
	add(t, in, corpus()[:10]...)
	expect(t, "with room", flush(t, in), "messages=10 new=10 newfeeds=7")
	room.Store(false)
	add(t, in, corpus()[:10]...)
	expect(t, "held already", flush(t, in), "messages=10 duplicate=10")
}

// The disk is full when a message is published: only this call fails.
func TestPublishOnFullDisk(t *testing.T) {
	s := openStore(t)
	var full atomic.Bool
	r := startOn(t, s, ingest.Config{Store: &faulty{Store: s, before: func() error {
		if full.Load() {
			return syscall.ENOSPC
		}
		return nil
	}}})
	own := pair(9)
	publish := func() error {
		_, err := r.Publish(context.Background(), own.Feed(), func(head message.Head) (*message.Message, error) {
			return message.Create(own, head, []byte(`{"type":"post"}`), 1, nil)
		})
		return err
	}
	full.Store(true)
	if err := publish(); !errors.Is(err, syscall.ENOSPC) || errors.Is(err, ingest.ErrStopped) {
		t.Errorf("full disk: %v", err)
	}
	full.Store(false)
	if err := publish(); err != nil {
		t.Errorf("with room: %v", err)
	}
}

// There is no room for messages to wait: they are counted, and read again
// from their source later.
func TestNoRoomToWait(t *testing.T) {
	s := openStore(t)
	r := startOn(t, s, ingest.Config{Store: &noWaiting{s, syscall.ENOSPC}})
	in := r.Open(ingest.Source{})
	f := feed(t, 1, 5)
	add(t, in, f[0], f[3], f[4])
	sum := flush(t, in)
	expect(t, "no room to wait", sum, "messages=3 new=1 evicted=2 newfeeds=1")
	if len(sum.Gaps) != 1 || sum.Gaps[0].First != 2 || sum.Gaps[0].Last != 3 {
		t.Errorf("gaps %v", sum.Gaps)
	}
}

// stubborn is a store that keeps what waits.
type stubborn struct{ *store.Store }

func (stubborn) RemoveWaiting([]store.Record) error { return syscall.ENOSPC }

// What waited and attached cannot be removed: it is not tried over and over.
func TestNoRoomToRemove(t *testing.T) {
	s := openStore(t)
	r := startOn(t, s, ingest.Config{Store: stubborn{s}})
	in := r.Open(ingest.Source{})
	f := feed(t, 1, 5)
	add(t, in, f[3], f[4])
	flush(t, in)
	add(t, in, f[:3]...)
	flush(t, in)
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	r = startOn(t, s, ingest.Config{})
	for range 1000 {
		if w, err := s.WaitingStats(); err != nil || w.Messages == 0 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	r.stop()
	same(t, s, f)
}

// A message that waited and turns out to be of another branch is not blamed on
// a place of the source that let it attach.
func TestRejectedAfterWaiting(t *testing.T) {
	r := start(t, ingest.Config{})
	_, head := grow(t, pair(1), message.Head{}, 1, "branch")
	branch, _ := grow(t, pair(1), head, 3, "branch")
	in := r.Open(ingest.Source{})
	add(t, in, branch[2])
	flush(t, in)
	var at []int64
	in = r.Open(ingest.Source{OnReject: func(rej ingest.Reject) { at = append(at, rej.Pos) }})
	for n, raw := range feed(t, 1, 3) {
		if err := in.AddAt(context.Background(), raw, int64(n)); err != nil {
			t.Fatal(err)
		}
	}
	flush(t, in)
	if len(at) != 1 || at[0] != -1 {
		t.Errorf("rejected at %v, want -1", at)
	}
}
