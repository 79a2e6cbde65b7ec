package space_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/space"
	"github.com/ssbsync/ssbsync/sync/vector"
)

func feed(n int) refs.Feed { return refs.Feed{byte(n), byte(n >> 8), 1} }

// bundle makes a bundle of a trusted exporter with one run that counts and is
// held.
func bundle(name string, size int64, feedNumber int, first, last int64) space.Bundle {
	return space.Bundle{Name: name, Size: size, Messages: last - first + 1, Exporter: feed(200),
		Runs: []space.Run{{Span: vector.Span{Feed: feed(feedNumber), First: first, Last: last}, Counts: true, Held: true}}}
}

// store makes a live trusted store that wants every feed.
func store(n int, holds map[int]int64) space.Store {
	return space.Store{Identity: feed(100 + n), Trusted: true, Live: true,
		Holds: func(f refs.Feed) int64 { return holds[int(f[0])+int(f[1])<<8] },
		Wants: func(refs.Feed) bool { return true },
	}
}

// names returns which bundles the candidates are, in order.
func names(m *space.Medium, list []space.Candidate) (s []string) {
	for _, c := range list {
		s = append(s, m.Bundles[c.Bundle].Name+" "+c.Reason.String())
	}
	return s
}

func wantNames(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func TestOrder(t *testing.T) {
	m := &space.Medium{Room: 100, Stores: []space.Store{store(1, map[int]int64{1: 100, 2: 50, 3: 20, 4: 10})}}
	m.Bundles = []space.Bundle{
		bundle("near", 1000, 3, 21, 40),
		bundle("far", 1000, 4, 1000, 1019),
		bundle("known", 2000, 1, 1, 100),
		bundle("known-small", 500, 2, 1, 50),
		bundle("copy", 100, 1, 5, 10),
		bundle("unheld", 100, 1, 200, 210),
	}
	m.Bundles[5].Runs[0].Held = false
	wantNames(t, "order", names(m, space.NeedScore{}.Candidates(m)), "copy replaced", "known-small released", "known released", "far pressed", "near pressed")

	// A store that has not come by for long pins nothing, but what it lacks goes
	// after what nobody lacks.
	m.Stores[0].Live = false
	wantNames(t, "dormant", names(m, space.NeedScore{}.Candidates(m)), "copy replaced", "known-small released", "known released", "far released", "near released")

	// One that we do not know has no say at all.
	m.Stores[0].Live, m.Stores[0].Trusted = true, false
	wantNames(t, "stranger", names(m, space.NeedScore{}.Candidates(m)), "copy replaced", "known-small released", "near released", "far released", "known released")
}

// TestClaimEverything: a stranger who claims to hold everything releases
// nothing, and the one who lacks something pins it.
func TestClaimEverything(t *testing.T) {
	liar := space.Store{Identity: feed(99), Live: true,
		Holds: func(refs.Feed) int64 { return vector.MaxSeq }, Wants: func(refs.Feed) bool { return true }}
	m := &space.Medium{Stores: []space.Store{liar, store(1, nil)}, Bundles: []space.Bundle{bundle("needed", 1000, 1, 1, 100)}}
	wantNames(t, "with a liar", names(m, space.NeedScore{}.Candidates(m)), "needed pressed")
	fit := space.Make(space.NeedScore{}, m, []space.Piece{{Span: vector.Span{Feed: feed(2), First: 1, Last: 10}, Bytes: 1000}})
	if len(fit.Remove) != 0 {
		t.Errorf("what is needed as much goes: %+v", fit)
	}
}

func TestStrangersHaveAShare(t *testing.T) {
	m := &space.Medium{Room: 0, Stores: []space.Store{store(1, nil)}}
	stranger := func(name string, exporter int, size int64) {
		b := bundle(name, size, 1, 1, 10)
		b.Exporter, b.Stranger, b.Runs[0].Held, b.Runs[0].Counts = feed(exporter), true, false, false
		m.Bundles = append(m.Bundles, b)
	}
	m.Bundles = append(m.Bundles, bundle("ours", 7000, 5, 1, 10))
	stranger("a1", 1, 300)
	stranger("a2", 1, 500)
	stranger("b1", 2, 200)
	wantNames(t, "within the share", names(m, space.NeedScore{}.Candidates(m)), "ours pressed")
	stranger("a3", 1, 700)
	wantNames(t, "one has too much", names(m, space.NeedScore{}.Candidates(m)), "a3 excess", "ours pressed")
	m.Bundles[0].Size = 800 // the capacity shrinks
	wantNames(t, "less space", names(m, space.NeedScore{}.Candidates(m)), "a3 excess", "a2 excess", "a1 excess", "ours pressed")
}

func TestOfferedFeedsPin(t *testing.T) {
	s := store(1, nil)
	s.Wants = func(refs.Feed) bool { return false }
	m := &space.Medium{Stores: []space.Store{s}, Bundles: []space.Bundle{bundle("x", 10, 1, 1, 10)}}
	wantNames(t, "not wanted", names(m, space.NeedScore{}.Candidates(m)), "x released")
	m.Offered = func(f refs.Feed) bool { return f == feed(1) }
	wantNames(t, "offered", names(m, space.NeedScore{}.Candidates(m)), "x pressed")
}

func TestBlobsPin(t *testing.T) {
	id := refs.Blob{7}
	b := bundle("x", 10, 1, 1, 10)
	b.Blobs = []refs.Blob{id}
	s := store(1, map[int]int64{1: 10})
	m := &space.Medium{Stores: []space.Store{s}, Bundles: []space.Bundle{b, bundle("y", 20, 1, 1, 20)}}
	wantNames(t, "a blob we do not hold", names(m, space.NeedScore{}.Candidates(m)), "y pressed")
	m.HoldsBlob = func(refs.Blob) bool { return true }
	wantNames(t, "a blob we hold", names(m, space.NeedScore{}.Candidates(m)), "x released", "y pressed")
	m.Stores[0].WantsBlob = func(x refs.Blob) bool { return x == id }
	wantNames(t, "a blob somebody wants", names(m, space.NeedScore{}.Candidates(m)), "y pressed")
}

func TestNeed(t *testing.T) {
	m := &space.Medium{Stores: []space.Store{store(1, map[int]int64{1: 10}), store(2, map[int]int64{1: 12})}}
	for _, c := range []struct {
		first, last int64
		want        float64
	}{
		{1, 10, 0}, {11, 11, 1}, {1, 11, 1}, {13, 13, 1 + 1.0/3}, {11, 12, 1.5},
		{1011, 1011, 1.0/1001 + 1.0/999}, {11, 1011, 7.4864698615 + 7.4844698615},
	} {
		got := m.Need(vector.Span{Feed: feed(1), First: c.first, Last: c.last})
		if d := got - c.want; d > 1e-5 || d < -1e-5 {
			t.Errorf("need of %d–%d: %f, want %f", c.first, c.last, got, c.want)
		}
	}
}

// TestReplacedIsSafe: two stores that see different parts of a folder each
// remove what is replaced; no message is gone afterwards.
func TestReplacedIsSafe(t *testing.T) {
	const rounds = 3000
	rng := rand.New(rand.NewPCG(1, 2))
	removed := 0
	for range rounds {
		var all []space.Bundle
		for i := range 1 + rng.IntN(12) {
			b := space.Bundle{Name: fmt.Sprint(i), Size: rng.Int64N(3)}
			for f := range 1 + rng.IntN(3) {
				first := 1 + rng.Int64N(6)
				last := first + rng.Int64N(4)
				b.Runs = append(b.Runs, space.Run{Span: vector.Span{Feed: feed(f), First: first, Last: last}, Counts: rng.IntN(8) > 0})
				b.Messages += last - first + 1
			}
			b.Stranger = rng.IntN(5) == 0
			all = append(all, b)
		}
		gone := make(map[string]bool)
		for range 2 {
			var view space.Medium
			for _, b := range all {
				if rng.IntN(3) > 0 {
					view.Bundles = append(view.Bundles, b)
				}
			}
			for _, i := range space.Replaced(&view) {
				gone[view.Bundles[i].Name] = true
			}
		}
		var before, after []vector.Span
		for _, b := range all {
			for _, r := range b.Runs {
				before = append(before, r.Span)
				if !gone[b.Name] {
					after = append(after, r.Span)
				}
			}
		}
		if !vector.FromSpans(before).Equal(vector.FromSpans(after)) {
			t.Fatalf("something is gone with %v of %+v", gone, all)
		}
		removed += len(gone)
	}
	t.Logf("%d folders, %d bundles removed", rounds, removed)
}

// TestMakeKeepsItsWord: whatever the medium, only what may go goes, and what
// is to be written fits.
func TestMakeKeepsItsWord(t *testing.T) {
	const rounds = 3000
	rng := rand.New(rand.NewPCG(3, 4))
	var removed, written, left int
	for range rounds {
		m := &space.Medium{Room: rng.Int64N(3000)}
		for n := range rng.IntN(4) {
			s := store(n, map[int]int64{1: rng.Int64N(50), 2: rng.Int64N(50), 3: rng.Int64N(50)})
			s.Live, s.Trusted = rng.IntN(4) > 0, rng.IntN(4) > 0
			m.Stores = append(m.Stores, s)
		}
		for i := range rng.IntN(10) {
			first := 1 + rng.Int64N(60)
			b := bundle(fmt.Sprint(i), 1+rng.Int64N(2000), 1+rng.IntN(3), first, first+rng.Int64N(40))
			b.Runs[0].Held, b.Fixed = rng.IntN(4) > 0, rng.IntN(10) == 0
			m.Bundles = append(m.Bundles, b)
		}
		var pieces []space.Piece
		var need, total int64
		for f := 1; f <= 3; f++ {
			p := space.Piece{Span: vector.Span{Feed: feed(f), First: 60, Last: 60 + rng.Int64N(100)}}
			p.Bytes = p.Len() * (1 + rng.Int64N(30))
			pieces = append(pieces, p)
			need, total = need+p.Bytes, total+p.Len()
		}
		fit := space.Make(space.NeedScore{}, m, pieces)
		checkFit(t, m, pieces, fit, total)
		if need <= m.Room && (len(fit.Remove) > 0 || len(fit.Left) > 0) {
			t.Fatalf("there was room for all: %+v", fit)
		}
		removed, written, left = removed+len(fit.Remove), written+len(fit.Write), left+len(fit.Left)
	}
	t.Logf("%d media: %d bundles removed, %d pieces written, %d left", rounds, removed, written, left)
}

func checkFit(t *testing.T, m *space.Medium, pieces []space.Piece, fit space.Fit, total int64) {
	t.Helper()
	room := m.Room
	replaced := space.Replaced(m)
	for _, c := range fit.Remove {
		b := &m.Bundles[c.Bundle]
		room += b.Size
		if b.Fixed || !b.Runs[0].Held && !slices.Contains(replaced, c.Bundle) {
			t.Fatalf("%s must not go: %+v", b.Name, b)
		}
		if need := m.Need(b.Runs[0].Span); (need > 0) != (c.Reason == space.IsPressed) && c.Reason != space.IsReplaced {
			t.Fatalf("%s goes as %s, and is needed by %f", b.Name, c.Reason, need)
		}
	}
	var count int64
	for _, s := range fit.Write {
		count += s.Len()
		for _, p := range pieces {
			if p.Feed == s.Feed {
				room -= s.Len() * (p.Bytes / p.Len())
			}
		}
	}
	for _, s := range fit.Left {
		count += s.Len()
	}
	if room < 0 || count != total || fit.Frees != room-m.Room+spent(pieces, fit) {
		t.Fatalf("%d bytes are lacking, %d of %d messages: %+v", -room, count, total, fit)
	}
}

func spent(pieces []space.Piece, fit space.Fit) (n int64) {
	for _, s := range fit.Write {
		for _, p := range pieces {
			if p.Feed == s.Feed {
				n += s.Len() * (p.Bytes / p.Len())
			}
		}
	}
	return n
}

// TestNearComesFirst: of a long backlog that does not fit the beginning is
// written, and what two stores wait for displaces what one does not get to for
// long.
func TestNearComesFirst(t *testing.T) {
	m := &space.Medium{Room: 5000, Stores: []space.Store{store(1, nil)}}
	fit := space.Make(space.NeedScore{}, m, []space.Piece{{Span: vector.Span{Feed: feed(1), First: 1, Last: 10_000}, Bytes: 1_000_000}})
	if len(fit.Write) != 1 || fit.Write[0].First != 1 || fit.Write[0].Last != 32 || len(fit.Left) != 1 {
		t.Errorf("of a backlog: %+v", fit)
	}
	m = &space.Medium{Stores: []space.Store{store(1, nil), store(2, nil)}, Bundles: []space.Bundle{bundle("far", 1000, 1, 500, 509)}}
	fit = space.Make(space.NeedScore{}, m, []space.Piece{{Span: vector.Span{Feed: feed(2), First: 1, Last: 10}, Bytes: 1000}})
	if len(fit.Remove) != 1 || len(fit.Write) != 1 || len(fit.Left) != 0 {
		t.Errorf("something near for something far: %+v", fit)
	}
}

func TestMerge(t *testing.T) {
	o := space.MergeOptions{Most: 20, Tiny: 100, Least: 5, Bytes: 1000}
	m := &space.Medium{Room: 1 << 20}
	add := func(n int, size int64, own bool) {
		for range n {
			b := bundle(fmt.Sprintf("%03d", len(m.Bundles)), size, 1, 1, 2)
			b.Own = own
			m.Bundles = append(m.Bundles, b)
		}
	}
	add(4, 50, true)
	add(4, 50, false)
	if got := space.Merge(m, o); got != nil || o.Enough(8, 4) {
		t.Errorf("four are merged: %v", got)
	}
	add(1, 99, true)
	add(1, 100, true)
	if got := space.Merge(m, o); !slices.Equal(got, []int{0, 1, 2, 3, 8}) || !o.Enough(10, 5) || !o.IsTiny(99) || o.IsTiny(100) {
		t.Errorf("five are not: %v", got)
	}
	m.Bundles[1].Runs[0].Held = false
	m.Bundles[2].Runs[0].Counts = false
	m.Bundles[3].Fixed = true
	if got := space.Merge(m, o); got != nil {
		t.Errorf("what cannot be vouched for is merged: %v", got)
	}
	add(12, 120, false)
	if got := space.Merge(m, o); len(got) != 11 || slices.Contains(got, 1) || !o.Enough(22, 0) {
		t.Errorf("a crowd: %v", got) // seven of 50, 99 and 100 bytes, and of 120 what fits into 1,000
	}
	m.Room = 300
	if got := space.Merge(m, o); len(got) != 5 {
		t.Errorf("without room: %v", got)
	}
}

// TestSilence: stores that come by in any order, with any numbers, and trust
// whom they like, stop writing haves that say nothing; and nobody is taken to
// be gone who keeps coming by.
func TestSilence(t *testing.T) {
	const rounds = 300
	rng := rand.New(rand.NewPCG(5, 6))
	most := 0
	for range rounds {
		n := 1 + rng.IntN(12)
		numbers := make([]uint64, n)
		trusts := make([][]bool, n)
		for i := range n {
			numbers[i] = rng.Uint64N(500)
			trusts[i] = make([]bool, n)
			for j := range n {
				trusts[i][j] = i == j || rng.IntN(3) > 0
			}
		}
		written := 0
		for quiet := 0; quiet < n; {
			quiet = 0
			for _, i := range rng.Perm(n) {
				newest := uint64(0)
				for j := range n {
					if trusts[i][j] {
						newest = max(newest, numbers[j])
					}
				}
				if !space.Fading(numbers[i], newest, n) {
					quiet++
					continue
				}
				numbers[i] = newest + 1
				if written++; written > 10*n {
					t.Fatalf("%d stores wrote %d haves that say nothing", n, written)
				}
			}
		}
		most = max(most, written)
		for i := range n {
			for j := range n {
				if trusts[i][j] && trusts[j][i] && !space.Live(numbers[j], numbers[i], n) {
					t.Fatalf("%d looks gone among %v", j, numbers)
				}
			}
		}
	}
	t.Logf("%d folders fell silent, after %d haves at most", rounds, most)
}

func TestLive(t *testing.T) {
	for _, c := range []struct {
		visit, newest uint64
		stores        int
		live, fading  bool
	}{{10, 10, 1, true, false}, {11, 10, 1, true, false}, {7, 10, 1, true, true}, {6, 10, 1, false, true}, {8, 10, 1, true, false},
		{70, 100, 10, true, true}, {69, 100, 10, false, true}, {80, 100, 10, true, false}, {0, 3, 0, true, true}} {
		if got := space.Live(c.visit, c.newest, c.stores); got != c.live {
			t.Errorf("Live(%d, %d, %d) = %v", c.visit, c.newest, c.stores, got)
		}
		if got := space.Fading(c.visit, c.newest, c.stores); got != c.fading {
			t.Errorf("Fading(%d, %d, %d) = %v", c.visit, c.newest, c.stores, got)
		}
	}
}

// BenchmarkCandidates: what is asked when a medium is full or crowded.
func BenchmarkCandidates(b *testing.B) {
	rng := rand.New(rand.NewPCG(7, 8))
	m := &space.Medium{Room: 1 << 20}
	for i := range 1000 {
		x := space.Bundle{Name: fmt.Sprint(i), Size: 10_000}
		for range 100 {
			first := 1 + rng.Int64N(1000)
			x.Runs = append(x.Runs, space.Run{Span: vector.Span{Feed: feed(rng.IntN(10_000)), First: first, Last: first + 5}, Counts: true, Held: true})
			x.Messages += 6
		}
		m.Bundles = append(m.Bundles, x)
	}
	for i := range 10 {
		m.Stores = append(m.Stores, store(i, map[int]int64{1: 5}))
	}
	for b.Loop() {
		space.NeedScore{}.Candidates(m)
	}
}

// TestRelieve: on a medium that is nearly full what nobody needs goes, and
// nothing else, until an eighth is free.
func TestRelieve(t *testing.T) {
	m := &space.Medium{Room: 100, Stores: []space.Store{store(1, map[int]int64{1: 100})}}
	m.Bundles = []space.Bundle{bundle("a", 300, 1, 1, 30), bundle("b", 200, 1, 31, 60), bundle("needed", 1000, 2, 1, 10), bundle("c", 600, 1, 61, 100)}
	wantNames(t, "nearly full", names(m, space.Relieve(space.NeedScore{}, m)), "b released")
	m.Room = 0
	wantNames(t, "full", names(m, space.Relieve(space.NeedScore{}, m)), "b released", "a released")
	m.Room = 1000
	wantNames(t, "with room", names(m, space.Relieve(space.NeedScore{}, m)))
	m.Room, m.Bundles = 0, m.Bundles[2:3]
	wantNames(t, "all needed", names(m, space.Relieve(space.NeedScore{}, m)))
}

// TestUnneededExcess: what strangers have above their share goes for nothing
// unless a live store that we trust lacks some of it.
func TestUnneededExcess(t *testing.T) {
	id := refs.Blob{7}
	s := store(1, map[int]int64{1: 100, 3: 100})
	s.WantsBlob = func(x refs.Blob) bool { return x == id }
	m := &space.Medium{Stores: []space.Store{s}}
	m.Bundles = []space.Bundle{bundle("lacked", 1000, 2, 1, 30), bundle("known", 900, 1, 1, 30), bundle("blob", 800, 3, 1, 30)}
	m.Bundles[2].Blobs = []refs.Blob{id}
	for i := range m.Bundles {
		b := &m.Bundles[i]
		b.Stranger, b.Runs[0].Held, b.Runs[0].Counts = true, false, false
	}
	wantNames(t, "unneeded", names(m, space.Unneeded(space.NeedScore{}, m)), "known excess")
	m.Stores[0].Live = false
	wantNames(t, "dormant", names(m, space.Unneeded(space.NeedScore{}, m)), "lacked excess", "known excess", "blob excess")
}
