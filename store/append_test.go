package store_test

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
)

func TestAppendAndRead(t *testing.T) {
	s := temp(t)
	a, b, c := feed(t, 150, author(1)), feed(t, 70, author(2)), feed(t, 1, author(3))
	all := interleave(a, b, c)
	for i, r := range mustAppend(t, s, store.Stored, all...) {
		if r.Rx != uint64(i+1) || r.Have != all[i].Seq() {
			t.Fatalf("message %d: %+v", i, r)
		}
	}
	if s.Last() != uint64(len(all)) {
		t.Errorf("last is %d, want %d", s.Last(), len(all))
	}
	for _, f := range [][]*message.Message{a, b, c} {
		readFeed(t, s, f)
	}
	readLog(t, s, all)
}

// readFeed reads a whole feed in every way there is.
func readFeed(t *testing.T, s *store.Store, f []*message.Message) {
	t.Helper()
	id, n := f[0].Feed(), int64(len(f))
	head, err := s.Head(id)
	if err != nil || head != (message.Head{Feed: id, Seq: n, ID: f[n-1].ID()}) {
		t.Fatalf("head %+v, %v", head, err)
	}
	for _, m := range f {
		rec, err := s.Get(id, m.Seq())
		if err != nil {
			t.Fatal(err)
		}
		matches(t, rec, m)
		byID, err := s.ByID(m.ID())
		if err != nil || byID.Rx != rec.Rx || byID.Received != rec.Received {
			t.Fatalf("by id: %+v, %v", byID, err)
		}
		matches(t, byID, m)
	}
	page, err := s.FeedPage(id, 1, 0, 0, true)
	if err != nil || len(page) != len(f) {
		t.Fatalf("page of %d, want %d: %v", len(page), len(f), err)
	}
	slices.Reverse(page)
	for i, rec := range page {
		matches(t, rec, f[i])
	}
}

// readLog reads the receive log in pages of every size.
func readLog(t *testing.T, s *store.Store, all []*message.Message) {
	t.Helper()
	for _, limit := range []int{1, 7, len(all), len(all) + 1} {
		var after uint64
		var got []store.Record
		for {
			page, err := s.LogPage(after, 0, limit, false)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			got = append(got, page...)
			after = page[len(page)-1].Rx
		}
		if len(got) != len(all) {
			t.Fatalf("%d messages in pages of %d, want %d", len(got), limit, len(all))
		}
		for i, rec := range got {
			matches(t, rec, all[i])
			if i > 0 && rec.Received <= got[i-1].Received {
				t.Fatalf("receive time %v follows %v", rec.Received, got[i-1].Received)
			}
		}
	}
}

func TestPages(t *testing.T) {
	s := temp(t)
	f := feed(t, 10, author(1))
	mustAppend(t, s, store.Stored, f...)
	id := author(1).Feed()
	for _, c := range []struct {
		first, last int64
		limit       int
		reverse     bool
		want        []int64
	}{
		{1, 0, 0, false, []int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}},
		{-5, 99, 0, false, []int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}},
		{4, 6, 0, false, []int64{4, 5, 6}},
		{4, 6, 0, true, []int64{6, 5, 4}},
		{4, 6, 2, true, []int64{6, 5}},
		{9, 0, 5, false, []int64{9, 10}},
		{11, 0, 5, false, nil},
		{7, 6, 5, false, nil},
	} {
		page, err := s.FeedPage(id, c.first, c.last, c.limit, c.reverse)
		if got := sequences(page); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("feed %+v: got %v, %v", c, got, err)
		}
	}
	for _, c := range []struct {
		after, before uint64
		limit         int
		reverse       bool
		want          []int64
	}{
		{0, 0, 3, false, []int64{1, 2, 3}},
		{0, 0, 3, true, []int64{10, 9, 8}},
		{3, 6, 0, false, []int64{4, 5}},
		{3, 6, 0, true, []int64{5, 4}},
		{0, 3, 1, true, []int64{2}},
		{9, 99, 0, true, []int64{10}},
		{10, 0, 0, false, nil},
		{0, 1, 0, true, nil},
	} {
		page, err := s.LogPage(c.after, c.before, c.limit, c.reverse)
		if got := sequences(page); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("log %+v: got %v, %v", c, got, err)
		}
	}
}

func sequences(page []store.Record) (all []int64) {
	for _, rec := range page {
		all = append(all, rec.Seq)
	}
	return all
}

func TestHeadsAndVector(t *testing.T) {
	s := temp(t)
	if heads, err := s.Heads(); err != nil || len(heads) != 0 {
		t.Errorf("empty store: %v, %v", heads, err)
	}
	var want []message.Head
	for n := range 20 {
		f := feed(t, n%3+1, author(n))
		last := f[len(f)-1]
		want = append(want, message.Head{Feed: last.Feed(), Seq: last.Seq(), ID: last.ID()})
		mustAppend(t, s, store.Stored, f...)
	}
	slices.SortFunc(want, func(x, y message.Head) int { return x.Feed.Compare(y.Feed) })
	heads, err := s.Heads()
	if err != nil || !slices.Equal(heads, want) {
		t.Errorf("heads: %v", err)
	}
	clock, err := s.Vector()
	if err != nil || clock.Len() != len(want) {
		t.Fatalf("vector of %d: %v", clock.Len(), err)
	}
	for _, h := range want {
		if seq, ok := clock.Get(h.Feed); !ok || seq != h.Seq {
			t.Errorf("vector has %d of %s, want %d", seq, h.Feed, h.Seq)
		}
	}
}

func TestNotFound(t *testing.T) {
	s := temp(t)
	f := feed(t, 2, author(1))
	mustAppend(t, s, store.Stored, f...)
	_, err1 := s.Get(f[0].Feed(), 3)
	_, err2 := s.Get(author(2).Feed(), 1)
	_, err3 := s.ByID(refs.Message{1})
	_, err4 := s.Rx(3)
	_, err5 := s.Rx(0)
	_, err6 := s.Get(f[0].Feed(), 0)
	for i, err := range []error{err1, err2, err3, err4, err5, err6} {
		isErr(t, i, err, store.ErrNotFound)
	}
	if head, err := s.Head(author(2).Feed()); err != nil || head != (message.Head{Feed: author(2).Feed()}) {
		t.Errorf("head of an unknown feed: %+v, %v", head, err)
	}
	if has, err := s.Has(f[1].ID()); !has || err != nil {
		t.Errorf("has: %v, %v", has, err)
	}
	if has, err := s.Has(refs.Message{1}); has || err != nil {
		t.Errorf("has: %v, %v", has, err)
	}
}

// TestStatuses walks through everything that can happen to a message.
func TestStatuses(t *testing.T) {
	s := temp(t)
	f := feed(t, 5, author(1))
	mustAppend(t, s, store.Gap, f[1])
	mustAppend(t, s, store.Stored, f[0], f[1])
	r := mustAppend(t, s, store.Duplicate, f[0], f[1])
	if r[0].Rx != 1 || r[1].Rx != 2 || r[0].Have != 2 {
		t.Errorf("duplicates: %+v", r)
	}
	mustAppend(t, s, store.Gap, f[3])

	// All in one transaction, duplicates of what it stored itself included.
	results, err := s.Append([]*message.Message{f[2], f[2], f[4], f[3], f[2], f[0], f[4]})
	if err != nil {
		t.Fatal(err)
	}
	want := []store.Status{
		store.Stored, store.Duplicate, store.Gap, store.Stored, store.Duplicate, store.Duplicate, store.Stored,
	}
	for i, r := range results {
		if r.Status != want[i] {
			t.Errorf("message %d: %v, want %v", i, r.Status, want[i])
		}
	}
	if names := want[0].String() + " " + store.Status(0).String() + " " + store.Detached.String(); names != "stored invalid detached" {
		t.Error(names)
	}
}

func TestDetached(t *testing.T) {
	s := temp(t)
	ours := feed(t, 3, author(1))
	mustAppend(t, s, store.Stored, ours[:2]...)
	theirs := chain(t, author(1), message.Head{}, 3, "branch")
	mustAppend(t, s, store.Detached, theirs[2])
	if forks, err := s.Forks(); err != nil || len(forks) != 0 {
		t.Errorf("forks: %v, %v", forks, err)
	}
	mustAppend(t, s, store.Stored, ours[2])
}

func TestRefusesUnverified(t *testing.T) {
	s := temp(t)
	good := feed(t, 1, author(1))[0]
	for _, bad := range []*message.Message{nil, {}} {
		if _, err := s.Append([]*message.Message{good, bad}); err == nil {
			t.Error("took a message that was never verified")
		}
		if _, err := s.AddWaiting([]*message.Message{bad}, store.WaitingLimits{}); err == nil {
			t.Error("took a waiting message that was never verified")
		}
	}
	if s.Last() != 0 {
		t.Error("the good message of a refused call was stored")
	}
	if r, err := s.Append(nil); err != nil || len(r) != 0 {
		t.Errorf("nothing: %v, %v", r, err)
	}
}

// TestReceiveTime appends under clocks that stand still, go back or are mad.
func TestReceiveTime(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	s := open(t, filepath.Join(t.TempDir(), "store.db"), store.Options{Now: func() time.Time { return now }})
	f := feed(t, 60, author(1))
	for i, at := range []time.Time{now, now, now.Add(-time.Hour), now.Add(time.Hour), time.Unix(0, 0), time.Unix(1<<40, 0)} {
		now = at
		mustAppend(t, s, store.Stored, f[i*10:i*10+10]...)
	}
	page, err := s.LogPage(0, 0, 0, false)
	if err != nil {
		t.Fatal(err)
	}
	for i, rec := range page[1:] {
		if rec.Received <= page[i].Received {
			t.Fatalf("message %d received at %v after %v", i+2, rec.Received, page[i].Received)
		}
	}
	if got, want := page[0].Received, 1_700_000_000_000.0; got != want {
		t.Errorf("first received at %v, want %v", got, want)
	}
	if got, want := page[1].Received, 1_700_000_000_000.001; got != want {
		t.Errorf("second received at %v, want %v", got, want)
	}
	for i, rec := range page {
		if rx, err := s.After(rec.Received); err != nil || rx != uint64(i) {
			t.Errorf("before %v: %d, %v, want %d", rec.Received, rx, err, i)
		}
	}
	if rx, err := s.After(1e300); err != nil || rx != 60 {
		t.Errorf("before the end of time: %d, %v", rx, err)
	}
}

// TestCollidingIDs keeps so little of every id that all of them collide.
func TestCollidingIDs(t *testing.T) {
	for keep := range 3 {
		path := filepath.Join(t.TempDir(), "store.db")
		s, err := store.Open(path, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		s.ShortenIDs(keep)
		all := interleave(feed(t, 40, author(1)), feed(t, 40, author(2)))
		mustAppend(t, s, store.Stored, all[:30]...)
		mustAppend(t, s, store.Stored, all[30:]...)
		for _, m := range all {
			rec, err := s.ByID(m.ID())
			if err != nil {
				t.Fatal(err)
			}
			matches(t, rec, m)
		}
		_, err = s.ByID(refs.Message{})
		isErr(t, keep, err, store.ErrNotFound)
		closeChecked(t, s)
	}
}

// TestDataSet imports real messages in batches and compares everything.
func TestDataSet(t *testing.T) {
	msgs := dataSet(t)
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path, store.Options{})
	fill(t, s, msgs, 777)
	for i, m := range msgs {
		rec, err := s.ByID(m.ID())
		if err != nil || rec.Rx != uint64(i+1) {
			t.Fatalf("message %d: %+v, %v", i, rec, err)
		}
		matches(t, rec, m)
	}
	mustAppend(t, s, store.Duplicate, msgs...)
	report, err := s.Check(t.Context(), store.CheckOptions{Signatures: true})
	if err != nil || !report.OK() || report.Messages != int64(len(msgs)) || report.Bytes != valueBytes(msgs) {
		t.Errorf("check: %+v, %v", report, err)
	}
	t.Logf("%d messages of %d feeds, %d bytes; file of %d", report.Messages, report.Feeds, report.Bytes, size(t, path))
}
