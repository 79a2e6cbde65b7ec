package graph

import (
	"cmp"
	"slices"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// Relation returns what from says of to.
func (g *Graph) Relation(from, to refs.Feed) Relation {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.relation(from, to)
}

// IsFollowing reports whether from follows to.
func (g *Graph) IsFollowing(from, to refs.Feed) bool { return g.Relation(from, to) == Following }

// IsBlocking reports whether from blocks to.
func (g *Graph) IsBlocking(from, to refs.Feed) bool { return g.Relation(from, to) == Blocking }

// Following returns the feeds that a feed follows, ascending.
func (g *Graph) Following(from refs.Feed) []refs.Feed { return g.related(from, Following) }

// Blocks returns the feeds that a feed blocks, ascending.
func (g *Graph) Blocks(from refs.Feed) []refs.Feed { return g.related(from, Blocking) }

func (g *Graph) related(from refs.Feed, relation Relation) []refs.Feed {
	g.mu.RLock()
	defer g.mu.RUnlock()
	var feeds []refs.Feed
	for _, a := range g.arcs(from) {
		if a.relation == relation {
			feeds = append(feeds, g.feeds[a.to])
		}
	}
	slices.SortFunc(feeds, refs.Feed.Compare)
	return feeds
}

// EdgesFrom returns what a feed says of others, by the other ascending.
func (g *Graph) EdgesFrom(from refs.Feed) []Edge {
	g.mu.RLock()
	defer g.mu.RUnlock()
	var edges []Edge
	for _, a := range g.arcs(from) {
		edges = append(edges, Edge{from, g.feeds[a.to], a.relation, a.seq})
	}
	return sorted(edges)
}

// Edges returns all edges, by from and to ascending, and the version of the
// graph that they are. Edges that were taken back are among them, as Neutral.
func (g *Graph) Edges() ([]Edge, uint64) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	var edges []Edge
	for from, arcs := range g.out {
		for _, a := range arcs {
			edges = append(edges, Edge{g.feeds[from], g.feeds[a.to], a.relation, a.seq})
		}
	}
	return sorted(edges), g.version
}

// sorted sorts edges in place, those of one pair of feeds by their message.
func sorted(edges []Edge) []Edge {
	slices.SortFunc(edges, func(a, b Edge) int {
		return cmp.Or(a.From.Compare(b.From), a.To.Compare(b.To), cmp.Compare(a.Seq, b.Seq))
	})
	return edges
}
