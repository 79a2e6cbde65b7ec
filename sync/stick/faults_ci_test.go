//go:build ci && linux

package stick_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/space"
	"github.com/ssbsync/ssbsync/sync/stick"
	"github.com/ssbsync/ssbsync/sync/stick/internal/faultfs"
	"github.com/ssbsync/ssbsync/sync/vector"
)

// inMemory mounts a tmpfs for the stores of a test: what is tested here is the
// medium, and a store syncs often.
func inMemory(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	faultfs.Guard(t, dir)
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
		t.Fatalf("mounting a tmpfs (needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmounting: %v", err)
		}
	})
	return dir
}

// village is some nodes that trust each other and share one disk.
type village struct {
	t     *testing.T
	nodes []*node
	port  *faultfs.Port
	disk  *faultfs.Disk
	tight bool // there is not room for everything
}

// newVillage makes four nodes that want everything, or some of the feeds.
func newVillage(t *testing.T, disk *faultfs.Disk, wants func(node int) []refs.Feed) *village {
	t.Helper()
	v := &village{t: t, disk: disk}
	stores := inMemory(t)
	for i := range byte(4) {
		p := &policy{own: feed(i + 1), all: wants == nil, trust: make(map[refs.Feed]bool)}
		for n := byte(1); n < 10; n++ {
			p.trust[feed(n)] = true
		}
		if wants != nil {
			p.wanted = wants(int(i))
		}
		v.nodes = append(v.nodes, openNode(t, filepath.Join(stores, fmt.Sprint(i)), i+1, p))
	}
	v.port = faultfs.NewPort(t)
	return v
}

// visit lets a node visit the mounted disk, and says what became of it.
func (v *village) visit(nd *node, o stick.VisitOptions) (rep stick.VisitReport, err error) {
	v.t.Helper()
	v.port.With(v.disk, func(root *os.Root) { rep, err = nd.visitAt(root, o) })
	return rep, err
}

func (nd *node) visitAt(root *os.Root, o stick.VisitOptions) (rep stick.VisitReport, err error) {
	st, err := stick.Create(root)
	if err != nil {
		return rep, err
	}
	return nd.peer.Visit(nd.t.Context(), st, o)
}

// calm lets everybody visit until nobody has anything new and nothing is left
// over in tmp/, and wants all to agree.
func (v *village) calm() {
	v.t.Helper()
	for round := 0; ; round++ {
		before := v.disk.Files()
		for i, nd := range v.nodes {
			rep, err := v.visit(nd, stick.VisitOptions{})
			if err != nil || rep.Partly() {
				v.t.Fatalf("calm visit of node %d: %v %+v", i+1, err, rep)
			}
			v.disk.Settle()
		}
		after := v.disk.Files()
		parts := slices.DeleteFunc(slices.Collect(maps.Keys(after)), func(name string) bool { return !strings.HasSuffix(name, ".part") })
		if len(parts) == 0 && maps.EqualFunc(before, after, bytes.Equal) {
			break
		}
		if round == 8 {
			v.t.Fatalf("the nodes do not fall silent, or leave something: %q", parts)
		}
	}
	v.agree()
	v.acknowledged(look(v.t, v.disk.Files()))
}

// agree wants every node to hold of each feed that it wants what anybody holds.
func (v *village) agree() {
	v.t.Helper()
	most := make(map[refs.Feed]int64)
	for _, nd := range v.nodes {
		for f, seq := range nd.holds() {
			most[f] = max(most[f], seq)
		}
	}
	for i, nd := range v.nodes {
		held := nd.holds()
		for f, seq := range most {
			if nd.policy.Wants(f) && held[f] != seq {
				v.t.Errorf("node %d holds feed %s to %d of %d", i+1, f, held[f], seq)
			}
		}
	}
}

func (nd *node) holds() map[refs.Feed]int64 {
	nd.t.Helper()
	heads, err := nd.store.Heads()
	if err != nil {
		nd.t.Fatal(err)
	}
	held := make(map[refs.Feed]int64)
	for _, h := range heads {
		held[h.Feed] = h.Seq
	}
	return held
}

// onDisk is what a reader who starts from nothing finds on a disk.
type onDisk struct {
	messages vector.Ranges
	bundles  map[string]bool
	haves    map[stick.ID]*stick.Have // the newest of each store
}

// parsed holds what was found in files before, by their sum.
var parsed sync.Map

// look reads a disk as a stranger would, and fails on anything under a final
// name that is not whole.
func look(t *testing.T, files map[string][]byte) *onDisk {
	t.Helper()
	c := &onDisk{bundles: make(map[string]bool), haves: make(map[stick.ID]*stick.Have)}
	for name, data := range files {
		switch {
		case strings.HasSuffix(name, ".ssb.zst"):
			c.bundles[name] = true
			for _, s := range bundleSpans(t, name, data) {
				c.messages.Add(s.Feed, s.First, s.Last)
			}
		case strings.HasSuffix(name, ".have"):
			h, err := stick.ParseHave(data)
			if err != nil {
				t.Errorf("%s (%d bytes): %v", name, len(data), err)
				continue
			}
			if old := c.haves[h.Store]; old == nil || old.Counter < h.Counter {
				c.haves[h.Store] = h
			}
		}
	}
	for _, h := range c.haves {
		base := stick.HaveName(h.Store, h.Base)
		if sum := sha256.Sum256(files[base]); h.Base != 0 && sum != h.BaseSum {
			t.Errorf("the base %s of %s is not there", base, stick.HaveName(h.Store, h.Counter))
		}
	}
	return c
}

// bundleSpans reads a bundle from beginning to end.
func bundleSpans(t *testing.T, name string, data []byte) []vector.Span {
	t.Helper()
	key := fmt.Sprintf("%s %x", name, sha256.Sum256(data))
	if spans, ok := parsed.Load(key); ok {
		return spans.([]vector.Span)
	}
	r, err := bundle.Open(bytes.NewReader(data), int64(len(data)), bundle.Limits{})
	if err != nil || path.Base(name) != r.Name()+bundle.Suffix {
		t.Errorf("half a bundle under its final name %s (%d bytes): %v", name, len(data), err)
		return nil
	}
	var spans []vector.Span
	for i := range r.MessageFrames() {
		if _, err := r.ReadFrame(i); err != nil {
			t.Errorf("half a bundle under its final name %s (%d bytes): %v", name, len(data), err)
			return nil
		}
		for _, run := range r.Runs(i) {
			spans = append(spans, vector.Span{Feed: run.Feed, First: run.First, Last: run.Last})
		}
	}
	parsed.Store(key, spans)
	return spans
}

// notWorse wants the disk to give every node what it gave before a visit, as far
// as the node wants it and does not hold it, and no acknowledgement to be
// forgotten. On a tight disk the visitor may have removed what it can write
// again.
func (v *village) notWorse(visitor *node, before, after *onDisk) {
	v.t.Helper()
	gone := before.messages.Subtract(&after.messages)
	nodes := v.nodes
	if v.tight {
		nodes = []*node{visitor}
	}
	for i, nd := range nodes {
		held := nd.holds()
		for s := range gone.All() {
			if (v.tight || nd.policy.Wants(s.Feed)) && held[s.Feed] < s.Last {
				v.t.Errorf("node %d, which holds feed %s to %d, can no longer read %d to %d", i+1, s.Feed, held[s.Feed], s.First, s.Last)
			}
		}
	}
	for store, h := range before.haves {
		if now := after.haves[store]; now == nil || now.Counter < h.Counter {
			v.t.Errorf("the have %s is gone", stick.HaveName(store, h.Counter))
		}
	}
}

// acknowledged wants every have on the disk to be true.
func (v *village) acknowledged(c *onDisk) {
	v.t.Helper()
	for i, nd := range v.nodes {
		h, held := c.haves[nd.store.ID()], nd.holds()
		if h == nil {
			continue
		}
		for _, claim := range h.Holdings {
			if held[claim.Feed] < claim.Seq {
				v.t.Errorf("node %d acknowledged feed %s to %d and holds %d", i+1, claim.Feed, claim.Seq, held[claim.Feed])
			}
		}
	}
}

// pulls is how often the plug is pulled in a chain of visits, and chains how
// many chains there are.
const pulls, chains = 40, 25

// TestPulledPlug lets four nodes visit a stick whose plug is pulled during or
// right after each visit. In every second chain there is not room for all that
// they have to say, so that they remove and merge bundles as well.
func TestPulledPlug(t *testing.T) {
	t.Run("chains", func(t *testing.T) {
		for seed := range uint64(chains) {
			t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
				t.Parallel() // unmounting takes most of the time
				chain(t, seed)
			})
		}
	})
	t.Logf("%d cases: a plug that is pulled", pulls*chains)
}

func chain(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 4))
	var wants func(int) []refs.Feed
	if rng.IntN(2) == 0 {
		wants = func(node int) []refs.Feed { return someFeeds(rng, node) }
	}
	v := newVillage(t, faultfs.New(0, rng.IntN(2) == 0), wants)
	if v.tight = seed%2 == 1; v.tight {
		v.disk.Resize(tightSize)
		for _, nd := range v.nodes {
			nd.peer.Reserve, nd.peer.Merging = 16<<10, space.MergeOptions{Least: 4}
		}
	}
	tight, usual, during, count := v.tight, 100, 0, tally{}
	for range pulls {
		nd := v.nodes[rng.IntN(4)]
		for range rng.IntN(4) {
			nd.chat(rng)
		}
		at, done := 1+rng.IntN(2*usual), rng.IntN(2) == 0
		p := v.pull(rng, nd, at, done)
		count.add(&p.rep.Export)
		if p.cut {
			during, usual = during+1, usual+usual/8
		} else {
			usual = max(p.ops, 20)
		}
		if t.Failed() {
			t.Fatalf("after this visit of node %s (pulled during it: %v): %v\n%+v", nd.pair.Feed(), p.cut, p.err, p.rep)
		}
	}
	for range 3 * len(v.nodes) {
		nd := v.nodes[rng.IntN(4)]
		if rep, err := v.visit(nd, stick.VisitOptions{}); err != nil || rep.Partly() && !v.full(&rep) {
			t.Fatalf("visit: %v %+v", err, rep)
		}
	}
	v.disk.Resize(0) // what had to wait for want of room comes now
	v.tight = false
	v.calm()
	t.Logf("%d pulls during a visit, %d after one, of about %d operations at last; tight %v: %+v", during, pulls-during, usual, tight, count)
}

// tightSize is about a third of what is said in a chain.
const tightSize = 200 << 10

// tally counts what visits did.
type tally struct{ bundles, removed, merged, left int64 }

func (c *tally) add(r *stick.Report) {
	c.bundles += r.Bundles
	c.removed += r.Removed
	c.merged += r.Merged
	c.left += r.Left
}

// pulled is a visit that ended by a pull.
type pulled struct {
	rep stick.VisitReport
	err error
	cut bool // during the visit
	ops int  // operations
}

// pull lets a node visit, pulls the plug at an operation of the visit or after
// it, and wants nothing to be lost by that.
func (v *village) pull(rng *rand.Rand, nd *node, at int, done bool) (p pulled) {
	v.t.Helper()
	before := look(v.t, v.disk.Files())
	v.port.With(v.disk, func(root *os.Root) {
		v.disk.Fault(func(op faultfs.Op) faultfs.Outcome {
			if op.Kind == faultfs.Lookup || op.All < at {
				return faultfs.Outcome{}
			}
			p.cut = true
			return faultfs.Outcome{Pull: true, Done: done}
		})
		p.rep, p.err = nd.visitAt(root, stick.VisitOptions{})
	})
	_, p.ops = v.disk.Counts(faultfs.Read)
	promised := look(v.t, v.disk.Files())
	v.disk.Crash(rng)
	after := look(v.t, v.disk.Files())
	v.notWorse(nd, before, after)
	v.acknowledged(after)
	if !p.cut {
		if p.rep.Export.Left == 0 { // else it went for something that did not fit after all
			v.notForNothing(before, promised)
		}
		if p.err != nil || p.rep.Partly() && !v.full(&p.rep) {
			v.t.Errorf("visit without a fault: %v %+v", p.err, p.rep)
		}
	}
	if !p.cut && p.err == nil {
		v.kept(promised, after)
	}
	return p
}

// full reports whether a visit left no have because interrupted ones filled a
// tight disk to the last byte, and somebody lacks something of all that lies there.
func (v *village) full(rep *stick.VisitReport) bool { return v.tight && rep.Export.NoHave }

// notForNothing wants what was removed without anything written instead to be of
// no use to anybody who comes by: what follows on what he holds and can read there.
func (v *village) notForNothing(before, after *onDisk) {
	v.t.Helper()
	for name := range after.bundles {
		if !before.bundles[name] {
			return
		}
	}
	newest := uint64(0)
	for _, h := range before.haves {
		newest = max(newest, h.Visit)
	}
	gone := before.messages.Subtract(&after.messages)
	for i, nd := range v.nodes {
		h, held := before.haves[nd.store.ID()], nd.holds()
		if h == nil || !space.Live(h.Visit, newest, len(before.haves)) {
			continue
		}
		for s := range gone.All() {
			var lacks vector.Ranges
			lacks.Add(s.Feed, held[s.Feed]+1, max(s.Last, held[s.Feed]+1))
			if nd.policy.Wants(s.Feed) && held[s.Feed] < s.Last && lacks.Subtract(&before.messages).Len() == 0 {
				v.t.Errorf("nothing was written, and node %d, which holds feed %s to %d, can no longer read %d to %d", i+1, s.Feed, held[s.Feed], s.First, s.Last)
			}
		}
	}
}

// kept wants what a visit left, before it said that the stick is safe to
// remove, to be there afterwards.
func (v *village) kept(promised, after *onDisk) {
	v.t.Helper()
	for name := range promised.bundles {
		if !after.bundles[name] {
			v.t.Errorf("bundle %s was safe, and is gone", name)
		}
	}
	for store, h := range promised.haves {
		if now := after.haves[store]; now == nil || now.Counter != h.Counter {
			v.t.Errorf("the have %s was safe, and is gone", stick.HaveName(store, h.Counter))
		}
	}
}

// someFeeds picks feeds that a node wants: those of the others for the most
// part.
func someFeeds(rng *rand.Rand, node int) (wanted []refs.Feed) {
	for _, n := range []byte{1, 2, 3, 4, 11, 12, 13, 14} {
		if int(n) != node+1 && rng.IntN(4) > 0 {
			wanted = append(wanted, feed(n))
		}
	}
	return wanted
}

// chat posts to the own feed, or to one that nobody else writes to.
func (nd *node) chat(rng *rand.Rand) {
	own := byte(slices.IndexFunc([]byte{1, 2, 3, 4}, func(n byte) bool { return feed(n) == nd.pair.Feed() }) + 1)
	n := []byte{own, 10 + own}[rng.IntN(2)]
	text := strings.Repeat("lorem ipsum ", rng.IntN(8))
	if rng.IntN(3) == 0 {
		text = noise(7000)
	}
	nd.write(n, 1+rng.IntN(9), text)
}

// noise returns text that does not compress well, for each length the same.
func noise(length int) string {
	rng, b := rand.New(rand.NewPCG(uint64(length), 2)), make([]byte, length)
	for i := range b {
		b[i] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"[rng.IntN(62)]
	}
	return string(b)
}
