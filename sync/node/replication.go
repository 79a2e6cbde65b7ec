package node

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/gossip"
)

// keptTable holds the feeds that the user asked to replicate. Its keys are
// feeds, its values are empty.
const keptTable = "node.kept"

// gossipPolicy is the policy towards the network: what sticks carry beside is
// none of its business.
type gossipPolicy struct{ *policy }

// Wants implements gossip.Policy.
func (p gossipPolicy) Wants(feed refs.Feed) bool {
	if feed == p.node.keys.Feed() {
		return true
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	return !p.blocked[feed] && p.replicates(feed)
}

// Replicated implements gossip.Policy.
func (p gossipPolicy) Replicated() []refs.Feed {
	p.mu.RLock()
	defer p.mu.RUnlock()
	named := p.named()
	for _, feed := range p.held {
		named[feed] = true
	}
	maps.DeleteFunc(named, func(feed refs.Feed, _ bool) bool { return p.blocked[feed] })
	return slices.SortedFunc(maps.Keys(named), refs.Feed.Compare)
}

// Blocked implements gossip.Policy.
func (p gossipPolicy) Blocked(feed refs.Feed) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.blocked[feed]
}

// request notes that an app wants a feed, or does not, while this node runs.
func (p *policy) request(feed refs.Feed, want bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requested[feed] = want
}

// refuse notes that an app blocks a feed, or no longer, while this node runs.
func (p *policy) refuse(feed refs.Feed, block bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if block {
		p.refused[feed] = true
	} else {
		delete(p.refused, feed)
	}
}

// keep notes that the user wants a feed, or no longer, for good.
func (p *policy) keep(feed refs.Feed, want bool) error {
	table := p.node.store.Table(keptTable)
	if want {
		return table.Put(feed[:], nil)
	}
	return table.Delete(feed[:])
}

// policyChanged makes the new answers of the policy count.
func (n *Node) policyChanged(ctx context.Context) error {
	if err := n.policy.refresh(ctx); err != nil {
		return err
	}
	if g := n.opened.Load(); g != nil {
		g.PolicyChanged()
	}
	return nil
}

// addReplication adds the methods of npm ssb-replicate and ssb-ebt, and our
// own.
func (n *Node) addReplication(m *muxrpc.Mux) {
	m.Duplex("ebt.replicate", n.ebtReplicate)
	m.Sync("ebt.request", n.request)
	m.Sync("ebt.block", n.block)
	m.Sync("ebt.peerStatus", n.peerStatus)
	m.Sync("replicate.request", n.request)
	m.Sync("replicate.block", n.block)
	m.Source("replicate.upto", n.upto)
	m.Source("replicate.changes", n.replicateChanges)
	m.Async("ssbsync.replicate", n.replicate)
	n.addSchedule(m)
}

func (n *Node) ebtReplicate(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	if _, _, ok := gossip.Remote(ctx); !ok {
		return errors.New("ebt.replicate is for peers, not for apps")
	}
	g, err := n.network()
	if err != nil {
		return err
	}
	return g.ServeEBT(ctx, c, st)
}

// createHistoryStream serves one feed from a sequence on, also to peers; not to
// those whom the feed's author blocks.
func (n *Node) createHistoryStream(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	if remote, _, ok := gossip.Remote(ctx); ok && !n.isMaster(remote) {
		var o struct {
			ID refs.Feed `json:"id"`
		}
		raw := argument(c, 0)
		if (json.Unmarshal(raw, &o) == nil || json.Unmarshal(raw, &o.ID) == nil) && n.graph.IsBlocking(o.ID, remote) {
			return nil
		}
	}
	return n.history.Serve(ctx, c, st)
}

// request wants a feed, or does not, until the node is closed:
// replicate.request(id, want), or replicate.request({id, replicate}).
func (n *Node) request(ctx context.Context, c *muxrpc.Call) (any, error) {
	var o struct {
		ID        *refs.Feed `json:"id"`
		Replicate setting    `json:"replicate"`
	}
	if raw := argument(c, 0); json.Unmarshal(raw, &o) != nil {
		if json.Unmarshal(raw, &o.ID) != nil {
			return nil, nil // ssb-ebt passes over what is no feed
		}
		if want := argument(c, 1); len(want) > 0 {
			_ = o.Replicate.UnmarshalJSON(want) // never fails
		}
	}
	if o.ID == nil {
		return nil, nil
	}
	n.policy.request(*o.ID, o.Replicate != settingFalse)
	return nil, n.policyChanged(ctx)
}

// block refuses a feed, or no longer, until the node is closed:
// replicate.block(from, to, blocking). Only from ourselves does it matter: what
// others block is in their messages.
func (n *Node) block(ctx context.Context, c *muxrpc.Call) (any, error) {
	var o struct {
		From     refs.Feed `json:"from"`
		To       refs.Feed `json:"to"`
		Blocking setting   `json:"blocking"`
	}
	if json.Unmarshal(argument(c, 0), &o) != nil {
		if c.DecodeArgs(&o.From, &o.To, &o.Blocking) != nil {
			return nil, nil // ssb-ebt passes over what is no feed
		}
	}
	if o.From != n.keys.Feed() || o.To == o.From {
		return nil, nil
	}
	n.policy.refuse(o.To, o.Blocking.truthy())
	return nil, n.policyChanged(ctx)
}

// peerStatus answers how far we are with a feed, and those with whom EBT runs:
// ebt.peerStatus(id).
func (n *Node) peerStatus(_ context.Context, c *muxrpc.Call) (any, error) {
	feed := n.keys.Feed()
	if raw := argument(c, 0); !falsy(raw) && json.Unmarshal(raw, &feed) != nil {
		return nil, wrongType(0, "feedId")
	}
	head, err := n.store.Head(feed)
	if err != nil {
		return nil, err
	}
	type replicating struct {
		Tx        bool  `json:"tx"`
		Rx        bool  `json:"rx"`
		Sent      int64 `json:"sent"`
		Requested int64 `json:"requested"`
	}
	type peer struct {
		Seq         int64       `json:"seq"`
		Replicating replicating `json:"replicating"`
	}
	peers := map[refs.Feed]peer{}
	if g := n.opened.Load(); g != nil {
		for _, l := range g.Links(feed) {
			peers[l.Peer] = peer{l.Seq, replicating{l.Sending, l.Receiving, l.Sent, l.Asked}}
		}
	}
	return struct {
		ID    refs.Feed          `json:"id"`
		Seq   int64              `json:"seq,omitempty"`
		Peers map[refs.Feed]peer `json:"peers"`
	}{feed, head.Seq, peers}, nil
}

// wantedFeed is what replicate.upto sends.
type wantedFeed struct {
	ID       refs.Feed `json:"id"`
	Sequence int64     `json:"sequence"`
}

// upto sends the feeds that are asked for and how far they are; live then those
// that join them, and those that leave, with the sequence -1.
func (n *Node) upto(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	var o struct {
		Live setting `json:"live"`
	}
	if err := options(c, &o); err != nil {
		return err
	}
	if err := n.policy.refresh(ctx); err != nil {
		return err
	}
	known := map[refs.Feed]bool{}
	if err := n.sendWanted(ctx, st, known); err != nil {
		return ended(err)
	}
	if !o.Live.truthy() {
		return nil
	}
	if err := st.Send(ctx, json.RawMessage(`{"sync":true}`)); err != nil {
		return ended(err)
	}
	for {
		if err := n.store.Wait(ctx, n.store.Last()); err != nil {
			return ended(err)
		}
		if err := n.policy.refresh(ctx); err != nil {
			return ended(err)
		}
		if err := n.sendWanted(ctx, st, known); err != nil {
			return ended(err)
		}
	}
}

// sendWanted sends what changed in the feeds that are asked for.
func (n *Node) sendWanted(ctx context.Context, st *muxrpc.Stream, known map[refs.Feed]bool) error {
	now := map[refs.Feed]bool{}
	for _, feed := range (gossipPolicy{n.policy}).Replicated() {
		now[feed] = true
		if known[feed] {
			continue
		}
		known[feed] = true
		head, err := n.store.Head(feed)
		if err != nil {
			return err
		}
		if err := st.Send(ctx, wantedFeed{feed, head.Seq}); err != nil {
			return err
		}
	}
	for feed := range known {
		if !now[feed] {
			delete(known, feed)
			if err := st.Send(ctx, wantedFeed{feed, -1}); err != nil {
				return err
			}
		}
	}
	return nil
}

// changesEvery is how often replicate.changes sends at most.
const changesEvery = 500 * time.Millisecond

// replicateChanges sends how much is here, again and again while it grows.
func (n *Node) replicateChanges(ctx context.Context, _ *muxrpc.Call, st *muxrpc.Stream) error {
	type change struct {
		ID              refs.Feed      `json:"id"`
		Rate            float64        `json:"rate"` // messages a second
		Feeds           int            `json:"feeds"`
		PendingPeers    map[string]int `json:"pendingPeers"`
		IncompleteFeeds int            `json:"incompleteFeeds"`
		Progress        uint64         `json:"progress"`
		Total           uint64         `json:"total"`
	}
	last, began := n.store.Last(), time.Now()
	for {
		if err := n.store.Wait(ctx, last); err != nil {
			return ended(err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(changesEvery):
		}
		clock, err := n.store.Vector()
		if err != nil {
			return err
		}
		now := n.store.Last()
		rate := float64(now-last) / time.Since(began).Seconds()
		last, began = now, time.Now()
		item := change{ID: n.keys.Feed(), Rate: rate, Feeds: clock.Len(), PendingPeers: map[string]int{}, Progress: now, Total: now}
		if err := st.Send(ctx, item); err != nil {
			return ended(err)
		}
	}
}

// ReplicateOptions are the options of ssbsync.replicate.
type ReplicateOptions struct {
	Feed *refs.Feed `json:"feed,omitempty"` // nil only asks
	Stop bool       `json:"stop,omitempty"` // no longer
}

// replicate replicates a feed for good, or no longer, and answers which feeds
// are: ssbsync.replicate({feed, stop}).
func (n *Node) replicate(ctx context.Context, c *muxrpc.Call) (any, error) {
	var o ReplicateOptions
	if err := options(c, &o); err != nil {
		return nil, err
	}
	if o.Feed != nil {
		if err := n.policy.keep(*o.Feed, !o.Stop); err != nil {
			return nil, err
		}
		if err := n.policyChanged(ctx); err != nil {
			return nil, err
		}
	}
	kept, err := n.policy.readFeeds(keptTable)
	return slices.SortedFunc(maps.Keys(kept), refs.Feed.Compare), err
}

// followPolicy keeps the policy and the sessions up to date with the messages
// that come in, until ctx ends.
func (n *Node) followPolicy(ctx context.Context) error {
	for version := uint64(0); ; {
		last := n.store.Last()
		if err := n.graph.Update(ctx); err != nil {
			return err
		}
		if now := n.graph.Version(); now != version {
			version = now
			if err := n.policyChanged(ctx); err != nil {
				return err
			}
		}
		if err := n.store.Wait(ctx, last); err != nil {
			return err
		}
		select { // many messages at a time
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(policyPause):
		}
	}
}

// policyPause is how long messages gather before the graph follows them.
const policyPause = 100 * time.Millisecond

var _ gossip.Policy = gossipPolicy{}

var errNoServer = errors.New("no server is running for this home folder")

// newGossip makes the node's side of all connections.
func (n *Node) newGossip() (*gossip.Gossip, error) {
	if err := n.config.badNetwork; err != nil {
		return nil, err
	}
	if err := n.policy.refresh(context.Background()); err != nil {
		return nil, err
	}
	g, err := gossip.New(gossip.Config{
		Keys: n.keys, Network: n.caps, Store: n.store, Ingest: n.ingest, Policy: gossipPolicy{n.policy}, Graph: n.graph,
		Handler: n.handlerFor, Meet: n.blobs.meet, Publish: n.publishContent, Proxy: n.config.Proxy, AllowPrivate: n.config.AllowPrivate,
		Transports: n.config.transports(), Log: n.options.Log, Now: n.options.Now,
	})
	if err == nil {
		err = n.applySwitches(g)
	}
	if err == nil {
		n.opened.Store(g)
	}
	return g, err
}
