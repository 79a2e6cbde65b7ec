package stick

import (
	"errors"
	"slices"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/vector"
)

// held is what our store holds at one moment.
type held struct {
	store *store.Store
	ids   []message.Head // ascending feeds
	clock vector.Clock
}

func readHeld(s *store.Store) (*held, error) {
	heads, err := s.Heads()
	if err != nil {
		return nil, err
	}
	entries := make([]vector.Entry, len(heads))
	for i, h := range heads {
		entries[i] = vector.Entry{Feed: h.Feed, Seq: h.Seq}
	}
	return &held{s, heads, vector.FromEntries(entries)}, nil
}

// head returns the last sequence held of a feed, 0 for none.
func (h *held) head(feed refs.Feed) int64 {
	seq, _ := h.clock.Get(feed)
	return seq
}

// prefix returns the first bytes of the id of a held message; known is false
// when it cannot be read any more.
func (h *held) prefix(feed refs.Feed, seq int64) (prefix [8]byte, known bool, err error) {
	i, found := slices.BinarySearchFunc(h.ids, feed, func(x message.Head, f refs.Feed) int { return x.Feed.Compare(f) })
	if found && h.ids[i].Seq == seq {
		return [8]byte(h.ids[i].ID[:8]), true, nil
	}
	rec, err := h.store.Get(feed, seq)
	if errors.Is(err, store.ErrDamaged) {
		return prefix, false, nil
	}
	return [8]byte(rec.ID[:8]), err == nil, err
}

// lack decides what of a claim is worth reading: what our store lacks, our
// policy wants, and could be stored.
type lack struct {
	held    *held
	own     refs.Feed
	accept  func(refs.Feed) bool // nil: every feed
	frozen  map[refs.Feed]bool   // forked: nothing more is stored
	waiting map[refs.Feed]*vector.Ranges
}

// readLack looks at the store as it is now.
func readLack(s *store.Store, own refs.Feed, accept func(refs.Feed) bool) (*lack, error) {
	h, err := readHeld(s)
	if err != nil {
		return nil, err
	}
	forks, err := s.Forks()
	if err != nil {
		return nil, err
	}
	l := &lack{held: h, own: own, accept: accept, frozen: make(map[refs.Feed]bool, len(forks))}
	for _, f := range forks {
		l.frozen[f.Feed] = true
	}
	l.waiting, err = readWaiting(s)
	return l, err
}

// wants reports whether the policy takes the feed. The own feed is always
// taken: the own-feed guard depends on it.
func (l *lack) wants(feed refs.Feed) bool {
	return feed == l.own || l.accept == nil || l.accept(feed)
}

// spans returns what of a claim is worth reading.
func (l *lack) spans(claim vector.Span) []vector.Span {
	claim.First = max(claim.First, l.held.head(claim.Feed)+1)
	if claim.Len() == 0 || l.frozen[claim.Feed] || !l.wants(claim.Feed) {
		return nil
	}
	return l.waiting[claim.Feed].Uncovered(claim)
}

// readWaiting returns the messages that wait in the store for those before
// them: they need not be read again.
func readWaiting(s *store.Store) (map[refs.Feed]*vector.Ranges, error) {
	waiting := make(map[refs.Feed]*vector.Ranges)
	var after refs.Feed
	for {
		feeds, err := s.WaitingFeeds(after, store.MaxPage)
		if err != nil || len(feeds) == 0 {
			return waiting, err
		}
		for _, f := range feeds {
			if waiting[f.Feed], err = readWaitingFeed(s, f.Feed); err != nil {
				return nil, err
			}
			after = f.Feed
		}
	}
}

func readWaitingFeed(s *store.Store, feed refs.Feed) (*vector.Ranges, error) {
	var r vector.Ranges
	for from := int64(1); ; {
		page, err := s.WaitingFor(feed, from, 100)
		if err != nil || len(page) == 0 {
			return &r, err
		}
		for _, rec := range page {
			r.Add(feed, rec.Seq, rec.Seq)
			from = rec.Seq + 1
		}
	}
}
