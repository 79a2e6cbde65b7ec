package stick_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/ssbsync/ssbsync/sync/stick"
)

// drip makes the node leave count messages on the medium, one at each visit,
// and returns how many bundles were merged.
func (nd *node) drip(m *medium, n byte, count int) (merged int64) {
	nd.t.Helper()
	for range count {
		nd.post(n, 1)
		merged += nd.visit(m).Export.Merged
	}
	return merged
}

// whole fails unless somebody new gets count messages of a feed.
func (m *medium) whole(t *testing.T, n byte, count int64) {
	t.Helper()
	fresh := newNode(t, 8)
	defer fresh.stop()
	if rep := fresh.importAll(m); rep.Partly() || rep.Waiting > 0 || fresh.head(n) != count {
		t.Errorf("somebody new gets %d of %d messages: %+v", fresh.head(n), count, rep)
	}
}

func TestMerge(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	if merged := a.drip(m, 1, 31); merged != 0 || len(m.files(".ssb.zst")) != 31 {
		t.Fatalf("%d bundles merged", merged)
	}
	before := m.size("ssbsync/bundles")
	if merged := a.drip(m, 1, 1); merged != 31 && merged != 32 {
		t.Fatalf("%d bundles merged", merged)
	}
	after := m.size("ssbsync/bundles")
	t.Logf("31 bundles of %d bytes, merged %d bundles of %d bytes", before, len(m.files(".ssb.zst")), after)
	if n := len(m.files(".ssb.zst")); n > 2 || after > before/2 {
		t.Errorf("%d bundles are left", n)
	}
	m.whole(t, 1, 32)
	b.visit(m)
	b.wantHead(1, 32)
	a.visit(m)
	m.unchanged(func() { a.visit(m); b.visit(m) })

	// Others are none of our business, as long as they are not too many.
	b.drip(m, 2, 20)
	if rep := a.visit(m); rep.Export.Merged != 0 {
		t.Errorf("%+v", rep.Export)
	}
	a.peer.Merging.Most, a.peer.Merging.Least = 15, 10
	if rep := a.visit(m); rep.Export.Merged < 20 {
		t.Errorf("%+v", rep.Export)
	}
	m.whole(t, 2, 20)
}

// TestInterruptedMerge pulls the plug before each step of a merge: what was
// covered stays covered, and the next merge completes the work.
func TestInterruptedMerge(t *testing.T) {
	const posts = 12
	broken := errors.New("the stick was pulled")
	points := 0
	for step := 1; ; step++ {
		a, m := newNode(t, 1), newMedium(t)
		a.peer.Merging.Least = posts
		a.drip(m, 1, posts-1)
		calls := 0
		a.peer.SetFault(func(what, _ string) error {
			if what != "remove" {
				return nil
			}
			if calls++; calls == step {
				return broken
			}
			return nil
		})
		a.post(1, 1)
		_, err := a.peer.Visit(t.Context(), m.open(), stick.VisitOptions{})
		if err != nil && !errors.Is(err, broken) {
			t.Fatal(err)
		}
		a.peer.SetFault(nil)
		m.whole(t, 1, posts)
		a.visit(m)
		a.drip(m, 1, posts)
		if n := len(m.files(".ssb.zst")); n > posts {
			t.Errorf("interrupted at step %d: %d bundles are left in the end", step, n)
		}
		m.whole(t, 1, 2*posts)
		a.stop()
		if err == nil {
			points = step - 1
			break
		}
		step += 3
	}
	t.Logf("interrupted at up to %d removals", points)
	if points == 0 {
		t.Error("nothing was interrupted")
	}
}

// TestCancelledMerge cancels the visit at every progress call it makes.
func TestCancelledMerge(t *testing.T) {
	const posts = 6
	for stop := 1; ; stop++ {
		a, m := newNode(t, 1), newMedium(t)
		a.peer.Merging.Least = posts
		a.drip(m, 1, posts-1)
		a.post(1, 1)
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		_, err := a.peer.Visit(ctx, m.open(), stick.VisitOptions{Progress: func(stick.Progress) {
			if calls++; calls == stop {
				cancel()
			}
		}})
		cancel()
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		a.visit(m)
		m.whole(t, 1, posts)
		if n := len(m.files(".ssb.zst")); n > posts {
			t.Errorf("cancelled at call %d: %d bundles", stop, n)
		}
		a.stop()
		if calls < stop {
			t.Logf("%d points of interruption", stop-1)
			return
		}
	}
}

// TestMergeWithoutWrites: when the merged bundle cannot be written, the parts
// stay.
func TestMergeWithoutWrites(t *testing.T) {
	const posts = 10
	a, m := newNode(t, 1), newMedium(t)
	a.drip(m, 1, posts)
	a.peer.Merging.Least = posts
	m.obstruct("ssbsync/tmp")
	before := m.files(".ssb.zst")
	if _, err := a.peer.Visit(t.Context(), m.open(), stick.VisitOptions{}); err == nil {
		t.Error("no error")
	}
	if after := m.files(".ssb.zst"); fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("%d bundles before, %d after", len(before), len(after))
	}
}

// TestMergedWhileRead: a bundle that is merged by somebody else between listing
// and reading is no damage.
func TestMergedWhileRead(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.peer.Merging.Least = 10
	b.visit(m)
	a.drip(m, 1, 5)
	b.visit(m)
	a.drip(m, 1, 4)
	a.post(1, 1)
	merged := false
	rep, err := b.peer.Visit(t.Context(), m.open(), stick.VisitOptions{Progress: func(stick.Progress) {
		if !merged {
			merged = true
			a.visit(m)
		}
	}})
	if err != nil || rep.Partly() {
		t.Errorf("%v %+v", err, rep)
	}
	b.visit(m)
	b.wantHead(1, 10)
	if n := len(m.files(".ssb.zst")); n != 1 || !merged {
		t.Errorf("%d bundles", n)
	}
	for _, nd := range []*node{a, b} {
		if news, err := nd.peer.News(t.Context(), m.open()); news || err != nil {
			t.Errorf("what was merged is news: %v", err)
		}
	}
}

// TestSharedFolderFallsSilent: two servers on one folder, both with much to
// say, merge and stop.
func TestSharedFolderFallsSilent(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	var merged int64
	for range 40 {
		merged += a.drip(m, 1, 1) + b.drip(m, 2, 1)
	}
	rounds := 0
	for ; rounds < 10; rounds++ {
		before := fmt.Sprint(m.state())
		a.visit(m)
		b.visit(m)
		if fmt.Sprint(m.state()) == before {
			break
		}
	}
	if t.Logf("%d bundles merged, silent after %d rounds, %d bundles left", merged, rounds, len(m.files(".ssb.zst"))); rounds > 3 || merged < 60 {
		t.Errorf("%d bundles merged, %d rounds", merged, rounds)
	}
	a.wantHead(2, 40)
	b.wantHead(1, 40)
	m.whole(t, 1, 40)
	m.whole(t, 2, 40)
}
