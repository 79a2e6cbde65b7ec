package store

import (
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/vector"
)

// MaxPage is the largest number of records that one call returns.
const MaxPage = 1000

// Record is a stored message as readers get it.
type Record struct {
	Rx       uint64  // receive number, counted from 1 without holes
	Received float64 // when it was received, milliseconds since 1970; strictly increasing with Rx
	Feed     refs.Feed
	Seq      int64
	ID       refs.Message
	Value    []byte // compact ECMAScript JSON; a copy that the caller may keep
}

// Head returns the head of a feed; Seq is 0 when the store has none of its
// messages.
func (s *Store) Head(feed refs.Feed) (head message.Head, err error) {
	head.Feed = feed
	err = s.view(func(tx *bolt.Tx) error {
		v := tx.Bucket(bucketFeeds).Get(feed[:])
		if v == nil {
			return nil
		}
		f, err := parseFeedHead(feed[:], v)
		head.Seq, head.ID = f.seq, f.id
		return err
	})
	if err != nil {
		return head, fmt.Errorf("reading the head of feed %s: %w", feed, err)
	}
	return head, nil
}

// Heads returns the heads of all feeds, sorted by feed.
func (s *Store) Heads() ([]message.Head, error) {
	var heads []message.Head
	err := s.view(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketFeeds).ForEach(func(k, v []byte) error {
			f, err := parseFeedHead(k, v)
			if err == nil {
				heads = append(heads, message.Head{Feed: refs.Feed(k), Seq: f.seq, ID: f.id})
			}
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("reading the heads: %w", err)
	}
	return heads, nil
}

// Vector returns what the store holds as a vector: feed → head sequence.
func (s *Store) Vector() (vector.Clock, error) {
	heads, err := s.Heads()
	if err != nil {
		return vector.Clock{}, err
	}
	entries := make([]vector.Entry, len(heads))
	for i, h := range heads {
		entries[i] = vector.Entry{Feed: h.Feed, Seq: h.Seq}
	}
	return vector.FromEntries(entries), nil
}

// Get returns the message of a feed at a sequence, or ErrNotFound.
func (s *Store) Get(feed refs.Feed, seq int64) (rec Record, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		page, err := s.newReader(tx).feed(feed, seq, max(seq, 1), 1, false)
		if err != nil {
			return err
		}
		if seq < 1 || len(page) == 0 {
			return ErrNotFound
		}
		rec = page[0]
		return nil
	})
	if err != nil {
		return rec, fmt.Errorf("reading message %d of feed %s: %w", seq, feed, err)
	}
	return rec, nil
}

// ByID returns the message with an id, or ErrNotFound.
func (s *Store) ByID(id refs.Message) (rec Record, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		rec, err = s.newReader(tx).byID(id)
		return err
	})
	if err != nil {
		return rec, fmt.Errorf("reading message %s: %w", id, err)
	}
	return rec, nil
}

// Has reports whether the store holds the message with an id.
func (s *Store) Has(id refs.Message) (has bool, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		rx, err := s.newReader(tx).rxOf(id)
		has = rx != 0
		return err
	})
	if err != nil {
		return false, fmt.Errorf("looking for message %s: %w", id, err)
	}
	return has, nil
}

// FeedPage returns messages of a feed with first ≤ sequence ≤ last, ascending,
// or descending from last when reverse; last ≤ 0 means up to the head. It
// returns at most limit records and at most MaxPage; limit ≤ 0 means MaxPage.
// Fewer than that are the last ones.
func (s *Store) FeedPage(feed refs.Feed, first, last int64, limit int, reverse bool) (page []Record, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		page, err = s.newReader(tx).feed(feed, first, last, pageLimit(limit), reverse)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading feed %s: %w", feed, err)
	}
	return page, nil
}

// LogPage returns messages in receive order with after < Rx < before, ascending,
// or descending when reverse; before = 0 means up to the newest. It returns at
// most limit records and at most MaxPage; limit ≤ 0 means MaxPage. Fewer than
// that are the last ones.
func (s *Store) LogPage(after, before uint64, limit int, reverse bool) (page []Record, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		page, err = s.newReader(tx).log(after, before, pageLimit(limit), reverse)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the receive log: %w", err)
	}
	return page, nil
}

func pageLimit(limit int) int {
	if limit <= 0 || limit > MaxPage {
		return MaxPage
	}
	return limit
}

// Rx returns the message with a receive number, or ErrNotFound.
func (s *Store) Rx(rx uint64) (Record, error) {
	page, err := s.LogPage(max(rx, 1)-1, rx+1, 1, false)
	if err == nil && len(page) == 0 {
		err = fmt.Errorf("reading message %d in receive order: %w", rx, ErrNotFound)
	}
	if err != nil {
		return Record{}, err
	}
	return page[0], nil
}

// After returns the receive number of the last message received before the
// given time (milliseconds since 1970), 0 if there is none: LogPage after it
// gives what was received at that time or later.
func (s *Store) After(received float64) (rx uint64, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		rx, err = s.newReader(tx).before(received)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("searching the receive log: %w", err)
	}
	return rx, nil
}
