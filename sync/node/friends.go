package node

import (
	"context"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
)

func (n *Node) addFriends(m *muxrpc.Mux) {
	m.Async("friends.hops", n.friendsHops)
	m.Async("friends.isFollowing", n.friendsRelation(n.isFollowing))
	m.Async("friends.isBlocking", n.friendsRelation(n.isBlocking))
}

// friendsHops answers every feed in reach and its distance:
// friends.hops({start, max}).
func (n *Node) friendsHops(ctx context.Context, c *muxrpc.Call) (any, error) {
	var o struct {
		Start *refs.Feed `json:"start"`
		Max   *int       `json:"max"`
	}
	if err := options(c, &o); err != nil {
		return nil, err
	}
	start, most := n.keys.Feed(), n.config.Hops()
	if o.Start != nil {
		start = *o.Start
	}
	if o.Max != nil {
		most = *o.Max
	}
	if err := n.graph.Update(ctx); err != nil {
		return nil, err
	}
	hops := n.graph.Hops(start, most)
	for _, feed := range n.graph.Blocks(start) {
		hops[feed] = -1
	}
	return hops, nil
}

func (n *Node) isFollowing(source, dest refs.Feed) bool { return n.graph.IsFollowing(source, dest) }
func (n *Node) isBlocking(source, dest refs.Feed) bool  { return n.graph.IsBlocking(source, dest) }

// friendsRelation answers whether one feed stands in a relation to another:
// friends.isFollowing({source, dest}).
func (n *Node) friendsRelation(holds func(source, dest refs.Feed) bool) muxrpc.Answer {
	return func(ctx context.Context, c *muxrpc.Call) (any, error) {
		var o struct {
			Source refs.Feed `json:"source"`
			Dest   refs.Feed `json:"dest"`
		}
		if err := options(c, &o); err != nil {
			return nil, err
		}
		if err := n.graph.Update(ctx); err != nil {
			return nil, err
		}
		return holds(o.Source, o.Dest), nil
	}
}
