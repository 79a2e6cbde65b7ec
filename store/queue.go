package store

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// queue is the account of one feed's waiting messages, or of all.
type queue struct {
	messages, bytes int64
}

func (q queue) encode() []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(q.messages))
	return binary.BigEndian.AppendUint64(b, uint64(q.bytes))
}

// parseQueue decodes an account; none is an empty one.
func parseQueue(v []byte) (queue, error) {
	if v == nil {
		return queue{}, nil
	}
	if len(v) != 16 {
		return queue{}, fmt.Errorf("%w: account of waiting messages", ErrDamaged)
	}
	return queue{
		messages: int64(binary.BigEndian.Uint64(v)),
		bytes:    int64(binary.BigEndian.Uint64(v[8:])),
	}, nil
}

// queues changes the waiting messages inside a transaction and keeps the
// accounts, which flush writes.
type queues struct {
	meta, waiting, accounts *bolt.Bucket
	limits                  WaitingLimits

	total   queue
	feeds   map[refs.Feed]*queue // the accounts that were touched
	changed bool

	added, duplicate int64
	evicted          map[refs.Feed]*WaitingFeed
}

func newQueues(tx *bolt.Tx, l WaitingLimits) (*queues, error) {
	q := &queues{
		meta:     tx.Bucket(bucketMeta),
		waiting:  tx.Bucket(bucketWaiting),
		accounts: tx.Bucket(bucketQueues),
		limits:   l,
		feeds:    make(map[refs.Feed]*queue),
		evicted:  make(map[refs.Feed]*WaitingFeed),
	}
	if q.limits.Total <= 0 {
		q.limits.Total = DefaultWaitingTotal
	}
	if q.limits.PerFeed <= 0 {
		q.limits.PerFeed = DefaultWaitingPerFeed
	}
	var err error
	q.total, err = parseQueue(q.meta.Get(keyWaiting))
	return q, err
}

// account returns the account of a feed.
func (q *queues) account(feed refs.Feed) (*queue, error) {
	if a := q.feeds[feed]; a != nil {
		return a, nil
	}
	a, err := parseQueue(q.accounts.Get(feed[:]))
	if err != nil {
		return nil, err
	}
	q.feeds[feed] = &a
	return &a, nil
}

// add keeps one message, within its feed's limit.
func (q *queues) add(m *message.Message) error {
	key := waitingKey(m.Feed(), m.Seq(), m.ID())
	if q.waiting.Get(key) != nil {
		q.duplicate++
		return nil
	}
	a, err := q.account(m.Feed())
	if err != nil {
		return err
	}
	size := waitingSize(waitingHeader + len(m.Value()))
	for a.bytes+size > q.limits.PerFeed {
		last, v := seekLast(q.waiting.Cursor(), m.Feed())
		if last == nil || waitingSeq(last) <= m.Seq() {
			q.evict(m.Feed(), m.Seq(), size)
			return nil
		}
		if err := q.evictKey(last, len(v)); err != nil {
			return err
		}
	}
	value := make([]byte, waitingHeader, waitingHeader+len(m.Value()))
	binary.BigEndian.PutUint32(value, crc32.Checksum(m.Value(), castagnoli))
	if err := q.waiting.Put(key, append(value, m.Value()...)); err != nil {
		return err
	}
	q.book(a, 1, size)
	q.added++
	return nil
}

// waitingSize is what a waiting message counts, given its stored value's
// length.
func waitingSize(value int) int64 { return int64(waitingKeyLen + value) }

// book changes the accounts.
func (q *queues) book(a *queue, messages, bytes int64) {
	a.messages += messages
	a.bytes += bytes
	q.total.messages += messages
	q.total.bytes += bytes
	q.changed = true
}

// remove removes one message; value is its stored length.
func (q *queues) remove(key []byte, value int) error {
	a, err := q.account(refs.Feed(key[:32]))
	if err != nil {
		return err
	}
	q.book(a, -1, -waitingSize(value))
	return q.waiting.Delete(slices.Clone(key))
}

// evictKey removes one message and names it.
func (q *queues) evictKey(key []byte, value int) error {
	q.evict(refs.Feed(key[:32]), waitingSeq(key), waitingSize(value))
	return q.remove(key, value)
}

// evict names a message that is not kept.
func (q *queues) evict(feed refs.Feed, seq, size int64) {
	e := q.evicted[feed]
	if e == nil {
		e = &WaitingFeed{Feed: feed, First: seq, Last: seq}
		q.evicted[feed] = e
	}
	e.First, e.Last = min(e.First, seq), max(e.Last, seq)
	e.Messages++
	e.Bytes += size
}

// victim is a feed that shrink may evict from.
type victim struct {
	feed   refs.Feed
	wanted bool
	bytes  int64
}

// shrink evicts until all that waits is within the limit, and a sixteenth
// below, so that a steady flood does not cause this work every time.
func (q *queues) shrink() error {
	if q.total.bytes <= q.limits.Total {
		return nil
	}
	if err := q.flush(); err != nil {
		return err
	}
	victims, err := q.victims()
	if err != nil {
		return err
	}
	target := q.limits.Total - q.limits.Total/16
	for _, v := range victims {
		for q.total.bytes > target {
			key, value := seekLast(q.waiting.Cursor(), v.feed)
			if key == nil {
				break
			}
			if err := q.evictKey(key, len(value)); err != nil {
				return err
			}
		}
	}
	return nil
}

// victims lists all feeds that wait, the first to go first.
func (q *queues) victims() ([]victim, error) {
	var all []victim
	err := q.accounts.ForEach(func(k, v []byte) error {
		a, err := parseQueue(v)
		if err != nil || len(k) != 32 {
			return fmt.Errorf("%w: account of the waiting messages of feed %x", ErrDamaged, k)
		}
		feed := refs.Feed(k)
		wanted := q.limits.Wanted != nil && q.limits.Wanted(feed)
		all = append(all, victim{feed: feed, wanted: wanted, bytes: a.bytes})
		return nil
	})
	slices.SortFunc(all, func(x, y victim) int {
		if x.wanted != y.wanted {
			if x.wanted {
				return 1
			}
			return -1
		}
		return cmp.Or(cmp.Compare(y.bytes, x.bytes), x.feed.Compare(y.feed))
	})
	return all, err
}

// flush writes the accounts that changed.
func (q *queues) flush() error {
	if !q.changed {
		return nil
	}
	for feed, a := range q.feeds {
		var err error
		if a.messages == 0 {
			err = q.accounts.Delete(feed[:])
		} else {
			err = q.accounts.Put(feed[:], a.encode())
		}
		if err != nil {
			return err
		}
	}
	return q.meta.Put(keyWaiting, q.total.encode())
}
