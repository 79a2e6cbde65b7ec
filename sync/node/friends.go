package node

import (
	"context"
	"encoding/json"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/graph"
)

// addFriends adds the methods of npm ssb-friends.
func (n *Node) addFriends(m *muxrpc.Mux) {
	m.Async("friends.get", n.friendsGet)
	m.Async("friends.graph", n.friendsGraph)
	m.Async("friends.hops", n.friendsHops)
	m.Async("friends.isFollowing", n.friendsRelation(n.isFollowing))
	m.Async("friends.isBlocking", n.friendsRelation(n.isBlocking))
	m.Source("friends.stream", n.friendsStream)
	m.Source("friends.graphStream", n.friendsGraphStream)
	m.Source("friends.hopStream", n.hopStream)
	m.Source("friends.createFriendStream", n.createFriendStream)
}

// legacyRelation is a relation as old programs know it: true follows, false
// blocks, null is neither.
func legacyRelation(r graph.Relation) any {
	switch r {
	case graph.Following:
		return true
	case graph.Blocking:
		return false
	}
	return json.RawMessage("null")
}

func numericRelation(r graph.Relation) any { return int(r) }

// relations returns all edges as {from: {to: relation}}.
func relations(edges []graph.Edge, as func(graph.Relation) any) map[refs.Feed]map[refs.Feed]any {
	all := make(map[refs.Feed]map[refs.Feed]any)
	for _, e := range edges {
		if all[e.From] == nil {
			all[e.From] = make(map[refs.Feed]any)
		}
		all[e.From][e.To] = as(e.Relation)
	}
	return all
}

// ends are the two ends of an edge, as they are asked for.
type ends struct {
	Source json.RawMessage `json:"source"`
	Dest   json.RawMessage `json:"dest"`
}

// friendsGet answers relations: all of them, with source those of one feed,
// with dest those to one feed, with both that one. What is no feed has none.
func (n *Node) friendsGet(ctx context.Context, c *muxrpc.Call) (any, error) {
	var o ends
	if err := options(c, &o); err != nil {
		return nil, err
	}
	if err := n.graph.Update(ctx); err != nil {
		return nil, err
	}
	source, isSource := feedOf(o.Source)
	dest, isDest := feedOf(o.Dest)
	found := make(map[refs.Feed]any)
	switch {
	case falsy(o.Source) && falsy(o.Dest):
		edges, _ := n.graph.Edges()
		return relations(edges, legacyRelation), nil
	case isSource && isDest:
		return legacyRelation(n.graph.Relation(source, dest)), nil
	case isSource && !falsy(o.Dest):
		return jsonNull, nil
	case isSource:
		for _, e := range n.graph.EdgesFrom(source) {
			found[e.To] = legacyRelation(e.Relation)
		}
	case isDest && falsy(o.Source):
		edges, _ := n.graph.Edges()
		for _, e := range edges {
			if e.To == dest {
				found[e.From] = legacyRelation(e.Relation)
			}
		}
	}
	return found, nil
}

// friendsGraph answers all edges as numbers: 1 follows, -1 blocks, -2 took it
// back.
func (n *Node) friendsGraph(ctx context.Context, _ *muxrpc.Call) (any, error) {
	if err := n.graph.Update(ctx); err != nil {
		return nil, err
	}
	edges, _ := n.graph.Edges()
	return relations(edges, numericRelation), nil
}

// friendsHops answers every feed in reach and its distance, negative for those
// that are blocked or given up: friends.hops({start, max, reverse}).
func (n *Node) friendsHops(ctx context.Context, c *muxrpc.Call) (any, error) {
	var o struct {
		Start   *refs.Feed `json:"start"`
		Max     int        `json:"max"`
		Reverse bool       `json:"reverse"`
	}
	if err := options(c, &o); err != nil {
		return nil, err
	}
	if err := n.graph.Update(ctx); err != nil {
		return nil, err
	}
	start, most := n.keys.Feed(), n.config.Hops()
	if o.Start != nil {
		start = *o.Start
	}
	if o.Max > 0 {
		most = o.Max
	}
	return n.graph.Distances(start, most, o.Reverse), nil
}

func (n *Node) isFollowing(source, dest refs.Feed) bool { return n.graph.IsFollowing(source, dest) }
func (n *Node) isBlocking(source, dest refs.Feed) bool  { return n.graph.IsBlocking(source, dest) }

// friendsRelation answers whether one feed stands in a relation to another:
// friends.isFollowing({source, dest}). What is no feed stands in none.
func (n *Node) friendsRelation(holds func(source, dest refs.Feed) bool) muxrpc.Answer {
	return func(ctx context.Context, c *muxrpc.Call) (any, error) {
		var o ends
		if err := options(c, &o); err != nil {
			return nil, err
		}
		if err := n.graph.Update(ctx); err != nil {
			return nil, err
		}
		source, isSource := feedOf(o.Source)
		dest, isDest := feedOf(o.Dest)
		return isSource && isDest && holds(source, dest), nil
	}
}
