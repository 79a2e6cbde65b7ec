package store_test

import (
	"bytes"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
)

// chainOf returns n messages of one feed.
func chainOf(t *testing.T, seed byte, n int) []*message.Message {
	pair := keys.FromSeed([32]byte{seed})
	head := message.Head{Feed: pair.Feed()}
	var msgs []*message.Message
	for range n {
		m, err := message.Create(pair, head, []byte(`{"type":"post"}`), 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		if head, err = head.Next(m); err != nil {
			t.Fatal(err)
		}
		msgs = append(msgs, m)
	}
	return msgs
}

// Holds knows exactly the bytes that are stored, at their place.
func TestHolds(t *testing.T) {
	s, err := store.Open(filepath.Join(t.TempDir(), "store.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a, b := chainOf(t, 1, 130), chainOf(t, 2, 3)
	if _, err := s.Append(append(slices.Clone(a), b[:2]...)); err != nil {
		t.Fatal(err)
	}
	probe := func(m *message.Message) store.Record {
		return store.Record{Feed: m.Feed(), Seq: m.Seq(), Value: m.Value()}
	}
	var probes []store.Record
	var want []bool
	ask := func(p store.Record, held bool) {
		probes, want = append(probes, p), append(want, held)
	}
	for n, m := range a {
		ask(probe(m), true)
		wrong := probe(m)
		wrong.Value = bytes.Replace(wrong.Value, []byte("post"), []byte("pest"), 1)
		ask(wrong, false)
		elsewhere := probe(m)
		elsewhere.Seq++
		ask(elsewhere, false)
		ask(probe(b[n%3]), n%3 < 2)
	}
	ask(store.Record{}, false)
	ask(store.Record{Feed: refs.Feed{1}, Seq: 1}, false)
	ask(store.Record{Feed: a[0].Feed(), Seq: 0}, false)
	ask(store.Record{Feed: a[0].Feed(), Seq: -1}, false)
	held := make([]bool, len(probes)+1)
	if err := s.Holds(probes, held); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(held[:len(probes)], want) {
		t.Errorf("%v", held)
	}
	t.Logf("%d probes", len(probes))
}

// WaitingOf counts what waits of one feed.
func TestWaitingOf(t *testing.T) {
	s, err := store.Open(filepath.Join(t.TempDir(), "store.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a, b := chainOf(t, 1, 9), chainOf(t, 2, 3)
	if _, err := s.AddWaiting([]*message.Message{a[2], a[6], b[1]}, store.WaitingLimits{}); err != nil {
		t.Fatal(err)
	}
	w, err := s.WaitingOf(a[0].Feed())
	if err != nil || w.Feed != a[0].Feed() || w.First != 3 || w.Last != 7 || w.Messages != 2 || w.Bytes == 0 {
		t.Errorf("%+v, %v", w, err)
	}
	none := store.WaitingFeed{Feed: refs.Feed{7}}
	if w, err := s.WaitingOf(none.Feed); err != nil || w != none {
		t.Errorf("%+v, %v", w, err)
	}
}
