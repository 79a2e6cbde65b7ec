// Package graph knows who follows and who blocks whom: it reads the contact
// messages in a store and answers the questions of ssb-friends about them.
//
// A contact message is one whose content is
//
//	{"type": "contact", "contact": "@…=.ed25519", "following": true}
//
// with blocking (or, in old messages, flagged) to block. The latest message
// of an author about a feed counts, whatever the author said before. Private
// contact messages are not looked into.
//
// The edges are kept in a table of the store and in memory. They are derived
// from the receive log, followed by a cursor that moves in one transaction
// with the edges: a kill costs no more than reading some messages again.
package graph

import (
	"cmp"
	"slices"
	"sync"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
)

// Graph is the follow graph of a store. It may be used by several
// goroutines; it shows the store as of the last Update.
type Graph struct {
	store *store.Store
	table *store.Table

	updating sync.Mutex // held while the graph follows the receive log
	cursor   uint64     // guarded by updating: how far the graph has come
	saved    uint64     // guarded by updating: the cursor as it is in the store

	mu      sync.RWMutex // guards what follows
	feeds   []refs.Feed  // every feed of an edge, numbered by its place
	index   map[refs.Feed]uint32
	out     [][]arc       // the edges from each feed, ascending by number of to
	version uint64        // counts the changes of edges
	recent  []Edge        // the last changes, the newest led to version
	changed chan struct{} // closed and replaced when version moves
}

// arc is an edge without its from.
type arc struct {
	seq      int64
	to       uint32
	relation Relation
}

// reset makes the graph in memory empty.
func (g *Graph) reset() {
	g.feeds, g.out = nil, nil
	g.index = make(map[refs.Feed]uint32)
}

// number returns the number of a feed, and gives it one if it has none.
func (g *Graph) number(feed refs.Feed) uint32 {
	n, ok := g.index[feed]
	if !ok {
		n = uint32(len(g.feeds))
		g.index[feed] = n
		g.feeds = append(g.feeds, feed)
		g.out = append(g.out, nil)
	}
	return n
}

// set puts an edge into the graph unless a later message made it already,
// and reports whether it changed the relation.
func (g *Graph) set(e Edge) bool {
	from, to := g.number(e.From), g.number(e.To)
	i, ok := find(g.out[from], to)
	if !ok {
		g.out[from] = slices.Insert(g.out[from], i, arc{e.Seq, to, e.Relation})
		return true
	}
	a := &g.out[from][i]
	if a.seq >= e.Seq {
		return false
	}
	changed := a.relation != e.Relation
	a.seq, a.relation = e.Seq, e.Relation
	return changed
}

// arcs returns the edges from a feed.
func (g *Graph) arcs(from refs.Feed) []arc {
	if n, ok := g.index[from]; ok {
		return g.out[n]
	}
	return nil
}

// relation returns what from says of to.
func (g *Graph) relation(from, to refs.Feed) Relation {
	n, ok := g.index[to]
	if !ok {
		return None
	}
	arcs := g.arcs(from)
	if i, ok := find(arcs, n); ok {
		return arcs[i].relation
	}
	return None
}

// find returns where among arcs the one to a feed is, or would be.
func find(arcs []arc, to uint32) (int, bool) {
	return slices.BinarySearchFunc(arcs, to, func(a arc, to uint32) int { return cmp.Compare(a.to, to) })
}
