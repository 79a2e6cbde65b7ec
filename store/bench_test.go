package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
)

// fill appends messages in batches.
func fill(t testing.TB, s *store.Store, msgs []*message.Message, batch int) {
	t.Helper()
	for len(msgs) > 0 {
		n := min(batch, len(msgs))
		mustAppend(t, s, store.Stored, msgs[:n]...)
		msgs = msgs[n:]
	}
}

func valueBytes(msgs []*message.Message) (n int64) {
	for _, m := range msgs {
		n += int64(len(m.Value()))
	}
	return n
}

// BenchmarkAppend imports the data set into an empty store. ns/msg includes
// the fsyncs; disk/raw is the size of the file against the values in it.
func BenchmarkAppend(b *testing.B) {
	msgs := dataSet(b)
	for _, batch := range []int{2 << 10, 8 << 10, 32 << 10} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			var size int64
			for range b.N {
				b.StopTimer()
				path := filepath.Join(b.TempDir(), "store.db")
				s, err := store.Open(path, store.Options{})
				if err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				fill(b, s, msgs, batch)
				b.StopTimer()
				size = diskUse(b, path)
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(msgs)), "ns/msg")
			b.ReportMetric(float64(size)/float64(valueBytes(msgs)), "disk/raw")
		})
	}
}

// BenchmarkAppendOne appends one message a transaction, as live traffic does.
func BenchmarkAppendOne(b *testing.B) {
	msgs := dataSet(b)
	s := temp(b)
	fill(b, s, msgs[:len(msgs)/2], 8<<10)
	rest := msgs[len(msgs)/2:]
	b.ResetTimer()
	for i := range b.N {
		if i >= len(rest) {
			b.Skip("more rounds than messages")
		}
		mustAppend(b, s, store.Stored, rest[i])
	}
}

// filled returns a store with the data set, and its longest feed.
func filled(b *testing.B) (s *store.Store, longest message.Head) {
	s = temp(b)
	fill(b, s, dataSet(b), 32<<10)
	heads, err := s.Heads()
	if err != nil {
		b.Fatal(err)
	}
	for _, h := range heads {
		if h.Seq > longest.Seq {
			longest = h
		}
	}
	return s, longest
}

func BenchmarkFeedPage(b *testing.B) {
	s, head := filled(b)
	var n int
	b.ResetTimer()
	for range b.N {
		page, err := s.FeedPage(head.Feed, 1, 0, store.MaxPage, false)
		if err != nil {
			b.Fatal(err)
		}
		n += len(page)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/msg")
}

func BenchmarkLogPage(b *testing.B) {
	s, _ := filled(b)
	var n int
	var after uint64
	b.ResetTimer()
	for range b.N {
		page, err := s.LogPage(after, 0, store.MaxPage, false)
		if err != nil {
			b.Fatal(err)
		}
		n += len(page)
		after += uint64(len(page))
		if len(page) < store.MaxPage {
			after = 0
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/msg")
}

func BenchmarkByID(b *testing.B) {
	s, _ := filled(b)
	var some []refs.Message
	for after := uint64(0); after < s.Last(); after += max(1, s.Last()/100) {
		page, err := s.LogPage(after, 0, 10, false)
		if err != nil {
			b.Fatal(err)
		}
		some = append(some, ids(page)...)
	}
	b.ResetTimer()
	for i := range b.N {
		if _, err := s.ByID(some[i%len(some)]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "store.db")
	s, err := store.Open(path, store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	fill(b, s, dataSet(b), 32<<10)
	for b.Loop() {
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		if s, err = store.Open(path, store.Options{}); err != nil {
			b.Fatal(err)
		}
	}
	s.Close()
}

func BenchmarkCheck(b *testing.B) {
	s, _ := filled(b)
	b.ResetTimer()
	for range b.N {
		report, err := s.Check(b.Context(), store.CheckOptions{})
		if err != nil || !report.OK() {
			b.Fatal(err, report.Problems)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(uint64(b.N)*s.Last()), "ns/msg")
}

func size(t testing.TB, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// BenchmarkCompact compacts a store that has grown by small commits, as a
// server's does. disk/raw is the size of the file against the values in it,
// before and after; anew after another tenth of the messages came.
func BenchmarkCompact(b *testing.B) {
	msgs := dataSet(b)
	most := len(msgs) - len(msgs)/10
	var before, after, anew int64
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		s := temp(b)
		fill(b, s, msgs[:most], 500)
		b.StartTimer()
		report, err := s.Compact(b.Context(), store.CompactOptions{})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		before, after = report.Before, report.After
		fill(b, s, msgs[most:], 500)
		anew = size(b, s.Path())
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*most), "ns/msg")
	b.ReportMetric(float64(before)/float64(valueBytes(msgs[:most])), "disk/raw-before")
	b.ReportMetric(float64(after)/float64(valueBytes(msgs[:most])), "disk/raw")
	b.ReportMetric(float64(anew)/float64(valueBytes(msgs)), "disk/raw-anew")
}
