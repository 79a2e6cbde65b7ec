package store

import (
	"bytes"
	"encoding/binary"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// reader reads records inside one transaction.
type reader struct {
	messages, feeds, numbers, sequences, ids *bolt.Bucket

	idLen  int    // bytes of an id that the index keeps
	number uint32 // the feed looked up last
	feedID refs.Feed

	// Over messages, feeds and sequences; nil until they are needed. Bucket.Get
	// would make a new one each time.
	records, heads, chunks *bolt.Cursor

	chunkAt  [8]byte // of the sequences looked up last
	chunk    []byte
	hasChunk bool
}

func (s *Store) newReader(tx *bolt.Tx) *reader {
	return &reader{
		messages:  tx.Bucket(bucketMessages),
		feeds:     tx.Bucket(bucketFeeds),
		numbers:   tx.Bucket(bucketNumbers),
		sequences: tx.Bucket(bucketSequences),
		ids:       tx.Bucket(bucketIDs),
		idLen:     s.idLen,
	}
}

// record decodes and copies a record.
func (r *reader) record(rx uint64, raw []byte) (Record, error) {
	h, value, err := parseRecord(rx, raw)
	if err != nil {
		return Record{}, err
	}
	feed, err := r.feedOf(h.number)
	if err != nil {
		return Record{}, err
	}
	return Record{Rx: rx, Received: h.received, Feed: feed, Seq: h.seq, ID: h.id, Value: bytes.Clone(value)}, nil
}

// feedOf returns the feed with a number.
func (r *reader) feedOf(number uint32) (refs.Feed, error) {
	if number == r.number && number != 0 {
		return r.feedID, nil
	}
	id := r.numbers.Get(numberKey(number))
	if len(id) != len(r.feedID) {
		return refs.Feed{}, fmt.Errorf("%w: no feed has number %d", ErrDamaged, number)
	}
	r.number, r.feedID = number, refs.Feed(id)
	return r.feedID, nil
}

// feed reads a page of a feed.
func (r *reader) feed(feed refs.Feed, first, last int64, limit int, reverse bool) ([]Record, error) {
	v := r.feeds.Get(feed[:])
	if v == nil {
		return nil, nil
	}
	head, err := parseFeedHead(feed[:], v)
	if err != nil {
		return nil, err
	}
	if last <= 0 || last > head.seq {
		last = head.seq
	}
	first = max(first, 1)
	if first > last {
		return nil, nil
	}
	n := int(min(last-first+1, int64(limit)))
	r.number, r.feedID = head.number, feed
	page := make([]Record, 0, n)
	for i := range int64(n) {
		seq := first + i
		if reverse {
			seq = last - i
		}
		rec, err := r.at(head.number, seq)
		if err != nil {
			return nil, err
		}
		page = append(page, rec)
	}
	return page, nil
}

// at reads the record of a feed at a sequence that the feed has.
func (r *reader) at(number uint32, seq int64) (Record, error) {
	rx, err := r.rxAt(number, seq)
	if err != nil {
		return Record{}, err
	}
	rec, err := r.record(rx, r.raw(rx))
	if err == nil && (rec.Seq != seq || rec.Feed != r.feedID) {
		err = fmt.Errorf("%w: index of message %d points to message %d of feed %s", ErrDamaged, seq, rec.Seq, rec.Feed)
	}
	return rec, err
}

// rxAt is lookupSeq with a memory for the row that sequences nearby share.
func (r *reader) rxAt(number uint32, seq int64) (uint64, error) {
	key, slot := chunkKey(number, seq)
	if !r.hasChunk || key != r.chunkAt {
		if r.chunks == nil {
			r.chunks = r.sequences.Cursor()
		}
		found, chunk := r.chunks.Seek(key[:])
		if !bytes.Equal(found, key[:]) {
			chunk = nil
		}
		r.chunkAt, r.chunk, r.hasChunk = key, chunk, true
	}
	return rxInChunk(r.chunk, slot, number, seq)
}

// raw returns the record with a receive number as it is stored, nil if there is
// none.
func (r *reader) raw(rx uint64) []byte {
	if r.records == nil {
		r.records = r.messages.Cursor()
	}
	var key [8]byte
	binary.BigEndian.PutUint64(key[:], rx)
	found, raw := r.records.Seek(key[:])
	if !bytes.Equal(found, key[:]) {
		return nil
	}
	return raw
}

// log reads a page of the receive log.
func (r *reader) log(after, before uint64, limit int, reverse bool) ([]Record, error) {
	if before == 0 {
		before = maxRx + 1
	}
	var page []Record
	c := r.messages.Cursor()
	step := c.Next
	if reverse {
		step = c.Prev
	}
	for key, raw := seekLog(c, after, before, reverse); key != nil && len(page) < limit; key, raw = step() {
		rx := parseRxKey(key)
		if rx <= after || rx >= before {
			break
		}
		rec, err := r.record(rx, raw)
		if err != nil {
			return nil, err
		}
		page = append(page, rec)
	}
	return page, nil
}

// seekLog places a cursor on the first message of a page.
func seekLog(c *bolt.Cursor, after, before uint64, reverse bool) (key, raw []byte) {
	if !reverse {
		return c.Seek(rxKey(after + 1))
	}
	if key, _ := c.Seek(rxKey(before)); key == nil {
		return c.Last()
	}
	return c.Prev()
}

// rxOf returns the receive number of the message with an id, 0 if there is
// none.
func (r *reader) rxOf(id refs.Message) (uint64, error) {
	var at uint64
	var err error
	lookupID(r.ids, shorten(id, r.idLen), func(rx uint64) bool {
		var h header
		if h, _, err = parseHeader(rx, r.messages.Get(rxKey(rx))); err == nil && h.id == id {
			at = rx
		}
		return at != 0 || err != nil
	})
	return at, err
}

// byID reads the record with an id.
func (r *reader) byID(id refs.Message) (Record, error) {
	rx, err := r.rxOf(id)
	if err != nil {
		return Record{}, err
	}
	if rx == 0 {
		return Record{}, ErrNotFound
	}
	return r.record(rx, r.messages.Get(rxKey(rx)))
}

// before finds the last message received before a time by bisection: receive
// times ascend.
func (r *reader) before(received float64) (uint64, error) {
	key, _ := r.messages.Cursor().Last()
	low, high := uint64(0), parseRxKey(key) // low is before, what follows high is not
	for low < high {
		mid := low + (high-low+1)/2
		h, _, err := parseHeader(mid, r.messages.Get(rxKey(mid)))
		if err != nil {
			return 0, err
		}
		if h.received < received {
			low = mid
		} else {
			high = mid - 1
		}
	}
	return low, nil
}
