package gossip

import (
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/ebt"
)

// status describes the EBT session of an exchange.
func (r *replicator) status(x *exchange) (ebt.Status, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.peers[x.s.remote]; m == nil || m.x != x {
		return ebt.Status{}, false
	}
	return r.state.Status(x.s.remote)
}

// claim takes those of the wanted feeds for fetching by history that nobody
// else fetches and that no peer with EBT is about to send.
func (r *replicator) claim(x *exchange) (feeds []refs.Feed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for feed, want := range r.wanted {
		if _, frozen := r.frozen[feed]; !want || frozen || r.claims[feed] != nil {
			continue
		}
		if r.state.Claimed(feed) > r.state.Held(feed) {
			continue
		}
		r.claims[feed] = x
		feeds = append(feeds, feed)
	}
	return feeds
}

// unclaim gives the feeds back.
func (r *replicator) unclaim(x *exchange, feeds []refs.Feed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, feed := range feeds {
		if r.claims[feed] == x {
			delete(r.claims, feed)
		}
	}
}

// Status says how far we and the peers of open sessions are with a feed.
type Status struct {
	Held    int64 // we hold messages 1 to Held
	Claimed int64 // the highest sequence that a peer claims to hold
	Wanted  bool
	Frozen  bool // forked
}

// FeedStatus returns the status of a feed, as ebt.peerStatus needs it.
func (g *Gossip) FeedStatus(feed refs.Feed) Status {
	r := g.rep
	r.mu.Lock()
	defer r.mu.Unlock()
	_, frozen := r.frozen[feed]
	return Status{r.state.Held(feed), r.state.Claimed(feed), r.wanted[feed], frozen}
}
