package gossip

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ssbsync/ssbsync/spec/multiserver"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/ebt"
)

// pingTimeout is what we tell peers about how often we ping, in milliseconds.
const pingTimeout = 300_000

// pingPace is the least time between two answers to pings of one call.
const pingPace = time.Second

// Peer is one open session.
type Peer struct {
	Feed     refs.Feed
	Address  string // as dialled, or where the connection came from
	Inbound  bool
	Source   Source // of the address, if we dialled
	Since    time.Time
	Protocol Protocol // by which feeds are replicated

	BytesReceived, BytesSent int64 // on the network

	Received  int64 // messages that were asked for
	Sent      int64 // messages sent by EBT
	New       int64 // of those received: stored
	Duplicate int64 // of those received: held already
	Refused   int64 // messages that were not asked for, or not wanted
	Rejected  int64 // messages that are bad input
	Forked    int64 // messages of forked feeds

	Receiving, Sending int // feeds that EBT is busy with
}

// Peers returns the open sessions with other identities, by id.
func (g *Gossip) Peers() []Peer {
	g.mu.Lock()
	sessions := make([]*session, 0, len(g.sessions))
	for _, s := range g.sessions {
		sessions = append(sessions, s)
	}
	g.mu.Unlock()
	peers := make([]Peer, len(sessions))
	for i, s := range sessions {
		peers[i] = s.describe()
	}
	slices.SortFunc(peers, func(a, b Peer) int { return a.Feed.Compare(b.Feed) })
	return peers
}

func (s *session) describe() Peer {
	x := s.feeds
	status, _ := x.rep.status(x)
	x.mu.Lock()
	defer x.mu.Unlock()
	return Peer{
		Feed: s.remote, Address: s.address, Inbound: s.inbound, Source: s.source, Since: s.since,
		Protocol:      x.protocol,
		BytesReceived: s.meter.received.Load(), BytesSent: s.meter.written.Load(),
		Received: x.received.Load(), Sent: x.sent.Load(),
		New: x.sum.New, Duplicate: x.sum.Duplicate, Forked: x.sum.Forked,
		Refused: x.refused.Load() + x.sum.Refused, Rejected: x.rejected.Load(),
		Receiving: status.Receiving, Sending: status.Sending,
	}
}

// Links returns what the peers with whom EBT runs say of a feed.
func (g *Gossip) Links(feed refs.Feed) []ebt.Link {
	g.rep.mu.Lock()
	defer g.rep.mu.Unlock()
	return g.rep.state.Links(feed)
}

// Known returns the peer book, by address.
func (g *Gossip) Known() []Known {
	b := g.book
	b.mu.Lock()
	defer b.mu.Unlock()
	return listed(b.entries, func(*entry) bool { return true })
}

// StagedPeers returns the peers that were heard on the LAN or in a room, or
// staged, and to whom there is no session, by address.
func (g *Gossip) StagedPeers() []Known {
	g.mu.Lock()
	connected := make(map[refs.Feed]bool, len(g.sessions))
	for feed := range g.sessions {
		connected[feed] = true
	}
	g.mu.Unlock()
	b := g.book
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire(g.cfg.Now())
	return listed(b.staged, func(e *entry) bool { return !connected[e.Feed] })
}

func listed(entries map[string]*entry, show func(*entry) bool) []Known {
	list := make([]Known, 0, len(entries))
	for _, e := range entries {
		if show(e) {
			list = append(list, e.Known)
		}
	}
	slices.SortFunc(list, func(a, b Known) int { return cmp.Compare(a.Address, b.Address) })
	return list
}

// Remember puts an address into the peer book. An address that is there already
// is left as it is, unless the source is a better one than a pub message.
func (g *Gossip) Remember(addr multiserver.Address, feed refs.Feed, source Source) error {
	key, ok := addr.Key()
	if !ok || key != feed {
		return errors.New("the address does not have the peer's key")
	}
	if feed == g.self {
		return ErrOwn
	}
	added, err := g.book.add(addr, feed, source, g.cfg.Now())
	if err != nil || !added {
		return err
	}
	g.emit(Event{Type: Added, Address: addr.String(), Feed: feed})
	g.wake()
	if source == Pub {
		return nil // saved with the next round
	}
	return g.book.save()
}

// Forget takes an address out of the peer book. A session with its peer goes
// on.
func (g *Gossip) Forget(addr multiserver.Address) error {
	if !g.book.remove(addr.String()) {
		return fmt.Errorf("address of the peer: %w", ErrUnknown)
	}
	key, _ := addr.Key()
	g.emit(Event{Type: Removed, Address: addr.String(), Feed: key})
	return g.book.save()
}

// Discovered says that a peer was heard on the LAN. It counts for two minutes,
// and is not kept.
func (g *Gossip) Discovered(addr multiserver.Address, feed refs.Feed) {
	if key, ok := addr.Key(); !ok || key != feed || feed == g.self {
		return
	}
	g.stage(addr, feed, LAN, true)
}

// Stage takes an address up for as long as this peer runs, beside the peer
// book, and reports whether it is new there.
func (g *Gossip) Stage(addr multiserver.Address, feed refs.Feed) (bool, error) {
	if key, ok := addr.Key(); !ok || key != feed {
		return false, errors.New("the address does not have the peer's key")
	}
	if feed == g.self {
		return false, ErrOwn
	}
	return g.session(feed) == nil && g.stage(addr, feed, Manual, false), nil
}

func (g *Gossip) stage(addr multiserver.Address, feed refs.Feed, source Source, expires bool) bool {
	if !g.book.hear(addr, feed, source, g.cfg.Now(), expires) {
		return false
	}
	g.emit(Event{Type: Staged, Address: addr.String(), Feed: feed})
	g.wake()
	return true
}

// Unstage takes back what Stage, the LAN or a room said of an address, and
// reports whether anything was said. A session with its peer goes on.
func (g *Gossip) Unstage(address string) bool {
	feed, staged := g.book.unstage(address)
	if staged {
		g.emit(Event{Type: Removed, Address: address, Feed: feed})
	}
	return staged
}

// Session returns the muxrpc session with a peer, on which it can be called;
// nil if there is none. It may end at any moment.
func (g *Gossip) Session(feed refs.Feed) *muxrpc.Session {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s := g.sessions[feed]; s != nil {
		return s.mux
	}
	return nil
}

// Ping returns how long a peer takes to answer a call.
func (g *Gossip) Ping(ctx context.Context, feed refs.Feed) (time.Duration, error) {
	mux := g.Session(feed)
	if mux == nil {
		return 0, fmt.Errorf("peer %s: %w", feed, ErrUnknown)
	}
	start := time.Now()
	st, err := mux.Duplex(ctx, "gossip.ping", map[string]int{"timeout": pingTimeout})
	if err != nil {
		return 0, err
	}
	defer st.Close(nil)
	if err := st.Send(ctx, g.cfg.Now().UnixMilli()); err != nil {
		return 0, err
	}
	if _, err := st.Recv(ctx); err != nil {
		return 0, fmt.Errorf("pinging peer %s: %w", feed, err)
	}
	return time.Since(start), nil
}

// ServePing serves gossip.ping, a duplex: either side sends its time, and the
// other sends its own in answer.
func (g *Gossip) ServePing(ctx context.Context, _ *muxrpc.Call, st *muxrpc.Stream) error {
	for {
		if err := st.Send(ctx, g.cfg.Now().UnixMilli()); err != nil {
			return nil
		}
		if _, err := st.Recv(ctx); err != nil {
			return nil
		}
		sleep(ctx, pingPace)
	}
}
