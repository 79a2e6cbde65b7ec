package sim

import (
	"encoding/binary"
	"maps"
	"slices"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/stick"
	"github.com/ssbsync/ssbsync/sync/vector"
)

// node is a store and its policy. It implements stick.Policy.
type node struct {
	index    int
	own      refs.Feed
	wants    []bool // by number of the feed
	wantsAll bool
	trusts   map[refs.Feed]bool
	arrived  []int64 // how far each feed was delivered, for the lag

	store
	renewed int    // how many store ids there were
	backup  *store // what a restore brings back
}

// store is what a restore sets back.
type store struct {
	id       stick.ID
	replaces []stick.ID
	counter  uint64
	held     []int64                  // by number of the feed
	locked   []int64                  // home feeds wait until held is this far
	seen     map[stick.ID]*stick.Have // our newest have on each medium
}

func (w *world) newNode(i int) *node {
	n := &node{index: i, own: w.id(i), wantsAll: w.Wants == nil, trusts: make(map[refs.Feed]bool)}
	n.arrived = make([]int64, len(w.feeds))
	n.held, n.locked = make([]int64, len(w.feeds)), make([]int64, len(w.feeds))
	n.wants = make([]bool, len(w.feeds))
	for f := range w.Scenario.Feeds {
		n.wants[w.number[w.Scenario.id(f)]] = w.Wants == nil || f == i || w.Wants(i, f)
	}
	for other := range w.Nodes {
		if w.Trusts == nil || other == i || w.Trusts(i, other) {
			n.trusts[w.id(other)] = true
		}
	}
	n.newID()
	return n
}

// newID gives the store a new id, and a backup of it the same.
func (n *node) newID() {
	n.renewed++
	n.id = stick.ID{}
	binary.BigEndian.PutUint64(n.id[:], uint64(n.index)+1)
	binary.BigEndian.PutUint64(n.id[8:], uint64(n.renewed))
	n.counter, n.seen = 0, make(map[stick.ID]*stick.Have)
}

func (n *node) copy() *store {
	s := n.store
	s.held, s.locked, s.replaces = slices.Clone(s.held), slices.Clone(s.locked), slices.Clone(s.replaces)
	s.seen = maps.Clone(s.seen)
	return &s
}

// restore brings the backup back. What was published since must come back
// before anything more is (the own-feed guard).
func (n *node) restore() {
	locked := slices.Clone(n.held)
	n.store = *n.backup
	n.locked = locked
}

// recognise gives the store a new id when the stick knows more of it than it
// does itself.
func (n *node) recognise(m *medium) {
	if mine := m.haves[n.id]; mine != nil && mine.newest.Counter > n.counter {
		n.replaces = append(n.replaces, n.id)
		counter := n.counter
		n.newID()
		n.counter = counter
	}
}

// publish takes in what arrived at home.
func (n *node) publish(w *world) {
	for f := range w.feeds {
		if s := &w.feeds[f]; s.home == n.index && n.held[f] >= n.locked[f] {
			n.held[f] = max(n.held[f], s.until(w.now))
			n.arrived[f] = max(n.arrived[f], n.held[f])
		}
	}
}

// dead reports whether the node died in the course of the scenario.
func (n *node) dead(w *world) bool { return w.death(n.index) <= float64(w.Days) }

// missing returns how many messages of wanted feeds the node lacks at the end.
func (n *node) missing(w *world) (count int64) {
	for f := range w.feeds {
		if n.wants[f] {
			count += int64(len(w.feeds[f].times)) - n.held[f]
		}
	}
	return count
}

// clock returns what the store holds.
func (n *node) clock(w *world) vector.Clock {
	entries := make([]vector.Entry, 0, len(n.held))
	for f, seq := range n.held {
		if seq > 0 {
			entries = append(entries, vector.Entry{Feed: w.feeds[f].id, Seq: seq})
		}
	}
	return vector.FromEntries(entries)
}

// reach is a node's policy, as package stick asks for it.
type reach struct {
	*node
	w *world
}

var _ stick.Policy = reach{}

func (r reach) Wants(feed refs.Feed) bool  { return r.wantsAll || r.wants[r.w.number[feed]] }
func (r reach) WantsAll() bool             { return r.wantsAll }
func (r reach) Trusts(node refs.Feed) bool { return r.trusts[node] }

func (r reach) Wanted() (feeds []refs.Feed) {
	for f, wanted := range r.wants {
		if wanted {
			feeds = append(feeds, r.w.feeds[f].id)
		}
	}
	return feeds
}

func (r reach) Hops(feed refs.Feed) int {
	switch {
	case feed == r.own:
		return 0
	case r.Wants(feed):
		return 1
	}
	return -1
}
