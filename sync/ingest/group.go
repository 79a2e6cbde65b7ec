package ingest

import (
	"cmp"
	"slices"
	"time"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// group is what the writer has gathered for the next commit. It belongs to the
// writer.
type group struct {
	batches []*batch
	entries []entry // the verified messages, in the order they get into the store
	bytes   int64   // what the entries take
	since   time.Time

	last     map[refs.Feed]int64 // scratch of order
	disorder map[refs.Feed]bool
	msgs     []*message.Message // scratch of messages
}

// entry is one verified message and the batch that it is part of.
type entry struct {
	b  *batch
	it *item
}

// gather adds delivered batches.
func (g *group) gather(batches []*batch) {
	if len(g.batches) == 0 && len(batches) > 0 {
		g.since = time.Now()
	}
	for _, b := range batches {
		g.batches = append(g.batches, b)
		for n := range b.items {
			if it := &b.items[n]; it.fate == verified {
				g.entries = append(g.entries, entry{b, it})
				g.bytes += cost(len(it.msg.Value()))
			}
		}
	}
}

// reset empties the group and keeps its memory.
func (g *group) reset() {
	clear(g.batches)
	clear(g.entries)
	clear(g.msgs)
	g.batches, g.entries, g.msgs = g.batches[:0], g.entries[:0], g.msgs[:0]
	g.bytes = 0
}

// messages returns the messages to store, those of each feed in ascending
// order: what arrived in disorder attaches without waiting.
func (g *group) messages() []*message.Message {
	g.order()
	for _, e := range g.entries {
		g.msgs = append(g.msgs, e.it.msg)
	}
	return g.msgs
}

// order sorts each feed's messages by sequence. They share the places which
// messages of that feed had before, so the receive order of different feeds,
// and of everything that came in order, stays as it was.
func (g *group) order() {
	if !g.findDisorder() {
		return
	}
	var places []int
	for n, e := range g.entries {
		if g.disorder[e.it.feed] {
			places = append(places, n)
		}
	}
	slices.SortStableFunc(places, func(x, y int) int {
		return g.entries[x].it.feed.Compare(g.entries[y].it.feed)
	})
	sorted := slices.Clone(places)
	slices.SortStableFunc(sorted, func(x, y int) int {
		a, b := g.entries[x].it, g.entries[y].it
		return cmp.Or(a.feed.Compare(b.feed), cmp.Compare(a.seq, b.seq))
	})
	moved := make([]entry, len(sorted))
	for n, from := range sorted {
		moved[n] = g.entries[from]
	}
	for n, to := range places {
		g.entries[to] = moved[n]
	}
}

// findDisorder notes the feeds whose messages do not ascend.
func (g *group) findDisorder() bool {
	if g.last == nil {
		g.last, g.disorder = make(map[refs.Feed]int64), make(map[refs.Feed]bool)
	}
	clear(g.last)
	clear(g.disorder)
	for _, e := range g.entries {
		if e.it.seq < g.last[e.it.feed] {
			g.disorder[e.it.feed] = true
		}
		g.last[e.it.feed] = e.it.seq
	}
	return len(g.disorder) > 0
}
