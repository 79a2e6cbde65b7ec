package gossip

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/ssbsync/ssbsync/spec/multiserver"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// A room is a server through which peers reach each other that cannot be
// reached otherwise: npm ssb-room, and the rooms 2.0 specification
// (ssbc/rooms2). Who is in a room calls tunnel.connect there to reach another,
// and is reached by the room's call of tunnel.connect. A tunnel carries the same
// handshake as any other connection, so that the room learns nothing of what
// passes and can be nobody else. Only servers that we dialled are taken for
// rooms.
const (
	maxAttendants = 250 // of a room that are noted, those that are wanted first
	maxTunnels    = 32  // that lead to us through one room at a time
	tunnelRead    = 64 << 10
)

// Room says that an address was learnt in a room.
const Room Source = "room"

var (
	errNoRoom  = errors.New("the room is not connected, and no address of it is known")
	errTunnels = errors.New("too many tunnels through this room")
)

// visit is what is known of a peer as a room.
type visit struct {
	asked chan struct{} // closed once the peer said whether it is one, or will not

	mu      sync.Mutex
	is      bool
	tunnels int
	present map[refs.Feed]string // who is there, and the address
}

// visitRoom asks the peer whether it is a room, and stays in it until the
// session is over.
func (s *session) visitRoom() {
	is := !s.inbound && !strings.HasPrefix(s.address, "tunnel:") && s.askRoom()
	s.visit.mu.Lock()
	s.visit.is = is
	s.visit.mu.Unlock()
	close(s.visit.asked)
	if !is {
		return
	}
	defer s.attendants(nil)
	err := s.attend("room.attendants", s.attendance)
	var refusal *muxrpc.RemoteError
	if errors.As(err, &refusal) { // an older room
		err = s.attend("tunnel.endpoints", s.endpoints)
	}
	s.g.cfg.Log.Debug("left a room", "room", s.remote, "err", err)
}

// askRoom reports whether the peer calls itself a room.
func (s *session) askRoom() bool {
	for _, method := range []string{"room.metadata", "tunnel.isRoom"} {
		ctx, cancel := context.WithTimeout(s.ctx, s.g.cfg.Limits.Dial)
		answer, err := s.mux.Async(ctx, method)
		cancel()
		if err == nil {
			return !slices.Contains([]string{"false", "null", "0", `""`}, string(answer))
		}
	}
	return false
}

// inRoom reports whether the peer is a room, once that is known.
func (s *session) inRoom(ctx context.Context) bool {
	select {
	case <-s.visit.asked:
	case <-ctx.Done():
		return false
	}
	s.visit.mu.Lock()
	defer s.visit.mu.Unlock()
	return s.visit.is
}

// attend follows who is in the room, by one of two methods. Calling either
// lets others know that we are.
func (s *session) attend(method string, note func(json.RawMessage) error) error {
	st, err := s.mux.Source(s.ctx, method)
	if err != nil {
		return err
	}
	defer st.Close(nil)
	for {
		item, err := st.Recv(s.ctx)
		if err != nil {
			return err
		}
		if err := note(item.JSON()); err != nil {
			return fmt.Errorf("%s: %w", method, err)
		}
	}
}

// endpoints takes an item of tunnel.endpoints: the ids of all who are there.
func (s *session) endpoints(item json.RawMessage) error {
	var ids []string
	if err := json.Unmarshal(item, &ids); err != nil {
		return err
	}
	s.attendants(feedsOf(ids))
	return nil
}

// attendance takes an item of room.attendants: the state, or one who joined or
// left.
func (s *session) attendance(item json.RawMessage) error {
	var event struct {
		Type string   `json:"type"`
		ID   string   `json:"id"`
		IDs  []string `json:"ids"`
	}
	if err := json.Unmarshal(item, &event); err != nil {
		return err
	}
	s.visit.mu.Lock()
	now := maps.Clone(s.visit.present)
	s.visit.mu.Unlock()
	present := slices.Collect(maps.Keys(now))
	one := feedsOf([]string{event.ID})
	switch event.Type {
	case "state":
		present = feedsOf(event.IDs)
	case "joined":
		present = append(present, one...)
	case "left":
		present = slices.DeleteFunc(present, func(feed refs.Feed) bool { return slices.Contains(one, feed) })
	}
	s.attendants(present)
	return nil
}

func feedsOf(ids []string) (feeds []refs.Feed) {
	for _, id := range ids {
		if feed, err := refs.ParseFeed(id); err == nil {
			feeds = append(feeds, feed)
		}
	}
	return feeds
}

// attendants brings what is staged up to date with who is in the room.
func (s *session) attendants(present []refs.Feed) {
	now := make(map[refs.Feed]string)
	wanted := s.g.cfg.Policy.Wants
	for _, feed := range slices.Concat(slices.DeleteFunc(slices.Clone(present), func(feed refs.Feed) bool { return !wanted(feed) }), present) {
		if feed != s.g.self && feed != s.remote && len(now) < maxAttendants {
			now[feed] = ""
		}
	}
	s.visit.mu.Lock()
	defer s.visit.mu.Unlock()
	for feed, address := range s.visit.present {
		if _, stays := now[feed]; !stays {
			s.g.Unstage(address)
		}
	}
	for feed := range now {
		addr := multiserver.Tunnel(s.remote, feed)
		now[feed] = addr.String()
		if _, known := s.visit.present[feed]; !known {
			s.g.stage(addr, feed, Room, false)
		}
	}
	s.visit.present = now
}

// dialTunnel connects through a room, to which it connects first if it must.
func (g *Gossip) dialTunnel(ctx context.Context, addr multiserver.Address) (net.Conn, error) {
	portal, target, ok := addr.Tunnel()
	if !ok {
		return nil, errors.New("the tunnel address does not name a room and a peer")
	}
	if portal == g.self || portal == target {
		return nil, errors.New("the tunnel address leads nowhere")
	}
	s, err := g.reachRoom(ctx, portal)
	if err != nil {
		return nil, fmt.Errorf("room %s: %w", portal, err)
	}
	// The stream outlives the dial. When that is given up the connection is
	// closed, and the stream with it.
	st, err := s.Duplex(g.ctx, "tunnel.connect", tunnelOptions{Portal: portal, Target: target})
	if err != nil {
		return nil, fmt.Errorf("room %s: %w", portal, err)
	}
	return &tunnelConn{g.tunnel(st), tunnelAddr{portal, target}}, nil
}

// reachRoom returns the connection to a room.
func (g *Gossip) reachRoom(ctx context.Context, portal refs.Feed) (*muxrpc.Session, error) {
	if mux := g.Session(portal); mux != nil {
		return mux, nil
	}
	for _, k := range g.Known() {
		all, err := multiserver.Parse(k.Address)
		if k.Feed != portal || err != nil || all[0].Transport() == "tunnel" || !g.permits(all[0]) {
			continue
		}
		if _, err := g.connect(ctx, all[0], k.Source); err != nil {
			return nil, err
		}
		if mux := g.Session(portal); mux != nil {
			return mux, nil
		}
	}
	return nil, errNoRoom
}

// tunnelOptions is the argument of tunnel.connect.
type tunnelOptions struct {
	Portal refs.Feed  `json:"portal"`
	Target refs.Feed  `json:"target"`
	Origin *refs.Feed `json:"origin,omitempty"`
}

// serveTunnel serves tunnel.connect, a duplex, to a room: the connection that
// comes through it is a peer's.
func (s *session) serveTunnel(ctx context.Context, c *muxrpc.Call) error {
	var o tunnelOptions
	if err := c.DecodeArgs(&o); err != nil {
		return err
	}
	if o.Target != s.g.self || o.Origin == nil || c.Stream == nil {
		return fmt.Errorf("could not connect to %s", o.Target)
	}
	if !s.tunnelled(1) {
		return errTunnels
	}
	defer s.tunnelled(-1)
	conn := &tunnelConn{s.g.tunnel(c.Stream), tunnelAddr{s.remote, *o.Origin}}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	s.g.accepted(conn, s.g.gate.enter(conn), "tunnel")
	return nil
}

// tunnelled counts the tunnels through the room, and reports whether there may
// be so many.
func (s *session) tunnelled(n int) bool {
	s.visit.mu.Lock()
	defer s.visit.mu.Unlock()
	if s.visit.tunnels+n > maxTunnels {
		return false
	}
	s.visit.tunnels += n
	return true
}

// isRoomCall reports whether a call is for us as one who is in a room.
func (s *session) isRoomCall(c *muxrpc.Call) bool {
	if c.Name() != "tunnel.connect" {
		return false
	}
	s.visit.mu.Lock()
	defer s.visit.mu.Unlock()
	return s.visit.is
}

// tunnelConn is a connection through a room.
type tunnelConn struct {
	net.Conn
	remote tunnelAddr
}

// RemoteAddr returns the room, and the peer that it says is behind.
func (c *tunnelConn) RemoteAddr() net.Addr { return c.remote }

// tunnelAddr is a room and a peer.
type tunnelAddr struct{ portal, peer refs.Feed }

// Network implements net.Addr.
func (a tunnelAddr) Network() string { return "tunnel" }

// String implements net.Addr.
func (a tunnelAddr) String() string { return a.portal.String() + ":" + a.peer.String() }

// tunnel returns a stream as a connection, with the deadlines that one has: two
// goroutines carry the bytes until either end is closed.
func (g *Gossip) tunnel(st *muxrpc.Stream) net.Conn {
	near, far := net.Pipe()
	ctx, cancel := context.WithCancel(g.ctx)
	end := func() {
		cancel()
		far.Close()
		st.Close(nil)
	}
	g.work.Go(func() {
		defer end()
		buf := make([]byte, tunnelRead)
		for {
			n, err := far.Read(buf)
			if n > 0 && st.Send(ctx, muxrpc.Item{Kind: muxrpc.Binary, Body: buf[:n]}) != nil || err != nil {
				return
			}
		}
	})
	g.work.Go(func() {
		defer end()
		for {
			item, err := st.Recv(ctx)
			if err != nil {
				return
			}
			if _, err := far.Write(item.Body); err != nil {
				return
			}
		}
	})
	return near
}
