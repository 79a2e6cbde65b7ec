package store_test

import (
	"path/filepath"
	"testing"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
)

func TestGrowth(t *testing.T) {
	s, err := store.Open(filepath.Join(t.TempDir(), "store.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	heads := make([]message.Head, 3)
	pairs := make([]*keys.Pair, len(heads))
	for n := range heads {
		pairs[n] = keys.FromSeed([32]byte{200, byte(n)})
		heads[n].Feed = pairs[n].Feed()
	}
	want := make(map[refs.Feed]int64)
	for i := range 30 {
		n := i % len(heads)
		m, err := message.Create(pairs[n], heads[n], []byte(`{"type":"test"}`), float64(i+1), nil)
		if err == nil {
			heads[n], err = heads[n].Next(m)
		}
		if err == nil {
			_, err = s.Append([]*message.Message{m})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var after uint64
	calls := 0
	for {
		grown, last, err := s.Growth(after, 7)
		if err != nil {
			t.Fatal(err)
		}
		if last == after {
			if len(grown) != 0 {
				t.Errorf("nothing new, yet %d feeds grew", len(grown))
			}
			break
		}
		if last-after > 7 || len(grown) > 3 {
			t.Errorf("looked at %d messages of %d feeds, want at most 7 of 3", last-after, len(grown))
		}
		for _, e := range grown {
			if e.Seq <= want[e.Feed] {
				t.Errorf("feed %s: %d after %d", e.Feed, e.Seq, want[e.Feed])
			}
			want[e.Feed] = e.Seq
		}
		after = last
		calls++
	}
	for _, h := range heads {
		if want[h.Feed] != h.Seq {
			t.Errorf("feed %s: grown to %d, want %d", h.Feed, want[h.Feed], h.Seq)
		}
	}
	t.Logf("%d messages in %d calls", after, calls)
}
