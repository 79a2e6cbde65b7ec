package store

import (
	"encoding/binary"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// heads checks that every feed has a number of its own and is complete up to
// its head.
func (c *checker) heads(*bolt.Tx) error {
	var numbered int64
	err := c.numbers.ForEach(func(k, v []byte) error {
		if numbered++; len(k) != 4 || int64(binary.BigEndian.Uint32(k)) != numbered {
			c.problem(refs.Feed{}, 0, "feed number %x where %d is next", k, numbered)
		}
		return c.step()
	})
	if err != nil {
		return err
	}
	err = c.feeds.ForEach(func(k, v []byte) error {
		c.report.Feeds++
		c.head(k, v)
		return c.step()
	})
	if c.report.Feeds != numbered {
		c.problem(refs.Feed{}, 0, "%d feeds have heads, %d have numbers", c.report.Feeds, numbered)
	}
	return err
}

// head checks one feed.
func (c *checker) head(k, v []byte) {
	f, err := parseFeedHead(k, v)
	if err != nil {
		c.problem(refs.Feed{}, 0, "%v", err)
		return
	}
	feed := refs.Feed(k)
	if c.nameOf(f.number) != feed {
		c.problem(feed, 0, "its number %d belongs to feed %s", f.number, c.nameOf(f.number))
	}
	if n := c.perFeed[f.number]; n != f.seq || n == 0 {
		c.problem(feed, f.seq, "is the head, but the receive log has %d messages of the feed", n)
	}
	rx, err := lookupSeq(c.sequences, f.number, f.seq)
	if err != nil {
		c.problem(feed, f.seq, "%v", err)
		return
	}
	if h, _, err := parseHeader(rx, c.messages.Get(rxKey(rx))); err != nil || h.id != f.id {
		c.problem(feed, f.seq, "is %s, but the head says %s", h.id, f.id)
	}
}

// index checks that every entry of the index by sequence points to its
// message.
func (c *checker) index(*bolt.Tx) error {
	return c.sequences.ForEach(func(k, chunk []byte) error {
		if len(k) != 8 || len(chunk) == 0 || len(chunk)%rxLen != 0 || len(chunk) > chunkLen*rxLen {
			c.problem(refs.Feed{}, 0, "index by sequence: row %x has %d bytes", k, len(chunk))
			return nil
		}
		number := binary.BigEndian.Uint32(k)
		seq := int64(binary.BigEndian.Uint32(k[4:]))*chunkLen + 1
		for ; len(chunk) > 0; chunk, seq = chunk[rxLen:], seq+1 {
			rx := parseRx(chunk)
			h, _, err := parseHeader(rx, c.messages.Get(rxKey(rx)))
			if err != nil || h.number != number || h.seq != seq {
				c.problem(c.nameOf(number), seq, "index by sequence points to message %d in receive order, which is another", rx)
			}
			if err := c.step(); err != nil {
				return err
			}
		}
		return nil
	})
}

// idIndex checks that every entry of the index by id points to its message.
func (c *checker) idIndex(*bolt.Tx) error {
	var entries int64
	err := c.ids.ForEach(func(k, block []byte) error {
		if len(k) != 2 || len(block)%idEntryLen != 0 {
			c.problem(refs.Feed{}, 0, "index by id: row %x has %d bytes", k, len(block))
			return nil
		}
		for ; len(block) > 0; block = block[idEntryLen:] {
			entries++
			if err := c.idEntry(binary.BigEndian.Uint16(k), block[:idEntryLen]); err != nil {
				return err
			}
		}
		return nil
	})
	if entries != c.report.Messages {
		c.problem(refs.Feed{}, 0, "index by id has %d entries for %d messages", entries, c.report.Messages)
	}
	return err
}

func (c *checker) idEntry(block uint16, entry []byte) error {
	rx := parseRx(entry[idPartLen:])
	h, _, err := parseHeader(rx, c.messages.Get(rxKey(rx)))
	if want := newIDEntry(shorten(h.id, c.idLen), rx); err != nil || want.block != block || want.part != [idPartLen]byte(entry) {
		c.problem(c.nameOf(h.number), h.seq, "index by id: an entry of block %04x points to it", block)
	}
	return c.step()
}

// evidence checks the forks.
func (c *checker) evidence(tx *bolt.Tx) error {
	err := tx.Bucket(bucketForks).ForEach(func(k, v []byte) error {
		c.report.Forks++
		f, err := parseFork(k, v)
		if err != nil {
			c.problem(refs.Feed{}, 0, "%v", err)
			return c.step()
		}
		c.fork(f)
		return c.step()
	})
	c.verify()
	return err
}

func (c *checker) fork(f Fork) {
	ours, err := c.feed(f.Feed, f.Seq, f.Seq, 1, false)
	if err != nil || len(ours) != 1 || ours[0].ID != f.Have || f.Have == f.Other {
		c.problem(f.Feed, f.Seq, "evidence of the fork names %s and %s", f.Have, f.Other)
	}
	if v, err := message.Fields(f.Value); err != nil || v.Feed != f.Feed || v.Seq != f.Seq {
		c.problem(f.Feed, f.Seq, "evidence of the fork is message %d of feed %s", v.Seq, v.Feed)
	}
	c.enqueue(checked{f.Feed, f.Seq, f.Other, f.Value})
}

// queues checks the waiting messages and their accounts.
func (c *checker) queues(tx *bolt.Tx) error {
	var total queue
	sums := make(map[refs.Feed]queue)
	err := tx.Bucket(bucketWaiting).ForEach(func(k, v []byte) error {
		c.report.Waiting++
		total.messages++
		total.bytes += waitingSize(len(v))
		r, err := parseWaiting(k, v)
		if err != nil {
			c.problem(r.Feed, r.Seq, "%v", err)
			return c.step()
		}
		sum := sums[r.Feed]
		sums[r.Feed] = queue{sum.messages + 1, sum.bytes + waitingSize(len(v))}
		if f, err := message.Fields(r.Value); err != nil || f.Feed != r.Feed || f.Seq != r.Seq {
			c.problem(r.Feed, r.Seq, "waiting message says it is message %d of feed %s", f.Seq, f.Feed)
		}
		return c.step()
	})
	if err != nil {
		return err
	}
	if q, err := parseQueue(tx.Bucket(bucketMeta).Get(keyWaiting)); err != nil || q != total {
		c.problem(refs.Feed{}, 0, "waiting: %v, the account says %v", total, q)
	}
	err = tx.Bucket(bucketQueues).ForEach(func(k, v []byte) error { return c.account(sums, k, v) })
	for feed, sum := range sums {
		c.problem(feed, 0, "waiting: %v without an account", sum)
	}
	return err
}

// account compares the account of one feed's waiting messages and strikes it
// off sums.
func (c *checker) account(sums map[refs.Feed]queue, k, v []byte) error {
	if len(k) != 32 {
		c.problem(refs.Feed{}, 0, "waiting: account %x is of no feed", k)
		return nil
	}
	feed := refs.Feed(k)
	if q, err := parseQueue(v); err != nil || q != sums[feed] {
		c.problem(feed, 0, "waiting: %v, the account says %v", sums[feed], q)
	}
	delete(sums, feed)
	return c.step()
}

// String names the numbers of an account.
func (q queue) String() string {
	return fmt.Sprintf("%d messages of %d bytes", q.messages, q.bytes)
}
