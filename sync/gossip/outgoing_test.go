package gossip_test

import (
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/sync/gossip"
)

// TestOutgoing: what connections.outgoing does not have is not dialled, by nobody
// and for nothing.
func TestOutgoing(t *testing.T) {
	b := startNode(t, 2, options{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var touched atomic.Bool
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			touched.Store(true)
			conn.Close()
		}
	}()
	at := l.Addr().String()
	a := startNode(t, 1, options{policy: newPolicy(b.id), dials: []string{"onion"}, proxy: "127.0.0.1:1"})
	for _, text := range []string{"net:" + at, "ws://" + at, "wss://" + at, "unix:/nonexistent/socket"} {
		addr := address(t, text+"~shs:"+b.keyText())
		if _, err := a.Connect(t.Context(), addr); !errors.Is(err, gossip.ErrTransport) {
			t.Errorf("connecting to %s: %v", text, err)
		}
		if err := a.Remember(addr, b.id, gossip.Manual); err != nil {
			t.Error(err)
		}
	}
	if _, err := a.Connect(t.Context(), address(t, "onion:abcdefghij.onion:8008~shs:"+b.keyText())); err == nil || errors.Is(err, gossip.ErrTransport) {
		t.Errorf("connecting by Tor: %v", err)
	}
	if _, err := a.AcceptInvite(t.Context(), b.invite(1)); !errors.Is(err, gossip.ErrTransport) {
		t.Errorf("accepting an invite: %v", err)
	}
	a.Discovered(b.addr, b.id) // on the LAN
	if plan, _ := a.Plan(time.Now()); len(plan) > 0 {
		t.Errorf("would dial %v", plan)
	}
	if touched.Load() || len(a.Peers()) > 0 {
		t.Error("something was dialled")
	}
	c := startNode(t, 3, options{dials: []string{"net"}})
	if _, err := c.Connect(t.Context(), b.addr); err != nil {
		t.Error(err)
	}
}
