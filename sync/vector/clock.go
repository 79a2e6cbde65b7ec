// Package vector holds what a peer has of every feed, and computes what one
// peer has that another lacks.
//
// A [Clock] says for each feed how far it goes without a gap: it describes a
// store. [Ranges] say for each feed which pieces are there: they describe a
// stick, which may hold messages 101 to 240 of a feed and none before.
//
// Both are pure values: no I/O, no time. A Clock never changes once it is
// made and may be shared between goroutines; Ranges may be while nobody adds.
package vector

import (
	"bytes"
	"encoding/binary"
	"iter"
	"slices"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// MaxSeq is the highest sequence a Clock or Ranges hold: the largest integer
// that every JSON reader keeps exact.
const MaxSeq = 1<<53 - 1

// Entry is the state of one feed: messages 1 to Seq are there.
// Seq 0 means that the feed is known and nothing of it is there yet.
type Entry struct {
	Feed refs.Feed
	Seq  int64
}

// Span is a piece of a feed: the messages First to Last, both included.
type Span struct {
	Feed  refs.Feed `json:"feed"`
	First int64     `json:"first"`
	Last  int64     `json:"last"`
}

// Len returns the number of messages in the span; 0 when Last is below First.
func (s Span) Len() int64 { return max(0, s.Last-s.First+1) }

// Clock maps feeds to the sequence of their newest message. It is immutable;
// the zero value is empty.
type Clock struct {
	// Two columns in the order of the feeds: a comparison walks the keys
	// alone, and both are written as they lie here.
	feeds []refs.Feed
	seqs  []int64
}

// FromEntries makes a Clock. Entries may come in any order (ascending feeds
// are the fastest); of several for one feed the highest sequence counts.
// Sequences below 0 count as 0, those above MaxSeq as MaxSeq.
func FromEntries(entries []Entry) Clock {
	if !slices.IsSortedFunc(entries, compareEntries) {
		entries = slices.Clone(entries)
		slices.SortFunc(entries, compareEntries)
	}
	c := newClock(len(entries))
	for _, e := range entries {
		c.push(e.Feed, min(max(e.Seq, 0), MaxSeq))
	}
	return c
}

// compareEntries orders by feed, then by sequence.
func compareEntries(a, b Entry) int {
	if c := compare(&a.Feed, &b.Feed); c != 0 {
		return c
	}
	return int(min(max(a.Seq-b.Seq, -1), 1))
}

func newClock(capacity int) Clock {
	return Clock{make([]refs.Feed, 0, capacity), make([]int64, 0, capacity)}
}

// push appends an entry whose feed is not below the last one. A feed equal
// to the last one replaces it.
func (c *Clock) push(feed refs.Feed, seq int64) {
	if n := len(c.feeds); n > 0 && c.feeds[n-1] == feed {
		c.seqs[n-1] = seq
		return
	}
	c.feeds = append(c.feeds, feed)
	c.seqs = append(c.seqs, seq)
}

// Get returns the sequence of a feed, and whether the clock knows the feed.
func (c Clock) Get(feed refs.Feed) (int64, bool) {
	i, ok := slices.BinarySearchFunc(c.feeds, feed, refs.Feed.Compare)
	if !ok {
		return 0, false
	}
	return c.seqs[i], true
}

// Len returns the number of feeds.
func (c Clock) Len() int { return len(c.feeds) }

// All yields feeds and sequences, feeds ascending.
func (c Clock) All() iter.Seq2[refs.Feed, int64] {
	return func(yield func(refs.Feed, int64) bool) {
		for i, feed := range c.feeds {
			if !yield(feed, c.seqs[i]) {
				return
			}
		}
	}
}

// Equal reports whether both clocks hold the same feeds and sequences.
func (c Clock) Equal(d Clock) bool {
	return slices.Equal(c.seqs, d.seqs) && slices.Equal(c.feeds, d.feeds)
}

// Merge returns a clock with the feeds of both, each at the higher sequence.
func Merge(a, b Clock) Clock {
	m := newClock(max(a.Len(), b.Len()))
	i, j := 0, 0
	for i < len(a.feeds) && j < len(b.feeds) {
		switch order := compare(&a.feeds[i], &b.feeds[j]); {
		case order < 0:
			m.push(a.feeds[i], a.seqs[i])
			i++
		case order > 0:
			m.push(b.feeds[j], b.seqs[j])
			j++
		default:
			m.push(a.feeds[i], max(a.seqs[i], b.seqs[j]))
			i, j = i+1, j+1
		}
	}
	m.feeds = append(append(m.feeds, a.feeds[i:]...), b.feeds[j:]...)
	m.seqs = append(append(m.seqs, a.seqs[i:]...), b.seqs[j:]...)
	return m
}

// compare is refs.Feed.Compare made for merging two sorted columns: ids are
// random, so the first eight bytes nearly always decide.
func compare(a, b *refs.Feed) int {
	x, y := binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(b[:8])
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return bytes.Compare(a[8:], b[8:])
}
