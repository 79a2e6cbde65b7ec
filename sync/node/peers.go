package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ssbsync/ssbsync/spec/multiserver"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/gossip"
)

// addPeers adds the methods of npm ssb-gossip and ssb-conn.
func (n *Node) addPeers(m *muxrpc.Mux) {
	m.Duplex("gossip.ping", n.ping)
	m.Sync("gossip.peers", n.gossipPeers)
	m.Sync("gossip.get", n.gossipGet)
	m.Sync("gossip.add", n.gossipAdd)
	m.Sync("gossip.remove", n.gossipRemove)
	m.Async("gossip.connect", n.connect)
	m.Async("gossip.disconnect", n.disconnect)
	m.Sync("gossip.reconnect", n.reconnect)
	m.Source("gossip.changes", n.gossipChanges)
	m.Duplex("conn.ping", n.ping)
	m.Async("conn.connect", n.connect)
	m.Async("conn.disconnect", n.disconnect)
	m.Sync("conn.remember", n.remember)
	m.Sync("conn.forget", n.gossipRemove)
	m.Sync("conn.dbPeers", n.dbPeers)
	m.Source("conn.peers", n.connPeers)
	m.Source("conn.stagedPeers", n.stagedPeers)
	m.Source("ssbsync.peers", n.peersNow)
}

func (n *Node) ping(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	g, err := n.network()
	if err != nil {
		return err
	}
	return g.ServePing(ctx, c, st)
}

// PeerInfo is one peer as gossip.peers and ssb-conn tell of it.
type PeerInfo struct {
	Address     string    `json:"address"`
	Key         refs.Feed `json:"key"`
	Source      string    `json:"source,omitempty"`
	State       string    `json:"state,omitempty"` // "connected", or nothing
	StateChange int64     `json:"stateChange,omitempty"`
	Client      bool      `json:"client,omitempty"` // we dialled
	Failure     int       `json:"failure,omitempty"`
	Announcers  int       `json:"announcers"`
	Duration    any       `json:"duration"`

	Session *SessionInfo `json:"session,omitempty"` // of a connected peer

	staged bool // known for now only
}

// SessionInfo says what happens on a connection.
type SessionInfo struct {
	Protocol string `json:"protocol"` // ebt, history, or nothing
	Since    int64  `json:"since"`    // milliseconds since 1970
	BytesIn  int64  `json:"bytesIn"`
	BytesOut int64  `json:"bytesOut"`
	Received int64  `json:"received"` // messages
	Sent     int64  `json:"sent"`
	New      int64  `json:"new"`
	Refused  int64  `json:"refused"`
	Rejected int64  `json:"rejected"`
}

// allPeers lists the peers that are known and those that are connected.
func (n *Node) allPeers() ([]PeerInfo, error) {
	g, err := n.network()
	if err != nil {
		return nil, err
	}
	var all []PeerInfo
	at := map[refs.Feed][]int{}
	book := g.Known()
	for i, k := range slices.Concat(book, g.StagedPeers()) {
		at[k.Feed] = append(at[k.Feed], len(all))
		all = append(all, PeerInfo{Address: k.Address, Key: k.Feed, Source: string(k.Source),
			StateChange: k.Changed, Failure: k.Failures, Announcers: 1, staged: i >= len(book)})
	}
	for _, p := range g.Peers() {
		places, ok := at[p.Feed]
		if !ok {
			places = []int{len(all)}
			all = append(all, PeerInfo{Address: p.Address, Key: p.Feed, Source: string(p.Source), Announcers: 1})
		}
		place := places[0]
		for _, i := range places {
			if all[i].Address == p.Address {
				place = i
			}
		}
		info := &all[place]
		info.State, info.StateChange, info.Client = "connected", p.Since.UnixMilli(), !p.Inbound
		info.Session = &SessionInfo{Protocol: string(p.Protocol), Since: p.Since.UnixMilli(),
			BytesIn: p.BytesReceived, BytesOut: p.BytesSent, Received: p.Received, Sent: p.Sent,
			New: p.New, Refused: p.Refused, Rejected: p.Rejected}
	}
	return all, nil
}

func (n *Node) gossipPeers(context.Context, *muxrpc.Call) (any, error) {
	all, err := n.allPeers()
	if all == nil {
		all = []PeerInfo{}
	}
	return all, err
}

// gossipStatus is the part of status that tells of connected peers.
func (n *Node) gossipStatus() map[string]any {
	connected := map[string]any{}
	if n.opened.Load() == nil {
		return connected
	}
	all, err := n.allPeers()
	if err != nil {
		return connected
	}
	for _, p := range all {
		if p.State != "" {
			connected[p.Key.String()] = p
		}
	}
	return connected
}

// gossipGet answers what is known of a peer: gossip.get(id).
func (n *Node) gossipGet(_ context.Context, c *muxrpc.Call) (any, error) {
	_, feed, err := addressParam(c)
	if err != nil {
		return nil, fmt.Errorf("must provide id:%s", argument(c, 0))
	}
	all, err := n.allPeers()
	for _, p := range all {
		if p.Key == feed {
			return p, nil
		}
	}
	return nil, err
}

// addressParam reads the first argument as an address in any form (multiserver,
// host:port:key, or an object with address or host, port and key), or as the id
// of a peer alone.
func addressParam(c *muxrpc.Call) (addr multiserver.Address, feed refs.Feed, err error) {
	raw := argument(c, 0)
	if falsy(raw) {
		return nil, feed, missing(0)
	}
	var text string
	var o struct {
		Address string          `json:"address"`
		Host    string          `json:"host"`
		Port    json.RawMessage `json:"port"`
		Key     string          `json:"key"`
	}
	if json.Unmarshal(raw, &text) != nil {
		if json.Unmarshal(raw, &o) != nil {
			return nil, feed, wrongType(0, "object")
		}
		switch {
		case o.Address != "":
			text = o.Address
		case o.Host != "":
			text = o.Host + ":" + strings.Trim(string(o.Port), `"`) + ":" + o.Key
		default:
			text = o.Key
		}
	}
	return parseAddress(text)
}

func parseAddress(text string) (multiserver.Address, refs.Feed, error) {
	if feed, err := refs.ParseFeed(text); err == nil {
		return nil, feed, nil
	}
	if all, err := multiserver.Parse(text); err == nil {
		for _, addr := range all {
			if key, ok := addr.Key(); ok {
				return addr, key, nil
			}
		}
	}
	addr, err := multiserver.ParseLegacy(text)
	if err != nil {
		return nil, refs.Feed{}, fmt.Errorf("not a valid address:%.200s", text)
	}
	key, _ := addr.Key()
	return addr, key, nil
}

// reachable returns the address of the first argument, which may be the id of a
// peer that is known.
func (n *Node) reachable(c *muxrpc.Call) (*gossip.Gossip, multiserver.Address, refs.Feed, error) {
	g, err := n.network()
	if err != nil {
		return nil, nil, refs.Feed{}, err
	}
	addr, feed, err := addressParam(c)
	if err != nil || addr != nil {
		return g, addr, feed, err
	}
	for _, k := range slices.Concat(g.StagedPeers(), g.Known()) {
		if k.Feed == feed {
			addr, _, err = parseAddress(k.Address)
			return g, addr, feed, err
		}
	}
	return g, nil, feed, fmt.Errorf("no known address for peer:%s", feed)
}

// gossipAdd puts an address into the peer book: gossip.add(address, source).
func (n *Node) gossipAdd(_ context.Context, c *muxrpc.Call) (any, error) {
	addr, feed, err := addressParam(c)
	if err != nil {
		return nil, err
	}
	if addr == nil {
		return nil, fmt.Errorf("not a valid address:%s", feed)
	}
	if feed == n.keys.Feed() {
		return nil, nil
	}
	var source string
	_ = json.Unmarshal(argument(c, 1), &source) // an odd one counts as none
	g, err := n.network()
	if err != nil {
		return nil, err
	}
	if source != string(gossip.Pub) && source != string(gossip.Seed) && source != string(gossip.Invite) {
		source = string(gossip.Manual)
	}
	if err := g.Remember(addr, feed, gossip.Source(source)); err != nil {
		return nil, err
	}
	return PeerInfo{Address: addr.String(), Key: feed, Source: source, Announcers: 1}, nil
}

// remember is gossip.add in ssb-conn: conn.remember(address, data).
func (n *Node) remember(ctx context.Context, c *muxrpc.Call) (any, error) {
	_, err := n.gossipAdd(ctx, c)
	return nil, err
}

// gossipRemove takes an address, or all of a peer, out of the peer book.
func (n *Node) gossipRemove(_ context.Context, c *muxrpc.Call) (any, error) {
	g, err := n.network()
	if err != nil {
		return nil, err
	}
	addr, feed, err := addressParam(c)
	if err != nil {
		return nil, err
	}
	for _, k := range g.Known() {
		if known, _, err := parseAddress(k.Address); err == nil && k.Feed == feed && (addr == nil || known.String() == addr.String()) {
			if err := g.Forget(known); err != nil {
				return nil, err
			}
		}
	}
	return nil, nil
}

// connect dials a peer: gossip.connect(address), or by the id of a known peer.
func (n *Node) connect(ctx context.Context, c *muxrpc.Call) (any, error) {
	if s := n.server.Load(); s == nil || s.offline {
		return nil, errNoServer
	}
	g, addr, feed, err := n.reachable(c)
	if err != nil {
		return nil, err
	}
	if _, err := g.Connect(ctx, addr); err != nil {
		return nil, err
	}
	if err := g.Remember(addr, feed, gossip.Manual); err != nil {
		return nil, err
	}
	return PeerInfo{Address: addr.String(), Key: feed, Source: string(gossip.Manual), State: "connected", Client: true, Announcers: 1}, nil
}

// disconnect ends the session with a peer.
func (n *Node) disconnect(_ context.Context, c *muxrpc.Call) (any, error) {
	_, feed, err := addressParam(c)
	if err != nil {
		return nil, err
	}
	g, err := n.network()
	if err != nil {
		return nil, err
	}
	if err := g.Disconnect(feed); err != nil && !errors.Is(err, gossip.ErrUnknown) {
		return nil, err
	} else if err != nil {
		return nil, fmt.Errorf("not connected to %s", feed)
	}
	return true, nil
}

// reconnect lets all addresses be tried again.
func (n *Node) reconnect(context.Context, *muxrpc.Call) (any, error) {
	g, err := n.network()
	if err != nil {
		return nil, err
	}
	g.NetworkChanged()
	return n.options.Now().UnixMilli(), nil
}

// pair is an entry as ssb-conn sends it: [address, data].
func pair(p PeerInfo) [2]any { return [2]any{p.Address, p} }

func (n *Node) dbPeers(context.Context, *muxrpc.Call) (any, error) {
	g, err := n.network()
	if err != nil {
		return nil, err
	}
	pairs := [][2]any{}
	for _, k := range g.Known() {
		pairs = append(pairs, [2]any{k.Address, k})
	}
	return pairs, nil
}

// gossipChanges sends what happens to connections, in the words of ssb-gossip.
func (n *Node) gossipChanges(ctx context.Context, _ *muxrpc.Call, st *muxrpc.Stream) error {
	g, err := n.network()
	if err != nil {
		return err
	}
	type change struct {
		Type   string   `json:"type"`
		Peer   PeerInfo `json:"peer"`
		Source string   `json:"source,omitempty"`
	}
	words := map[gossip.EventType]string{gossip.Staged: "discover", gossip.Added: "discover", gossip.Connected: "connect",
		gossip.ConnectingFailed: "connect-failure", gossip.Disconnected: "disconnect", gossip.Removed: "remove"}
	return ended(n.eachEvent(ctx, g, func(ev gossip.Event) error {
		word, ok := words[ev.Type]
		if !ok {
			return nil
		}
		ch := change{Type: word, Peer: peerOf(g, ev)}
		if word == "discover" {
			ch.Source = ch.Peer.Source
		}
		return st.Send(ctx, ch)
	}))
}

// peerOf returns the peer of an event as it is then.
func peerOf(g *gossip.Gossip, ev gossip.Event) PeerInfo {
	info := PeerInfo{Address: ev.Address, Key: ev.Feed, Announcers: 1}
	for _, k := range slices.Concat(g.StagedPeers(), g.Known()) {
		if k.Feed == ev.Feed && (k.Address == ev.Address || info.Source == "") {
			info.Source = string(k.Source)
		}
	}
	switch ev.Type {
	case gossip.Added, gossip.Staged:
		return info // never connected
	case gossip.Connected:
		info.State, info.Client = "connected", !ev.Inbound
	case gossip.Disconnected:
		info.Client = !ev.Inbound
	}
	info.StateChange = ev.Time.UnixMilli()
	return info
}

// eachEvent calls do with each event from now on.
func (n *Node) eachEvent(ctx context.Context, g *gossip.Gossip, do func(gossip.Event) error) error {
	for last := g.LastEvent(); ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-g.EventsChanged(last):
		}
		for _, ev := range g.Events(last) {
			last = ev.Number
			if err := do(ev); err != nil {
				return err
			}
		}
	}
}

// connPeers sends the connected peers as [address, data] pairs, all of them
// again with each change.
func (n *Node) connPeers(ctx context.Context, _ *muxrpc.Call, st *muxrpc.Stream) error {
	return n.streamPairs(ctx, st, func(p PeerInfo) bool { return p.State != "" })
}

// stagedPeers sends the peers on the LAN and in rooms that are not connected,
// and those that were staged, likewise.
func (n *Node) stagedPeers(ctx context.Context, _ *muxrpc.Call, st *muxrpc.Stream) error {
	return n.streamPairs(ctx, st, func(p PeerInfo) bool { return p.State == "" && p.staged })
}

func (n *Node) streamPairs(ctx context.Context, st *muxrpc.Stream, choose func(PeerInfo) bool) error {
	g, err := n.network()
	if err != nil {
		return err
	}
	send := func() error {
		all, err := n.allPeers()
		if err != nil {
			return err
		}
		pairs := [][2]any{}
		for _, p := range all {
			if choose(p) {
				pairs = append(pairs, pair(p))
			}
		}
		return st.Send(ctx, pairs)
	}
	if err := send(); err != nil {
		return ended(err)
	}
	return ended(n.eachEvent(ctx, g, func(gossip.Event) error { return send() }))
}

// peersNow sends each peer and ends.
func (n *Node) peersNow(ctx context.Context, _ *muxrpc.Call, st *muxrpc.Stream) error {
	all, err := n.allPeers()
	for _, p := range all {
		if err := st.Send(ctx, p); err != nil {
			return ended(err)
		}
	}
	return err
}
