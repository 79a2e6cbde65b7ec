package stick_test

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// size returns the bytes of the files on the medium below a folder.
func (m *medium) size(dir string) (n int64) {
	m.t.Helper()
	err := filepath.WalkDir(filepath.Join(m.dir, dir), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return n
}

// limit makes the medium as small as that, in bytes, in the eyes of the nodes.
func (m *medium) limit(capacity int64, nodes ...*node) {
	for _, nd := range nodes {
		nd.peer.Reserve = 1 << 10
		nd.peer.FreeSpace = func(string) (free, total uint64, err error) {
			return uint64(max(0, capacity-m.size("."))), uint64(capacity), nil
		}
	}
}

// bundleSize returns about how many bytes a bundle of so many messages takes.
func bundleSize(t *testing.T, count int) int64 {
	nd, m := newNode(t, 9), newMedium(t)
	nd.post(11, count)
	return nd.export(m, stick.ExportOptions{}).Bytes
}

// TestFullStick: on a stick that holds a tenth of what goes over it everybody
// gets everything, nothing is left unsaid, and somebody who comes late gets it
// piece by piece.
func TestFullStick(t *testing.T) {
	const rounds, posts = 20, 100
	a, b, c, m := newNode(t, 1), newNode(t, 2), newNode(t, 3), newMedium(t)
	capacity := 4 * bundleSize(t, posts)
	m.limit(capacity, a, b, c)
	a.visit(m)
	b.visit(m)
	var removed, written int64
	for range rounds {
		a.post(11, posts)
		rep := a.visit(m)
		if rep.Partly() || rep.Export.Left+rep.Export.Deferred > 0 || rep.Export.Messages != posts {
			t.Fatalf("visit of a: %+v", rep.Export)
		}
		removed, written = removed+rep.Export.Removed, written+rep.Export.Bytes
		if size := m.size("."); size > capacity {
			t.Fatalf("%d bytes on a stick of %d", size, capacity)
		}
		b.visit(m)
		if a.head(11) != b.head(11) {
			t.Fatalf("b holds %d of %d messages", b.head(11), a.head(11))
		}
	}
	t.Logf("%d bytes written to a stick of %d, %d bundles removed", written, capacity, removed)
	if removed == 0 {
		t.Error("nothing was removed")
	}
	round := 0
	for ; c.head(11) < rounds*posts && round < 2*rounds; round++ {
		c.visit(m)
		a.visit(m)
	}
	c.wantHead(11, rounds*posts)
	t.Logf("a newcomer had all after %d visits", round)
	for range 2 {
		for _, nd := range []*node{a, b, c} {
			nd.visit(m)
		}
	}
	m.unchanged(func() { a.visit(m); b.visit(m); c.visit(m) })
}

// TestPinned: what somebody who comes by lacks stays, as long as nobody needs
// something else more, and goes when he has it.
func TestPinned(t *testing.T) {
	a, b, c, m := newNode(t, 1), newNode(t, 2), newNode(t, 3), newMedium(t)
	b.policy.all, b.policy.wanted = false, []refs.Feed{feed(12)}
	c.policy.all, c.policy.wanted = false, []refs.Feed{feed(11)}
	one := bundleSize(t, 400)
	for _, nd := range []*node{a, b, c} {
		nd.visit(m)
	}
	a.post(11, 400)
	a.visit(m)
	pinned := m.files(".ssb.zst")
	m.limit(m.size(".")+one*8/10, a, b, c)
	a.post(12, 400)
	rep := a.visit(m)
	if now := m.files(".ssb.zst"); len(pinned) != 1 || len(now) == 0 || rep.Export.Removed != 0 || rep.Export.Left == 0 {
		t.Fatalf("%v, then %v: %+v", pinned, now, rep.Export)
	}
	t.Logf("left while it is pinned: %d of 400", rep.Export.Left)
	removed := c.visit(m).Export.Removed // who has it may remove it as well
	c.wantHead(11, 400)
	rep = a.visit(m)
	if removed += rep.Export.Removed; removed != 1 || rep.Export.Left != 0 {
		t.Errorf("when it is released: %d removed, %+v", removed, rep.Export)
	}
	if _, err := os.Stat(pinned[0]); err == nil {
		t.Error("it is still there")
	}
	b.visit(m)
	b.wantHead(12, 400)
}

// TestNotHeld: what we do not hold ourselves is not ours to remove, whoever
// claims to have it.
func TestNotHeld(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.policy.all, a.policy.wanted = false, []refs.Feed{feed(12)}
	b.post(11, 100)
	b.visit(m)
	kept := m.files(".ssb.zst")
	b.visit(m)
	a.visit(m)
	m.limit(m.size(".")+2000, a)
	a.post(12, 100)
	rep := a.visit(m)
	if rep.Export.Removed != 0 || rep.Export.Left == 0 {
		t.Errorf("%+v", rep.Export)
	}
	if now := m.files(".ssb.zst"); len(kept) != 1 || len(now) < 1 {
		t.Errorf("%v, then %v", kept, now)
	}
}

// TestDormant: a store that does not come by any more releases what it lacks,
// and what went for that is not written again until it returns.
func TestDormant(t *testing.T) {
	a, b, c, m := newNode(t, 1), newNode(t, 2), newNode(t, 3), newMedium(t)
	capacity := 5 * bundleSize(t, 100)
	m.limit(capacity, a, b, c)
	for _, nd := range []*node{a, b, c} {
		nd.visit(m)
	}
	var removed, posted int64
	for range 12 {
		a.post(11, 100)
		posted += 100
		rep := a.visit(m)
		removed += rep.Export.Removed
		b.visit(m)
	}
	if b.head(11) != posted || removed == 0 {
		t.Fatalf("b holds %d of %d, %d bundles removed", b.head(11), posted, removed)
	}
	// Nothing that only c lacks is written in place of what went.
	for range 3 {
		m.unchanged(func() {
			if rep := a.visit(m); rep.Export.Messages != 0 || rep.Export.Left != 0 || rep.Partly() {
				t.Errorf("%+v", rep.Export)
			}
		})
	}
	for round := 0; c.head(11) < posted; round++ {
		if round == 50 {
			t.Fatalf("c holds %d of %d", c.head(11), posted)
		}
		c.visit(m)
		a.visit(m)
	}
}

// TestDormantWithSpace: while there is space a store that comes by once in a
// while finds everything.
func TestDormantWithSpace(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	b.visit(m)
	for range 20 {
		a.post(11, 3)
		a.visit(m)
	}
	b.visit(m)
	b.wantHead(11, 60)
}

// TestStrangersDecideNothing: a have of a stranger that claims everything, or
// has a number far ahead, releases nothing that somebody we know lacks.
func TestStrangersDecideNothing(t *testing.T) {
	a, c, m := newNode(t, 1), newNode(t, 3), newMedium(t)
	c.visit(m)
	a.post(11, 100)
	a.visit(m)
	pinned := m.files(".ssb.zst")
	for i := range byte(30) {
		h := &stick.Have{Network: network, Stick: m.open().ID(), Identity: feed(100 + i), Store: stick.ID{0xff, i}, Counter: 1, Visit: 900 + uint64(i),
			Reads: stick.OurFormats(), Holdings: []stick.Holding{{Feed: feed(11), Seq: 1 << 52}}}
		h.Replaces = []stick.ID{stick.ID(c.store.ID())}
		m.write(stick.HaveName(h.Store, 1), stick.EncodeHave(h, pair(100+i)))
	}
	m.limit(m.size(".")+3000, a)
	for range 5 {
		a.post(1, 60) // wanted by c as much as feed 11
		a.visit(m)
	}
	if now := m.files(".ssb.zst"); len(now) == 0 || len(pinned) != 1 {
		t.Fatal("no bundles")
	}
	if _, err := os.Stat(pinned[0]); err != nil {
		t.Error("what c lacks is gone: ", err)
	}
	if rep := a.visit(m); rep.Have {
		t.Error("a says again what it said, because of strangers")
	}
	c.visit(m)
	c.wantHead(11, 100)
}

// TestStrangersFillTheStick: who we do not know may fill what is free, and has
// to make way down to a share of it.
func TestStrangersFillTheStick(t *testing.T) {
	a, b, stranger, m := newNode(t, 1), newNode(t, 2), newNode(t, 60), newMedium(t)
	a.policy.all, a.policy.wanted = false, []refs.Feed{feed(2), feed(11)}
	b.policy.all, b.policy.wanted = false, []refs.Feed{feed(1), feed(11)}
	a.visit(m)
	b.visit(m)
	for n := byte(70); n < 90; n++ {
		stranger.post(n, 30)
		m.put(pack(t, 60+n%3, network, stranger.records(n, 1, 30)))
	}
	flood := m.size("ssbsync/bundles")
	m.limit(m.size(".")+1<<10, a, b)
	a.post(11, 300)
	rep := a.visit(m)
	if rep.Export.Left != 0 || rep.Export.Removed == 0 || rep.Export.Messages != 300 {
		t.Errorf("%+v", rep.Export)
	}
	t.Logf("%d of 20 bundles of strangers (%d bytes) removed for %d bytes", rep.Export.Removed, flood, rep.Export.Bytes)
	if rep.Export.Removed >= 20 {
		t.Errorf("strangers keep nothing")
	}
	b.visit(m)
	b.wantHead(11, 300)
}

// TestPart: bundles take no more of a medium than they may.
func TestPart(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	part := 3 * bundleSize(t, 100)
	a.peer.Part, b.peer.Part = part, part
	a.visit(m)
	b.visit(m)
	for range 8 {
		a.post(11, 100)
		if rep := a.visit(m); rep.Export.Left != 0 {
			t.Errorf("%+v", rep.Export)
		}
		if got := m.size("ssbsync/bundles"); got > part {
			t.Fatalf("%d bytes of bundles, %d allowed", got, part)
		}
		b.visit(m)
	}
	b.wantHead(11, 800)
	c := newNode(t, 3)
	if rep := c.importAll(m); rep.Messages >= 800 {
		t.Errorf("nothing was removed: %+v", rep)
	}
	// An export by hand writes for somebody unknown what fits, and removes
	// nothing for him.
	before := len(m.files(".ssb.zst"))
	if rep := a.export(m, stick.ExportOptions{All: true}); rep.Removed != 0 || rep.Left == 0 || len(m.files(".ssb.zst")) < before {
		t.Errorf("export: %+v", rep)
	}
	if got := m.size("ssbsync/bundles"); got > part {
		t.Fatalf("%d bytes of bundles, %d allowed", got, part)
	}
}

// TestDryRunOnAFullStick says what would go, and touches nothing.
func TestDryRunOnAFullStick(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.visit(m)
	b.visit(m)
	a.post(11, 100)
	a.visit(m)
	b.visit(m)
	m.limit(m.size(".")+2000, a)
	a.post(11, 100)
	a.post(12, 50)
	m.unchanged(func() {
		rep, err := a.peer.Visit(t.Context(), m.open(), stick.VisitOptions{Export: stick.ExportOptions{DryRun: true}})
		if err != nil || rep.Export.Removed != 1 || rep.Export.Freed == 0 || rep.Export.Messages == 0 {
			t.Errorf("%v %+v", err, rep.Export)
		}
	})
	if rep := a.visit(m); rep.Export.Removed != 1 {
		t.Errorf("%+v", rep.Export)
	}
}

// TestDryRunWithinAPart: a dry run on a medium of which bundles may take a part only
// counts what a visit writes and removes then.
func TestDryRunWithinAPart(t *testing.T) {
	for _, count := range []int{40, 120, 250, 400} {
		a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
		a.peer.Part = 2 * bundleSize(t, 100)
		a.visit(m)
		b.visit(m)
		a.post(11, 100)
		a.visit(m)
		b.visit(m)
		a.post(12, count)
		dry, err := a.peer.Visit(t.Context(), m.open(), stick.VisitOptions{Export: stick.ExportOptions{DryRun: true}})
		if err != nil {
			t.Fatal(err)
		}
		said, did := dry.Export, a.visit(m).Export
		if said.Messages != did.Messages || said.Bytes != did.Bytes || said.Removed != did.Removed || said.Freed != did.Freed || said.Left != did.Left {
			t.Errorf("%d messages: a dry run says %+v, a visit %+v", count, said, did)
		}
	}
}

// TestInterruptedCollection: a visit that ends between removing and writing
// loses nothing.
func TestInterruptedCollection(t *testing.T) {
	a, b, c, m := newNode(t, 1), newNode(t, 2), newNode(t, 3), newMedium(t)
	m.limit(4*bundleSize(t, 100), a, b, c)
	for _, nd := range []*node{a, b, c} {
		nd.visit(m)
	}
	for range 3 {
		a.post(11, 100)
		a.visit(m)
		b.visit(m)
		c.visit(m)
	}
	broken := fmt.Errorf("the stick was pulled")
	removed := 0
	a.post(12, 250)
	for step := 1; ; step++ {
		calls := 0
		a.peer.SetFault(func(what, _ string) error {
			if what != "remove" {
				return nil
			}
			if calls++; calls == step {
				return broken
			}
			removed++
			return nil
		})
		_, err := a.peer.Visit(t.Context(), m.open(), stick.VisitOptions{})
		b.visit(m)
		if err == nil {
			t.Logf("%d interruptions, %d bundles removed", step-1, removed)
			break
		}
	}
	a.peer.SetFault(nil)
	for range 6 {
		a.visit(m)
		b.visit(m)
		c.visit(m)
	}
	b.wantHead(12, 250)
	c.wantHead(12, 250)
	if removed == 0 {
		t.Error("nothing was removed")
	}
}

// TestManyFollowGraphs: nodes that want different feeds and come by at random
// share a stick that is too small, and all have in the end what they want.
func TestManyFollowGraphs(t *testing.T) {
	const feeds = 10
	rng := rand.New(rand.NewPCG(1, 2))
	m := newMedium(t)
	var nodes []*node
	posted := make(map[byte]int64)
	for n := byte(1); n <= 6; n++ {
		nd := newNode(t, n)
		nd.policy.all = false
		for f := byte(1); f <= feeds; f++ {
			if f != n && rng.IntN(2) == 0 {
				nd.policy.wanted = append(nd.policy.wanted, feed(f))
			}
		}
		nodes = append(nodes, nd)
	}
	m.limit(6*bundleSize(t, 100), nodes...)
	m.open()
	var written, removed int64
	for visit := range 120 {
		nd := nodes[rng.IntN(len(nodes))]
		if visit < 70 {
			own := byte(1 + rng.IntN(feeds-len(nodes)+1))
			if own == 1 { // its own feed; others are kept by the first node
				for i, x := range nodes {
					if x == nd {
						own = byte(i + 1)
					}
				}
				nd.post(own, 20)
			} else {
				own += byte(len(nodes)) - 1
				nodes[0].post(own, 20)
			}
			posted[own] += 20
		} else {
			nd = nodes[visit%len(nodes)]
		}
		rep := nd.visit(m)
		written, removed = written+rep.Export.Bytes, removed+rep.Export.Removed
	}
	for i, nd := range nodes {
		for f := byte(1); f <= feeds; f++ {
			if nd.policy.Wants(feed(f)) && nd.head(f) != posted[f] {
				t.Errorf("node %d holds %d of %d messages of feed %d", i+1, nd.head(f), posted[f], f)
			}
		}
	}
	t.Logf("%d bytes written, %d bundles removed", written, removed)
	if removed == 0 {
		t.Error("the stick was never full")
	}
	for range 3 {
		for _, nd := range nodes {
			nd.visit(m)
		}
	}
	m.unchanged(func() {
		for _, nd := range nodes {
			nd.visit(m)
		}
	})
}

// TestNothingToSay: a store that comes by and finds nothing it wants says so
// before it looks gone; and then all are silent again.
func TestNothingToSay(t *testing.T) {
	a, b, c, m := newNode(t, 1), newNode(t, 2), newNode(t, 3), newMedium(t)
	a.policy.all, a.policy.wanted = false, []refs.Feed{feed(2)}
	b.policy.all, b.policy.wanted = false, []refs.Feed{feed(1)}
	c.policy.all, c.policy.wanted = false, []refs.Feed{feed(11)}
	nodes := []*node{a, b, c}
	said := 0
	for range 20 {
		a.post(1, 1)
		b.post(2, 1)
		for _, nd := range nodes {
			if rep := nd.visit(m); rep.Have && nd == c {
				said++
			}
		}
		s, err := a.peer.Survey(t.Context(), m.open())
		if err != nil {
			t.Fatal(err)
		}
		newest := s.Visitors[0].Visit
		for _, v := range s.Visitors {
			if v.Visit+9 < newest {
				t.Fatalf("%s looks gone: %d of %d", v.Identity, v.Visit, newest)
			}
		}
	}
	t.Logf("c said %d times in 20 visits that it is there", said)
	if said < 2 || said > 12 {
		t.Errorf("c said %d times in 20 visits that it is there", said)
	}
	for range 3 {
		for _, nd := range nodes {
			nd.visit(m)
		}
	}
	m.unchanged(func() {
		for range 5 {
			for _, nd := range nodes {
				nd.visit(m)
			}
		}
	})
}
