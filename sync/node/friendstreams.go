package node

import (
	"context"
	"maps"
	"slices"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/graph"
)

// hopsQuery is the argument of the streams of distances.
type hopsQuery struct {
	Live setting `json:"live"`
	Old  setting `json:"old"`
	Meta setting `json:"meta"`
}

// graphChange waits until the graph changes from a version on and returns the
// edges that did, or ok false when they are too many.
func (n *Node) graphChange(ctx context.Context, version uint64) (edges []graph.Edge, now uint64, ok bool, err error) {
	for {
		last := n.store.Last()
		if err := n.graph.Update(ctx); err != nil {
			return nil, version, false, err
		}
		if edges, now, ok := n.graph.Since(version); !ok || len(edges) > 0 {
			return edges, now, ok, nil
		}
		if err := n.store.Wait(ctx, last); err != nil {
			return nil, version, false, err
		}
	}
}

// friendsStream sends all relations as friends.get answers them, then each
// change as {from, to, value}.
func (n *Node) friendsStream(ctx context.Context, _ *muxrpc.Call, st *muxrpc.Stream) error {
	return ended(n.streamEdges(ctx, st, legacyRelation, func(e graph.Edge) any {
		return struct {
			From  refs.Feed `json:"from"`
			To    refs.Feed `json:"to"`
			Value any       `json:"value"`
		}{e.From, e.To, legacyRelation(e.Relation)}
	}))
}

// friendsGraphStream sends all relations as friends.graph answers them, then
// each change as {source, dest, value}.
func (n *Node) friendsGraphStream(ctx context.Context, _ *muxrpc.Call, st *muxrpc.Stream) error {
	return ended(n.streamEdges(ctx, st, numericRelation, func(e graph.Edge) any {
		return struct {
			Source refs.Feed `json:"source"`
			Dest   refs.Feed `json:"dest"`
			Value  any       `json:"value"`
		}{e.From, e.To, numericRelation(e.Relation)}
	}))
}

func (n *Node) streamEdges(ctx context.Context, st *muxrpc.Stream, as func(graph.Relation) any, change func(graph.Edge) any) error {
	if err := n.graph.Update(ctx); err != nil {
		return err
	}
	for ok := false; ; {
		edges, version := n.graph.Edges()
		if err := st.Send(ctx, relations(edges, as)); err != nil {
			return err
		}
		for ok = true; ok; {
			var changed []graph.Edge
			var err error
			if changed, version, ok, err = n.graphChange(ctx, version); err != nil {
				return err
			}
			for _, e := range changed {
				if err := st.Send(ctx, change(e)); err != nil {
					return err
				}
			}
		}
	}
}

// hopStream sends the distances of all feeds as one object, then, if it is
// live, those that change.
func (n *Node) hopStream(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	var q hopsQuery
	if err := options(c, &q); err != nil {
		return err
	}
	return ended(n.streamHops(ctx, q, func(hops map[refs.Feed]int, _ bool) error { return st.Send(ctx, hops) }))
}

// createFriendStream sends the feeds in reach, nearest first, then, if it is
// live, those whose distance changes: ids, or {id, hops} with meta.
func (n *Node) createFriendStream(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	var q hopsQuery
	if err := options(c, &q); err != nil {
		return err
	}
	type friend struct {
		ID   refs.Feed `json:"id"`
		Hops int       `json:"hops"`
	}
	return ended(n.streamHops(ctx, q, func(hops map[refs.Feed]int, first bool) error {
		for _, id := range nearest(hops) {
			if first && hops[id] < 0 {
				continue
			}
			var item any = id
			if q.Meta.truthy() {
				item = friend{id, hops[id]}
			}
			if err := st.Send(ctx, item); err != nil {
				return err
			}
		}
		return nil
	}))
}

// nearest lists feeds by their distance.
func nearest(hops map[refs.Feed]int) []refs.Feed {
	return slices.SortedFunc(maps.Keys(hops), func(a, b refs.Feed) int {
		if hops[a] != hops[b] {
			return hops[a] - hops[b]
		}
		return a.Compare(b)
	})
}

// streamHops calls send with all distances and then with those that change.
func (n *Node) streamHops(ctx context.Context, q hopsQuery, send func(hops map[refs.Feed]int, first bool) error) error {
	if err := n.graph.Update(ctx); err != nil {
		return err
	}
	version := n.graph.Version()
	hops := n.graph.Distances(n.keys.Feed(), n.config.Hops(), false)
	if live := q.Live == settingTrue; !live || q.Old != settingFalse {
		if err := send(hops, true); err != nil || !live {
			return err
		}
	}
	for {
		var err error
		if _, version, _, err = n.graphChange(ctx, version); err != nil {
			return err
		}
		now := n.graph.Distances(n.keys.Feed(), n.config.Hops(), false)
		changed := maps.Clone(now)
		maps.DeleteFunc(changed, func(feed refs.Feed, d int) bool { before, ok := hops[feed]; return ok && before == d })
		hops = now
		if len(changed) > 0 {
			if err := send(changed, false); err != nil {
				return err
			}
		}
	}
}
