package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// Defaults of WaitingLimits.
const (
	DefaultWaitingTotal   = 256 << 20
	DefaultWaitingPerFeed = 4 << 20
)

// WaitingLimits bound the messages that wait for the ones before them. Sizes
// count keys and values; zero means the default.
type WaitingLimits struct {
	Total   int64 // bytes of all waiting messages
	PerFeed int64 // bytes of one feed's waiting messages

	// Wanted feeds are evicted last; nil means that none is wanted.
	Wanted func(refs.Feed) bool
}

// Waiting tells how much of a feed, or of all, is waiting.
type Waiting struct {
	Feeds, Messages, Bytes int64
}

// WaitingFeed is a feed of which messages wait. Between the feed's head and
// First something is missing.
type WaitingFeed struct {
	Feed        refs.Feed
	First, Last int64 // lowest and highest sequence that waits
	Messages    int64
	Bytes       int64
}

// WaitingResult is what AddWaiting did.
type WaitingResult struct {
	Added     int64 // messages that wait now and did not before
	Duplicate int64 // messages that were waiting already

	// Evicted names, sorted by feed, what had to go to keep the limits, be
	// it old or of this very call.
	Evicted []WaitingFeed
}

const (
	waitingKeyLen = 32 + 4 + 32
	waitingHeader = 4
)

// AddWaiting keeps verified messages that do not attach to their feed yet, so
// that they need not be fetched again. They are no part of the feeds: no other
// method returns them, and what exceeds the limits is evicted, of a feed the
// highest sequences first, among feeds the ones that are not wanted first and
// then the largest.
func (s *Store) AddWaiting(msgs []*message.Message, l WaitingLimits) (res WaitingResult, err error) {
	for i, m := range msgs {
		if !m.Valid() {
			return res, fmt.Errorf("keeping waiting messages: message %d of %d was never verified", i+1, len(msgs))
		}
	}
	err = s.update(func(tx *bolt.Tx) (bool, error) {
		q, err := newQueues(tx, l)
		if err != nil {
			return false, err
		}
		for _, m := range msgs {
			if err := q.add(m); err != nil {
				return false, err
			}
		}
		if err := q.shrink(); err != nil {
			return false, err
		}
		res = q.result()
		return q.changed, q.flush()
	})
	if err != nil {
		return WaitingResult{}, fmt.Errorf("keeping %d waiting messages: %w", len(msgs), err)
	}
	return res, nil
}

// WaitingFor returns messages of a feed that wait, from sequence from on,
// ascending; several of one sequence are possible. Limit is that of FeedPage.
// Rx and Received are zero.
func (s *Store) WaitingFor(feed refs.Feed, from int64, limit int) (page []Record, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketWaiting).Cursor()
		start := binary.BigEndian.AppendUint32(bytes.Clone(feed[:]), uint32(min(max(from, 0), maxSeq)))
		for k, v := c.Seek(start); bytes.HasPrefix(k, feed[:]) && len(page) < pageLimit(limit); k, v = c.Next() {
			rec, err := parseWaiting(k, v)
			if err != nil {
				return err
			}
			page = append(page, rec)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the waiting messages of feed %s: %w", feed, err)
	}
	return page, nil
}

// RemoveWaiting removes waiting messages, named by their feed, sequence and
// id, as WaitingFor returned them. What is not there is no error.
func (s *Store) RemoveWaiting(recs []Record) error {
	err := s.update(func(tx *bolt.Tx) (bool, error) {
		q, err := newQueues(tx, WaitingLimits{})
		if err != nil {
			return false, err
		}
		for _, r := range recs {
			key := waitingKey(r.Feed, r.Seq, r.ID)
			if v := q.waiting.Get(key); v != nil {
				if err := q.remove(key, len(v)); err != nil {
					return false, err
				}
			}
		}
		return q.changed, q.flush()
	})
	if err != nil {
		return fmt.Errorf("removing %d waiting messages: %w", len(recs), err)
	}
	return nil
}

// WaitingStats returns how much is waiting in all.
func (s *Store) WaitingStats() (w Waiting, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		sum, err := parseQueue(tx.Bucket(bucketMeta).Get(keyWaiting))
		w = Waiting{Messages: sum.messages, Bytes: sum.bytes}
		c := tx.Bucket(bucketQueues).Cursor()
		for k, _ := c.First(); k != nil; k, _ = c.Next() {
			w.Feeds++
		}
		return err
	})
	if err != nil {
		return w, fmt.Errorf("counting the waiting messages: %w", err)
	}
	return w, nil
}

// WaitingFeeds returns feeds of which messages wait, sorted, beginning after
// the given one (the zero feed: from the start). Limit is that of FeedPage.
func (s *Store) WaitingFeeds(after refs.Feed, limit int) (feeds []WaitingFeed, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		waiting, queues := tx.Bucket(bucketWaiting).Cursor(), tx.Bucket(bucketQueues).Cursor()
		for k, v := queues.Seek(append(bytes.Clone(after[:]), 0)); k != nil && len(feeds) < pageLimit(limit); k, v = queues.Next() {
			f, err := describeQueue(waiting, k, v)
			if err != nil {
				return err
			}
			feeds = append(feeds, f)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing the feeds that wait: %w", err)
	}
	return feeds, nil
}

// describeQueue reads what waits of one feed.
func describeQueue(waiting *bolt.Cursor, feed, v []byte) (f WaitingFeed, err error) {
	q, err := parseQueue(v)
	if err != nil || len(feed) != 32 {
		return f, fmt.Errorf("%w: account of the waiting messages of feed %x", ErrDamaged, feed)
	}
	first, _ := waiting.Seek(feed)
	last, _ := seekLast(waiting, refs.Feed(feed))
	if !bytes.HasPrefix(first, feed) || last == nil {
		return f, fmt.Errorf("%w: no message of feed %x waits, against the account", ErrDamaged, feed)
	}
	return WaitingFeed{
		Feed: refs.Feed(feed), Messages: q.messages, Bytes: q.bytes,
		First: waitingSeq(first), Last: waitingSeq(last),
	}, nil
}

// seekLast places the cursor on the last waiting message of a feed; the key is
// nil if there is none.
func seekLast(c *bolt.Cursor, feed refs.Feed) (k, v []byte) {
	if k, _ = c.Seek(append(feed[:], bytes.Repeat([]byte{0xff}, waitingKeyLen-31)...)); k == nil {
		k, v = c.Last()
	} else {
		k, v = c.Prev()
	}
	if !bytes.HasPrefix(k, feed[:]) {
		return nil, nil
	}
	return k, v
}

func waitingKey(feed refs.Feed, seq int64, id refs.Message) []byte {
	key := make([]byte, 0, waitingKeyLen)
	key = append(key, feed[:]...)
	key = binary.BigEndian.AppendUint32(key, uint32(seq))
	return append(key, id[:]...)
}

func waitingSeq(key []byte) int64 { return int64(binary.BigEndian.Uint32(key[32:])) }

// parseWaiting decodes a waiting message and copies its value.
func parseWaiting(key, v []byte) (Record, error) {
	if len(key) != waitingKeyLen || len(v) < waitingHeader {
		return Record{}, fmt.Errorf("%w: waiting message %x", ErrDamaged, key)
	}
	r := Record{Feed: refs.Feed(key[:32]), Seq: waitingSeq(key), ID: refs.Message(key[36:])}
	if binary.BigEndian.Uint32(v) != crc32.Checksum(v[waitingHeader:], castagnoli) {
		return r, fmt.Errorf("%w: waiting message %d of feed %s has changed on disk", ErrDamaged, r.Seq, r.Feed)
	}
	r.Value = bytes.Clone(v[waitingHeader:])
	return r, nil
}

// result sums up what a transaction did.
func (q *queues) result() WaitingResult {
	r := WaitingResult{Added: q.added, Duplicate: q.duplicate}
	for _, feed := range slices.SortedFunc(maps.Keys(q.evicted), refs.Feed.Compare) {
		r.Evicted = append(r.Evicted, *q.evicted[feed])
	}
	return r
}
