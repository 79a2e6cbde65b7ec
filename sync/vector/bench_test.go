package vector_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/sync/vector"
)

const benchFeeds = 100_000

// benchEntries returns feeds with random ids, as real ones are.
func benchEntries(seed uint64) []vector.Entry {
	rng := rand.New(rand.NewPCG(seed, 0))
	entries := make([]vector.Entry, benchFeeds)
	for i := range entries {
		for at := 0; at < 32; at += 8 {
			binary.BigEndian.PutUint64(entries[i].Feed[at:], rng.Uint64())
		}
		entries[i].Seq = 1 + rng.Int64N(10_000)
	}
	return entries
}

// behind returns a copy in which every nth feed lacks a message.
func behind(entries []vector.Entry, n int) vector.Clock {
	older := append([]vector.Entry(nil), entries...)
	for i := range older {
		if i%n == 0 {
			older[i].Seq--
		}
	}
	return vector.FromEntries(older)
}

// BenchmarkMissing compares two vectors. best-µs is the fastest round: what a
// machine takes that does nothing else.
func BenchmarkMissing(b *testing.B) {
	entries := benchEntries(1)
	ours := vector.FromEntries(entries)
	cases := []struct {
		name   string
		theirs vector.Clock
		spans  int
	}{
		{"equal", vector.FromEntries(benchEntries(1)), 0},
		{"each100thBehind", behind(entries, 100), benchFeeds / 100},
		{"each3rdBehind", behind(entries, 3), (benchFeeds + 2) / 3},
		{"noFeedInCommon", vector.FromEntries(benchEntries(2)), benchFeeds},
		{"theyHaveNothing", vector.Clock{}, benchFeeds},
	}
	for _, c := range cases {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			best := time.Hour
			for b.Loop() {
				start := time.Now()
				got := len(ours.Missing(c.theirs))
				best = min(best, time.Since(start))
				if got != c.spans {
					b.Fatalf("%d spans, want %d", got, c.spans)
				}
			}
			b.ReportMetric(float64(best.Nanoseconds())/1000, "best-µs")
		})
	}
}

func BenchmarkMerge(b *testing.B) {
	ours, theirs := vector.FromEntries(benchEntries(1)), vector.FromEntries(benchEntries(2))
	for b.Loop() {
		vector.Merge(ours, theirs)
	}
}

func BenchmarkFromEntries(b *testing.B) {
	entries := benchEntries(1)
	for b.Loop() {
		vector.FromEntries(entries)
	}
}

func BenchmarkDecodeClock(b *testing.B) {
	encoded, _ := vector.FromEntries(benchEntries(1)).AppendBinary(nil)
	b.ReportMetric(float64(len(encoded))/benchFeeds, "bytes/feed")
	for b.Loop() {
		if _, err := vector.DecodeClock(encoded, benchFeeds); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFromSpans builds the coverage of a stick of many small bundles.
func BenchmarkFromSpans(b *testing.B) {
	rng := rand.New(rand.NewPCG(9, 9))
	entries := benchEntries(1)[:10_000]
	spans := make([]vector.Span, 50_000)
	for i := range spans {
		first := 1 + rng.Int64N(10_000)
		spans[i] = vector.Span{Feed: entries[i%len(entries)].Feed, First: first, Last: first + 9}
	}
	for b.Loop() {
		vector.FromSpans(spans)
	}
}
