package store

import (
	"bytes"
	"context"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// checker is one Check inside its transaction.
type checker struct {
	ctx      context.Context
	options  CheckOptions
	verifier *keys.Verifier
	report   CheckReport

	*reader
	perFeed map[uint32]int64 // messages found, by feed number
	batch   []checked        // what waits to be verified
	steps   int
}

// checked is a message on its way through the verifier.
type checked struct {
	feed  refs.Feed
	seq   int64
	id    refs.Message
	value []byte // in the transaction's memory
}

func (c *checker) run(tx *bolt.Tx) error {
	c.report.Size = tx.Size()
	for _, step := range []func(*bolt.Tx) error{
		c.log, c.heads, c.index, c.idIndex, c.evidence, c.queues, c.lookups,
	} {
		if err := step(tx); err != nil {
			return err
		}
	}
	return c.ctx.Err()
}

// problem notes that something is wrong.
func (c *checker) problem(feed refs.Feed, seq int64, format string, args ...any) {
	c.report.Found++
	if len(c.report.Problems) < maxProblems {
		c.report.Problems = append(c.report.Problems, Problem{Feed: feed, Seq: seq, What: fmt.Sprintf(format, args...)})
	}
}

// step is called for every row that is read and ends the check with its
// context.
func (c *checker) step() error {
	if c.steps++; c.steps%1024 != 0 {
		return nil
	}
	return c.ctx.Err()
}

// lookups makes sure that every row is found by its key, where nothing else
// does. What is in the tables is for their owners to judge.
func (c *checker) lookups(tx *bolt.Tx) error {
	for _, name := range [][]byte{bucketFeeds, bucketForks, bucketWaiting, bucketQueues} {
		if err := c.lookup(name, tx.Bucket(name)); err != nil {
			return err
		}
	}
	tables := tx.Bucket(bucketTables)
	return tables.ForEachBucket(func(name []byte) error { return c.lookup(name, tables.Bucket(name)) })
}

func (c *checker) lookup(name []byte, rows *bolt.Bucket) error {
	return rows.ForEach(func(k, v []byte) error {
		if !bytes.Equal(rows.Get(k), v) {
			c.problem(refs.Feed{}, 0, "%.40q: key %.40q is not where it belongs", name, k)
		}
		return c.step()
	})
}

// log reads every message in receive order.
func (c *checker) log(*bolt.Tx) error {
	var last uint64
	received := -1.0
	err := c.messages.ForEach(func(k, raw []byte) error {
		rx := parseRxKey(k)
		if rx != last+1 {
			c.problem(refs.Feed{}, 0, "receive order: %d follows %d", rx, last)
		}
		last = rx
		h, value, err := parseRecord(rx, raw)
		if err != nil {
			c.problem(c.nameOf(h.number), h.seq, "%v", err)
			return c.step()
		}
		if h.received <= received {
			c.problem(c.nameOf(h.number), h.seq, "receive time is not after the one before")
		}
		received = h.received
		c.message(rx, h, value)
		if len(c.batch) == verifyBatch {
			c.verify()
		}
		return c.step()
	})
	c.verify()
	return err
}

// nameOf returns the feed of a number, zero if there is none.
func (c *checker) nameOf(number uint32) refs.Feed {
	feed, _ := c.feedOf(number)
	return feed
}

// message checks one message against its own text, its predecessor and both
// indexes.
func (c *checker) message(rx uint64, h header, value []byte) {
	c.report.Messages++
	c.report.Bytes += int64(len(value))
	c.perFeed[h.number]++
	feed := c.nameOf(h.number)
	if feed.IsZero() {
		c.problem(feed, 0, "message %d in receive order is of feed number %d, which nobody has", rx, h.number)
		return
	}
	v, err := message.Fields(value)
	if err != nil || v.Feed != feed || v.Seq != h.seq {
		c.problem(feed, h.seq, "its text says message %d of feed %s", v.Seq, v.Feed)
	}
	if at, err := lookupSeq(c.sequences, h.number, h.seq); err != nil || at != rx {
		c.problem(feed, h.seq, "index by sequence says %d, receive order %d", at, rx)
	}
	if at, err := c.rxOf(h.id); err != nil || at != rx {
		c.problem(feed, h.seq, "index by id says %d, receive order %d", at, rx)
	}
	if before, at := c.before(h); before != v.Previous {
		c.problem(feed, h.seq, "names %s as previous, which is %s", v.Previous, before)
	} else if at >= rx {
		c.problem(feed, h.seq, "was received before the message it follows")
	}
	c.enqueue(checked{feed, h.seq, h.id, value})
}

// before returns the id and receive number of the message before h in its
// feed, zero if there is none.
func (c *checker) before(h header) (id refs.Message, rx uint64) {
	if h.seq <= 1 {
		return id, 0
	}
	rx, err := lookupSeq(c.sequences, h.number, h.seq-1)
	if err != nil {
		return id, 0
	}
	p, _, _ := parseHeader(rx, c.messages.Get(rxKey(rx)))
	return p.id, rx
}

// verifyBatch is how many messages are verified at once.
const verifyBatch = 2048

// enqueue hands a message to the verifier, if signatures are to be checked.
func (c *checker) enqueue(m checked) {
	if c.verifier == nil {
		return
	}
	if c.batch == nil {
		c.batch = make([]checked, 0, verifyBatch)
	}
	c.batch = append(c.batch, m)
}

// verify verifies what enqueue collected.
func (c *checker) verify() {
	if len(c.batch) == 0 {
		return
	}
	raws := make([][]byte, len(c.batch))
	for i, m := range c.batch {
		raws[i] = m.value
	}
	for i, r := range message.VerifyBatch(raws, c.options.Net, c.verifier) {
		m := c.batch[i]
		switch {
		case r.Err != nil:
			c.problem(m.feed, m.seq, "%v", r.Err)
		case r.Message.ID() != m.id:
			c.problem(m.feed, m.seq, "its id is %s, stored as %s", r.Message.ID(), m.id)
		case !bytes.Equal(r.Message.Value(), m.value):
			c.problem(m.feed, m.seq, "is not stored in canonical form")
		}
	}
	c.batch = c.batch[:0]
}
