package store_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/store"
)

// beside are readers that go on while messages come in.
var beside = []struct {
	name    string
	readers []func(context.Context, *store.Store) error
}{
	{"nobody", nil},
	{"slowLog", []func(context.Context, *store.Store) error{streamLog}},
	{"feedScan", []func(context.Context, *store.Store) error{scanFeeds}},
	{"both", []func(context.Context, *store.Store) error{streamLog, scanFeeds}},
}

// streamLog reads the whole log again and again, in pages, and takes its time
// with each.
func streamLog(ctx context.Context, s *store.Store) error {
	for after := uint64(0); ctx.Err() == nil; {
		page, err := s.LogPage(after, 0, store.MaxPage, false)
		if err != nil {
			return err
		}
		after += uint64(len(page))
		if len(page) < store.MaxPage {
			after = 0
		}
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

// scanFeeds reads one feed after the other from its beginning.
func scanFeeds(ctx context.Context, s *store.Store) error {
	for ctx.Err() == nil {
		heads, err := s.Heads()
		if err != nil {
			return err
		}
		for _, h := range heads {
			for first := int64(1); first <= h.Seq && ctx.Err() == nil; first += store.MaxPage {
				if _, err := s.FeedPage(h.Feed, first, 0, store.MaxPage, false); err != nil {
					return err
				}
			}
			select {
			case <-ctx.Done():
			case <-time.After(time.Millisecond):
			}
		}
	}
	return nil
}

// BenchmarkAppendBesideReaders appends the data set while others read: a stream
// of the log whose reader is slow, a scan of all feeds. longest-ms is the
// commit that took longest; disk/raw is the size of the file against the values
// in it: both are those of nobody as long as readers leave their snapshots
// between pages.
func BenchmarkAppendBesideReaders(b *testing.B) {
	msgs := dataSet(b)
	for _, c := range beside {
		b.Run(c.name, func(b *testing.B) {
			var length int64
			var longest time.Duration
			for range b.N {
				b.StopTimer()
				s, err := store.Open(filepath.Join(b.TempDir(), "store.db"), store.Options{})
				if err != nil {
					b.Fatal(err)
				}
				ctx, stop := context.WithCancel(b.Context())
				var group sync.WaitGroup
				for _, read := range c.readers {
					group.Go(func() {
						if err := read(ctx, s); err != nil {
							b.Error(err)
						}
					})
				}
				b.StartTimer()
				longest = max(longest, fillTimed(b, s, msgs, 2000))
				b.StopTimer()
				stop()
				group.Wait()
				length = diskUse(b, s.Path())
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(msgs)), "ns/msg")
			b.ReportMetric(float64(longest.Microseconds())/1000, "longest-ms")
			b.ReportMetric(float64(length)/float64(valueBytes(msgs)), "disk/raw")
		})
	}
}

// fillTimed appends in batches and returns how long the slowest took.
func fillTimed(t testing.TB, s *store.Store, msgs []*message.Message, batch int) (longest time.Duration) {
	t.Helper()
	for len(msgs) > 0 {
		n := min(batch, len(msgs))
		start := time.Now()
		mustAppend(t, s, store.Stored, msgs[:n]...)
		longest = max(longest, time.Since(start))
		msgs = msgs[n:]
	}
	return longest
}

// TestIdleReaders has readers that took a page and never come back for the
// next: an import beside them ends, and makes the file no larger than one
// without them.
func TestIdleReaders(t *testing.T) {
	msgs := interleave(feed(t, 400, author(1)), feed(t, 400, author(2)), feed(t, 400, author(3)))
	var lengths [2]int64
	for round := range lengths {
		s := temp(t)
		for rest := msgs; len(rest) > 0; rest = rest[50:] {
			mustAppend(t, s, store.Stored, rest[:50]...)
			if round == 0 {
				continue
			}
			// Nothing of a page depends on the store once it was returned.
			page, err := s.LogPage(0, 0, 10, false)
			if err != nil || len(page) != 10 {
				t.Fatal(len(page), err)
			}
			if page, err = s.FeedPage(author(1).Feed(), 1, 0, 10, false); err != nil || len(page) != 10 {
				t.Fatal(len(page), err)
			}
		}
		lengths[round] = size(t, s.Path())
	}
	if lengths[0] != lengths[1] {
		t.Errorf("%d bytes without readers, %d with them", lengths[0], lengths[1])
	}
}
