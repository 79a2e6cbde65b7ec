package store_test

import (
	"slices"
	"testing"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
)

// wait hands over messages to wait.
func wait(t *testing.T, s *store.Store, l store.WaitingLimits, msgs ...*message.Message) store.WaitingResult {
	t.Helper()
	r, err := s.AddWaiting(msgs, l)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// waiting reads all that waits of a feed.
func waiting(t *testing.T, s *store.Store, feed refs.Feed) []store.Record {
	t.Helper()
	recs, err := s.WaitingFor(feed, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	return recs
}

func TestWaiting(t *testing.T) {
	s := temp(t)
	a, b := feed(t, 8, author(1)), feed(t, 4, author(2))
	branch := chain(t, author(1), message.Head{}, 5, "branch")
	if r := wait(t, s, store.WaitingLimits{}, a[3], a[2], a[5], b[3], a[3], branch[3]); r.Added != 5 || r.Duplicate != 1 || r.Evicted != nil {
		t.Errorf("added: %+v", r)
	}
	if r := wait(t, s, store.WaitingLimits{}, a[2], a[7]); r.Added != 1 || r.Duplicate != 1 {
		t.Errorf("added again: %+v", r)
	}
	recs := waiting(t, s, a[0].Feed())
	if got, want := sequences(recs), []int64{3, 4, 4, 6, 8}; !slices.Equal(got, want) {
		t.Fatalf("waiting: %v, want %v", got, want)
	}
	matches(t, recs[0], a[2])
	if recs, err := s.WaitingFor(a[0].Feed(), 4, 2); err != nil || !slices.Equal(sequences(recs), []int64{4, 4}) {
		t.Errorf("from 4: %v, %v", sequences(recs), err)
	}
	checkWaiting(t, s, 2, 6)
	if s.Last() != 0 {
		t.Error("a waiting message is in the receive log")
	}
	_, err := s.ByID(a[2].ID())
	isErr(t, 0, err, store.ErrNotFound)
	listWaiting(t, s, a[0].Feed(), b[0].Feed())

	if err := s.RemoveWaiting(append(recs[:3], store.Record{Feed: b[0].Feed(), Seq: 1})); err != nil {
		t.Fatal(err)
	}
	checkWaiting(t, s, 2, 3)
	if err := s.RemoveWaiting(append(waiting(t, s, a[0].Feed()), waiting(t, s, b[0].Feed())...)); err != nil {
		t.Fatal(err)
	}
	checkWaiting(t, s, 0, 0)
}

// checkWaiting compares the account with what is expected of it.
func checkWaiting(t *testing.T, s *store.Store, feeds, messages int64) {
	t.Helper()
	w, err := s.WaitingStats()
	if err != nil || w.Feeds != feeds || w.Messages != messages || (w.Bytes == 0) != (messages == 0) {
		t.Errorf("%+v, %v, want %d feeds, %d messages", w, err, feeds, messages)
	}
	report, err := s.Check(t.Context(), store.CheckOptions{})
	if err != nil || !report.OK() || report.Waiting != messages {
		t.Errorf("check: %+v, %v", report, err)
	}
}

// listWaiting lists the feeds of TestWaiting one at a time.
func listWaiting(t *testing.T, s *store.Store, a, b refs.Feed) {
	t.Helper()
	var after refs.Feed
	var got []store.WaitingFeed
	for {
		page, err := s.WaitingFeeds(after, 1)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		got = append(got, page...)
		after = page[0].Feed
	}
	for i := range got {
		got[i].Bytes = 0
	}
	want := []store.WaitingFeed{{Feed: a, First: 3, Last: 8, Messages: 5}, {Feed: b, First: 4, Last: 4, Messages: 1}}
	slices.SortFunc(want, func(x, y store.WaitingFeed) int { return x.Feed.Compare(y.Feed) })
	if !slices.Equal(got, want) {
		t.Errorf("feeds that wait: %+v, want %+v", got, want)
	}
	for _, w := range want {
		one, err := s.WaitingOf(w.Feed)
		if one.Bytes = 0; err != nil || one != w {
			t.Errorf("feed that waits: %+v, %v", one, err)
		}
	}
	if one, err := s.WaitingOf(author(9).Feed()); err != nil || one != (store.WaitingFeed{Feed: author(9).Feed()}) {
		t.Errorf("feed that does not wait: %+v, %v", one, err)
	}
}

// waitingSize is what a message counts against the limits.
func waitingSize(m *message.Message) int64 { return int64(32 + 4 + 32 + 4 + len(m.Value())) }

func TestWaitingPerFeed(t *testing.T) {
	s := temp(t)
	f := feed(t, 20, author(1))
	limit := store.WaitingLimits{PerFeed: 5 * waitingSize(f[19])}
	r := wait(t, s, limit, f[10:20]...)
	if r.Added != 5 || len(r.Evicted) != 1 {
		t.Fatalf("%+v", r)
	}
	if e := r.Evicted[0]; e.Feed != f[0].Feed() || e.First != 16 || e.Last != 20 || e.Messages != 5 {
		t.Errorf("evicted %+v", e)
	}
	// What is nearer to the head pushes out what is farther away.
	r = wait(t, s, limit, f[4], f[2], f[18])
	if r.Added != 2 || len(r.Evicted) != 1 || r.Evicted[0].Messages != 3 {
		t.Errorf("%+v", r)
	}
	if got, want := sequences(waiting(t, s, f[0].Feed())), []int64{3, 5, 11, 12, 13}; !slices.Equal(got, want) {
		t.Errorf("waiting: %v, want %v", got, want)
	}
	// Another feed has room of its own.
	if r := wait(t, s, limit, feed(t, 3, author(2))[2]); r.Added != 1 || r.Evicted != nil {
		t.Errorf("%+v", r)
	}
	checkWaiting(t, s, 2, 6)
}

func TestWaitingTotal(t *testing.T) {
	s := temp(t)
	feeds := make([][]*message.Message, 8)
	var size int64
	for n := range feeds {
		feeds[n] = feed(t, 3+n, author(n))[2:]
		for _, m := range feeds[n] {
			size += waitingSize(m)
		}
	}
	wanted := feeds[7][0].Feed() // the largest, and yet the last to go
	limits := store.WaitingLimits{Total: size / 2, Wanted: func(f refs.Feed) bool { return f == wanted }}
	r := wait(t, s, limits, interleave(feeds...)...)
	if r.Added != 36 {
		t.Errorf("added %d", r.Added)
	}
	stats, err := s.WaitingStats()
	if err != nil || stats.Bytes > limits.Total || stats.Bytes < limits.Total*3/4 {
		t.Errorf("%+v of %d, %v", stats, limits.Total, err)
	}
	var evicted int64
	for i, e := range r.Evicted {
		evicted += e.Messages
		if e.Feed == wanted || i > 0 && r.Evicted[i-1].Feed.Compare(e.Feed) >= 0 {
			t.Errorf("evicted %+v", e)
		}
	}
	if evicted+stats.Messages != 36 {
		t.Errorf("%d evicted and %d waiting of 36", evicted, stats.Messages)
	}
	if n := len(waiting(t, s, wanted)); n != 8 {
		t.Errorf("%d of 8 of the wanted feed wait", n)
	}
	if n := len(waiting(t, s, feeds[0][0].Feed())); n != 1 {
		t.Errorf("%d of 1 of the smallest feed wait", n)
	}
	checkWaiting(t, s, stats.Feeds, stats.Messages)

	// Nothing is safe when nothing fits.
	r = wait(t, s, store.WaitingLimits{Total: 1, Wanted: limits.Wanted}, feed(t, 2, author(20))[1])
	if len(r.Evicted) != int(stats.Feeds)+1 {
		t.Errorf("%+v", r.Evicted)
	}
	checkWaiting(t, s, 0, 0)
}
