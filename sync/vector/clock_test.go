package vector_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/vector"
)

// maxFeeds is the limit that tests decode with.
const maxFeeds = 1 << 20

// feedNamed returns feeds that differ early for most n, and late for some:
// real ids are random, hostile ones share a prefix.
func feedNamed(n int) (f refs.Feed) {
	f[n%2*31] = byte(n)
	f[16] = byte(n >> 8)
	return f
}

// model is a clock as a plain map.
type model map[refs.Feed]int64

func randomModel(rng *rand.Rand) (model, []vector.Entry) {
	m := model{}
	var entries []vector.Entry
	for range rng.IntN(30) {
		e := vector.Entry{Feed: feedNamed(rng.IntN(20)), Seq: rng.Int64N(6)}
		entries = append(entries, e)
		m[e.Feed] = max(m[e.Feed], e.Seq)
	}
	return m, entries
}

func (m model) missing(theirs model) []vector.Span {
	var spans []vector.Span
	for _, feed := range slices.SortedFunc(maps.Keys(m), refs.Feed.Compare) {
		if m[feed] > theirs[feed] {
			spans = append(spans, vector.Span{Feed: feed, First: theirs[feed] + 1, Last: m[feed]})
		}
	}
	return spans
}

func (m model) merge(other model) model {
	sum := maps.Clone(m)
	for feed, seq := range other {
		sum[feed] = max(sum[feed], seq)
	}
	return sum
}

func checkClock(t *testing.T, c vector.Clock, want model) {
	t.Helper()
	if got := model(maps.Collect(c.All())); !maps.Equal(got, want) || c.Len() != len(want) {
		t.Fatalf("clock holds %v, want %v", got, want)
	}
	var feeds []refs.Feed
	for feed := range c.All() {
		feeds = append(feeds, feed)
	}
	if !slices.IsSortedFunc(feeds, refs.Feed.Compare) {
		t.Fatalf("feeds out of order: %v", feeds)
	}
	for n := range 20 {
		seq, ok := c.Get(feedNamed(n))
		wantSeq, wantOK := want[feedNamed(n)]
		if seq != wantSeq || ok != wantOK {
			t.Fatalf("Get(%d) = %d, %v, want %d, %v", n, seq, ok, wantSeq, wantOK)
		}
	}
}

func TestClockAgainstMap(t *testing.T) {
	const rounds = 3000
	rng := rand.New(rand.NewPCG(1, 2))
	for range rounds {
		m, entries := randomModel(rng)
		other, otherEntries := randomModel(rng)
		c, d := vector.FromEntries(entries), vector.FromEntries(otherEntries)
		checkClock(t, c, m)
		checkClock(t, vector.Merge(c, d), m.merge(other))
		if got, want := c.Missing(d), m.missing(other); !slices.Equal(got, want) {
			t.Fatalf("Missing = %v, want %v", got, want)
		}
		if c.Equal(d) != maps.Equal(m, other) {
			t.Fatalf("Equal is wrong for %v and %v", m, other)
		}
		encoded, _ := c.AppendBinary(nil)
		back, err := vector.DecodeClock(encoded, maxFeeds)
		if err != nil || !back.Equal(c) {
			t.Fatalf("decoding %x: %v, %v", encoded, back, err)
		}
	}
	t.Logf("%d random pairs of clocks", rounds)
}

func TestFromEntriesDoesNotTouchItsInput(t *testing.T) {
	entries := []vector.Entry{{feedNamed(9), 1}, {feedNamed(1), 2}}
	before := slices.Clone(entries)
	vector.FromEntries(entries)
	if !slices.Equal(entries, before) {
		t.Fatal("FromEntries sorted the slice of its caller")
	}
}

func TestClockBounds(t *testing.T) {
	c := vector.FromEntries([]vector.Entry{
		{feedNamed(0), -7}, {feedNamed(1), vector.MaxSeq + 1}, {feedNamed(2), 0}})
	checkClock(t, c, model{feedNamed(0): 0, feedNamed(1): vector.MaxSeq, feedNamed(2): 0})
	var zero vector.Clock
	checkClock(t, zero, nil)
	if got := zero.Missing(c); len(got) != 0 {
		t.Fatalf("an empty clock holds %v", got)
	}
	if got := c.Missing(zero); len(got) != 1 || got[0].Len() != vector.MaxSeq {
		t.Fatalf("Missing = %v, want the one feed that has messages", got)
	}
}

// reference is an encoding spelled out, so that the format cannot drift.
func TestClockEncoding(t *testing.T) {
	c := vector.FromEntries([]vector.Entry{{refs.Feed{2}, 300}, {refs.Feed{1}, 0}})
	want := append([]byte{2, 1}, make([]byte, 31)...)
	want = append(append(want, 2), make([]byte, 31)...)
	want = append(want, 0, 0xac, 0x02)
	if got, _ := c.AppendBinary([]byte("x")); string(got) != "x"+string(want) {
		t.Fatalf("encoded as %x, want %x", got[1:], want)
	}
	for n := range want {
		if _, err := vector.DecodeClock(want[:n], maxFeeds); err == nil {
			t.Fatalf("truncation to %d bytes accepted", n)
		}
	}
	bad := map[string][]byte{
		"trailing byte":         append(slices.Clone(want), 0),
		"number not shortest":   append(slices.Clone(want[:len(want)-1]), 0x82, 0x00),
		"sequence over MaxSeq":  append(slices.Clone(want[:len(want)-2]), 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10),
		"number over 64 bits":   append(slices.Clone(want[:len(want)-2]), slices.Repeat([]byte{0xff}, 11)...),
		"feeds descending":      swapFeeds(want),
		"feed twice":            append(append(slices.Clone(want[:33]), want[1:33]...), 0, 0),
		"count without content": {0xff, 0xff, 0x3f},
	}
	for name, b := range bad {
		if c, err := vector.DecodeClock(b, maxFeeds); err == nil {
			t.Errorf("%s accepted as %v", name, c)
		}
	}
	if _, err := vector.DecodeClock(want, 1); err == nil {
		t.Error("two feeds accepted where one is the limit")
	}
}

func swapFeeds(b []byte) []byte {
	s := slices.Clone(b)
	copy(s[1:33], b[33:65])
	copy(s[33:65], b[1:33])
	return s
}

func FuzzDecodeClock(f *testing.F) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		_, entries := randomModel(rng)
		encoded, _ := vector.FromEntries(entries).AppendBinary(nil)
		if _, err := vector.DecodeClock(encoded, maxFeeds); err != nil {
			f.Fatal(err)
		}
		f.Add(encoded)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := vector.DecodeClock(b, maxFeeds)
		if err != nil {
			return
		}
		if again, _ := c.AppendBinary(nil); string(again) != string(b) {
			t.Fatalf("%x decodes to a clock that encodes as %x", b, again)
		}
	})
}
