package gossip_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/multiserver"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/spec/secretstream"
	"github.com/ssbsync/ssbsync/sync/gossip"
)

// room is a room as npm ssb-room is one or, when it is modern, as the rooms 2.0
// specification has it.
type room struct {
	t      testing.TB
	keys   *keys.Pair
	id     refs.Feed
	addr   multiserver.Address
	modern bool
	lies   bool // says that there are more than there are

	mu      sync.Mutex
	there   map[refs.Feed]*muxrpc.Session
	changed chan struct{} // closed when somebody comes or goes

	cut func() // ends all connections, and the room
}

func startRoom(t testing.TB, modern bool) *room {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &room{t: t, keys: pair(900), id: pair(900).Feed(), modern: modern,
		there: make(map[refs.Feed]*muxrpc.Session), changed: make(chan struct{})}
	r.addr = multiserver.Net("127.0.0.1", uint16(l.Addr().(*net.TCPAddr).Port), r.id)
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			group.Go(func() { r.serve(ctx, conn) })
		}
	})
	var once sync.Once
	r.cut = func() { once.Do(func() { cancel(); l.Close(); group.Wait() }) }
	t.Cleanup(r.cut)
	return r
}

func (r *room) serve(ctx context.Context, conn net.Conn) {
	secret, err := secretstream.Server(ctx, conn, network, r.keys, nil)
	if err != nil {
		return
	}
	who := secret.Remote()
	mux := muxrpc.NewMux()
	if r.modern {
		mux.Async("room.metadata", func(context.Context, *muxrpc.Call) (any, error) {
			return map[string]any{"name": "a room", "membership": false, "features": []string{"tunnel"}}, nil
		})
		mux.Source("room.attendants", func(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
			r.note(who, c.Session())
			return r.attendants(ctx, st)
		})
	} else {
		mux.Async("tunnel.isRoom", func(context.Context, *muxrpc.Call) (any, error) { return true, nil })
		mux.Source("tunnel.endpoints", func(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
			r.note(who, c.Session())
			return r.endpoints(ctx, st)
		})
	}
	mux.Duplex("tunnel.connect", func(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
		return r.connect(ctx, who, c, st)
	})
	session := muxrpc.NewSession(secret, muxrpc.Config{Handler: mux, Context: ctx})
	session.Wait()
	r.note(who, nil)
}

// note notes who comes, or goes.
func (r *room) note(who refs.Feed, session *muxrpc.Session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.there, who)
	if session != nil {
		r.there[who] = session
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *room) now() (ids []string, changed chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for feed := range r.there {
		ids = append(ids, feed.String())
	}
	slices.Sort(ids)
	if r.lies {
		ids = append(ids, r.id.String(), "nobody", "@x.ed25519")
		for i := range 2000 {
			ids = append(ids, refs.Feed{1, byte(i), byte(i >> 8)}.String())
		}
	}
	return ids, r.changed
}

func (r *room) endpoints(ctx context.Context, st *muxrpc.Stream) error {
	for {
		ids, changed := r.now()
		if err := st.Send(ctx, ids); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

func (r *room) attendants(ctx context.Context, st *muxrpc.Stream) error {
	before, changed := r.now()
	if err := st.Send(ctx, map[string]any{"type": "state", "ids": before}); err != nil {
		return err
	}
	for {
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
		var after []string
		after, changed = r.now()
		for _, id := range slices.Concat(before, after) {
			event := ""
			if !slices.Contains(before, id) {
				event = "joined"
			} else if !slices.Contains(after, id) {
				event = "left"
			}
			if event == "" {
				continue
			}
			if err := st.Send(ctx, map[string]any{"type": event, "id": id}); err != nil {
				return err
			}
		}
		before = after
	}
}

// connect passes a tunnel on to its target.
func (r *room) connect(ctx context.Context, origin refs.Feed, c *muxrpc.Call, st *muxrpc.Stream) error {
	var o struct{ Target refs.Feed }
	if err := c.DecodeArgs(&o); err != nil {
		return err
	}
	r.mu.Lock()
	target := r.there[o.Target]
	r.mu.Unlock()
	if target == nil {
		return fmt.Errorf("could not connect to: %s", o.Target)
	}
	other, err := target.Duplex(ctx, "tunnel.connect", map[string]any{"portal": r.id, "target": o.Target, "origin": origin})
	if err != nil {
		return err
	}
	defer other.Close(nil)
	var group sync.WaitGroup
	pass := func(from, to *muxrpc.Stream) {
		for {
			item, err := from.Recv(ctx)
			if err == nil {
				err = to.Send(ctx, item)
			}
			if err != nil {
				to.Close(nil)
				return
			}
		}
	}
	group.Go(func() { pass(st, other) })
	pass(other, st)
	group.Wait()
	return nil
}

// waitForRoom waits until a node sees another in the room.
func waitForRoom(t testing.TB, a, b *node) {
	t.Helper()
	waitFor(t, "the other in the room", func() bool {
		for _, k := range a.StagedPeers() {
			if k.Feed == b.id && k.Source == "room" {
				return true
			}
		}
		return false
	})
}

// TestRoom lets two peers meet in a room: by address, and by themselves when
// one follows the other.
func TestRoom(t *testing.T) {
	for _, modern := range []bool{false, true} {
		t.Run(fmt.Sprintf("modern=%v", modern), func(t *testing.T) {
			checkLeaks(t, func(t *testing.T) { meetInRoom(t, modern) })
		})
	}
}

func meetInRoom(t *testing.T, modern bool) {
	r := startRoom(t, modern)
	a := startNode(t, 1, options{policy: newPolicy(pair(2).Feed())})
	b := startNode(t, 2, options{policy: newPolicy(pair(3).Feed())})
	a.fill([]int{1}, 300)
	b.fill([]int{2}, 300)
	for _, nd := range []*node{a, b} {
		if _, err := nd.Connect(t.Context(), r.addr); err != nil {
			t.Fatal(err)
		}
	}
	// a wants what b writes, so it dials b by itself
	waitFor(t, "b's feed", func() bool { return a.head(b.id) == 300 })
	b.publish(`{"type":"post","text":"live"}`)
	waitFor(t, "a live message", func() bool { return a.head(b.id) == 301 })
	for _, p := range b.Peers() {
		if p.Feed == a.id && (!p.Inbound || p.Address != "tunnel:"+r.id.String()+":"+a.id.String()) {
			t.Errorf("b sees a as %+v", p)
		}
	}
	// c is of no interest to b, nor b to c: they stay apart until b is told
	c := startNode(t, 4, options{policy: newPolicy(b.id)})
	c.policy.set(func() { delete(c.policy.feeds, b.id) })
	if _, err := c.Connect(t.Context(), r.addr); err != nil {
		t.Fatal(err)
	}
	waitForRoom(t, b, c)
	if _, err := b.Connect(t.Context(), multiserver.Tunnel(r.id, c.id)); err != nil {
		t.Fatal(err)
	}
	b.Disconnect(c.id)
	c.end()
	waitFor(t, "c leaving", func() bool {
		return !slices.ContainsFunc(b.Peers(), func(p gossip.Peer) bool { return p.Feed == c.id }) && !slices.ContainsFunc(b.StagedPeers(), func(k gossip.Known) bool { return k.Feed == c.id })
	})
	if _, err := b.Connect(t.Context(), multiserver.Tunnel(r.id, c.id)); err == nil {
		t.Error("connected to who is gone")
	}
	r.cut()
	waitFor(t, "the end of everything", func() bool { return len(a.Peers())+len(b.Peers())+len(a.StagedPeers()) == 0 })
	if _, err := b.Connect(t.Context(), multiserver.Tunnel(r.id, a.id)); err == nil {
		t.Error("connected through a room that is gone")
	}
	a.end()
	b.end()
}

// TestRoomDialled connects to a room that is only known, for a peer in it.
func TestRoomDialled(t *testing.T) {
	r := startRoom(t, false)
	a := startNode(t, 1, options{})
	b := startNode(t, 2, options{})
	if _, err := b.Connect(t.Context(), r.addr); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "b in the room", func() bool { ids, _ := r.now(); return len(ids) == 1 })
	tunnel := multiserver.Tunnel(r.id, b.id)
	if _, err := a.Connect(t.Context(), tunnel); err == nil {
		t.Error("connected through a room that nobody knows")
	}
	if err := a.Remember(r.addr, r.id, "manual"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the tunnel", func() bool {
		_, err := a.Connect(t.Context(), tunnel) // b may not know yet that it is in a room
		return err == nil
	})
}

// TestHostileRoom meets a room that lies about who is there, opens tunnels
// without end, and a peer that is no room and opens one.
func TestHostileRoom(t *testing.T) {
	r := startRoom(t, false)
	r.lies = true
	a := startNode(t, 1, options{limits: gossip.Limits{Handshake: time.Hour}})
	if _, err := a.Connect(t.Context(), r.addr); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "attendants", func() bool { return len(a.StagedPeers()) > 0 })
	if staged := a.StagedPeers(); len(staged) > 250 {
		t.Errorf("%d addresses are staged", len(staged))
	}
	r.mu.Lock()
	session := r.there[a.id]
	r.mu.Unlock()
	origin := pair(50).Feed()
	args := func(target, origin any) map[string]any {
		return map[string]any{"portal": r.id, "target": target, "origin": origin}
	}
	var open []*muxrpc.Stream
	var refused atomic.Int64
	var group sync.WaitGroup
	for range 100 {
		st, err := session.Duplex(t.Context(), "tunnel.connect", args(a.id, origin))
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, st)
	}
	for _, st := range open {
		group.Go(func() {
			_, err := st.Recv(t.Context()) // those that stay open say nothing
			var remote *muxrpc.RemoteError
			if errors.As(err, &remote) && strings.Contains(remote.Message, "too many tunnels") {
				refused.Add(1)
			}
		})
	}
	waitFor(t, "refusals", func() bool { return refused.Load() >= 100-32 })
	for _, st := range open {
		st.Close(nil)
	}
	group.Wait()
	if n := refused.Load(); n != 100-32 {
		t.Errorf("%d of 100 tunnels were refused", n)
	}
	for name, arg := range map[string]any{
		"another target": args(pair(51).Feed(), origin), "no origin": args(a.id, nil), "nothing": nil, "text": "x", "no feed": args("x", origin),
	} {
		st, err := session.Duplex(t.Context(), "tunnel.connect", arg)
		if err == nil {
			_, err = st.Recv(t.Context())
		}
		var remote *muxrpc.RemoteError
		if !errors.As(err, &remote) {
			t.Errorf("a tunnel to %s: %v", name, err)
		}
	}

	// Whoever came to us is no room.
	mux := muxrpc.NewSession(dialSecret(t, a, pair(60)), muxrpc.Config{})
	defer mux.Close()
	st, err := mux.Duplex(t.Context(), "tunnel.connect", args(a.id, origin))
	if err == nil {
		_, err = st.Recv(t.Context())
	}
	if err == nil || !strings.Contains(err.Error(), "no duplex:tunnel,connect") {
		t.Errorf("a tunnel from who is no room: %v", err)
	}
	t.Logf("%d feeds staged, %d tunnels refused", len(a.StagedPeers()), refused.Load())
}
