package gossip_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/spec/multiserver"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/sync/gossip"
)

func address(t testing.TB, text string) multiserver.Address {
	t.Helper()
	all, err := multiserver.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return all[0]
}

// keyOf is the key of a node as addresses have it.
func (nd *node) keyText() string {
	return strings.TrimSuffix(strings.TrimPrefix(nd.id.String(), "@"), ".ed25519")
}

func TestTransports(t *testing.T) {
	checkLeaks(t, func(t *testing.T) {
		a, b := startNode(t, 1, options{policy: newPolicy(feedsOf(2)...)}), startNode(t, 2, options{})
		b.fill([]int{2}, 20)
		web, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		socket := filepath.Join(t.TempDir(), "s")
		unix, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() {
			if err := b.ServeWebSocket(ctx, web); err != nil {
				t.Error(err)
			}
		})
		group.Go(func() {
			if err := b.Serve(ctx, unix); err != nil {
				t.Error(err)
			}
		})
		for _, text := range []string{"ws://" + web.Addr().String() + "~shs:", "unix:" + socket + "~shs:"} {
			if _, err := a.Connect(ctx, address(t, text+b.keyText())); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			waitFor(t, "the feed", func() bool { return a.head(b.id) == b.head(b.id) })
			b.publish(`{"type":"post","text":"live"}`)
			waitFor(t, "a live message", func() bool { return a.head(b.id) == b.head(b.id) })
			a.Disconnect(b.id)
			waitFor(t, "the end", func() bool { return len(a.Peers())+len(b.Peers()) == 0 })
		}
		for text, want := range map[string]error{
			"onion:abcdefghij.onion:8008~shs:": gossip.ErrNoProxy,
		} {
			if _, err := a.Connect(ctx, address(t, text+b.keyText())); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", text, err, want)
			}
		}
		for _, text := range []string{"net:127.0.0.1:1~shs:" + b.keyText(), "ws://127.0.0.1:1~shs:" + b.keyText(), "unix:/nonexistent/socket~shs:" + b.keyText(), "quic:127.0.0.1:1~shs:" + b.keyText(), "net:127.0.0.1:8008~noauth"} {
			if _, err := a.Connect(ctx, address(t, text)); err == nil {
				t.Errorf("%s: no error", text)
			}
		}
		if _, err := a.Connect(ctx, a.addr); !errors.Is(err, gossip.ErrOwn) {
			t.Errorf("our own address: %v", err)
		}
		plain := httptest.NewServer(nil)
		defer plain.Close()
		if _, err := a.Connect(ctx, address(t, "ws://"+plain.Listener.Addr().String()+"~shs:"+b.keyText())); err == nil {
			t.Error("a web server is no peer")
		}
		stop()
		group.Wait()
	})
}

// TestOnion dials through a SOCKS5 proxy.
func TestOnion(t *testing.T) {
	b := startNode(t, 2, options{})
	end, _ := b.addr.Endpoint()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	t.Cleanup(func() { l.Close(); work.Wait() })
	work.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() { socks(in, net.JoinHostPort(end.Host, itoa(int(end.Port)))) })
		}
	})
	a := startNode(t, 1, options{policy: newPolicy(b.id), proxy: l.Addr().String()})
	b.publish(`{"type":"post","text":"x"}`)
	for host, works := range map[string]bool{"abcdefghijklmnop.onion": true, "refused.onion": false} {
		_, err := a.Connect(t.Context(), address(t, "onion:"+host+":8008~shs:"+b.keyText()))
		if (err == nil) != works {
			t.Errorf("%s: %v", host, err)
		}
		if works {
			waitFor(t, "the feed", func() bool { return a.head(b.id) == 1 })
			a.Disconnect(b.id)
			waitFor(t, "the end", func() bool { return len(a.Peers()) == 0 })
		}
	}
}

// socks is a SOCKS5 proxy that knows one place.
func socks(in net.Conn, to string) {
	defer in.Close()
	buf := make([]byte, 300)
	if _, err := io.ReadFull(in, buf[:3]); err != nil {
		return
	}
	in.Write([]byte{5, 0})
	if _, err := io.ReadFull(in, buf[:5]); err != nil {
		return
	}
	n := int(buf[4])
	if _, err := io.ReadFull(in, buf[:n+2]); err != nil {
		return
	}
	if strings.HasPrefix(string(buf[:n]), "refused") {
		in.Write([]byte{5, 5, 0, 1, 0, 0, 0, 0, 0, 0})
		return
	}
	in.Write([]byte{5, 0, 0, 3, 1, 'x', 0, 0})
	out, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer out.Close()
	go func() { io.Copy(out, in); out.Close() }()
	io.Copy(in, out)
}

// TestBothDial has two nodes dial each other at the same moment, many times:
// one session stays, the same on both sides.
func TestBothDial(t *testing.T) {
	checkLeaks(t, func(t *testing.T) {
		a, b := startNode(t, 1, options{policy: newPolicy(feedsOf(2)...)}), startNode(t, 2, options{policy: newPolicy(feedsOf(1)...)})
		const rounds = 15
		for round := range rounds {
			var group sync.WaitGroup
			group.Go(func() { a.Connect(context.Background(), b.addr) })
			group.Go(func() { b.Connect(context.Background(), a.addr) })
			group.Wait()
			a.publish(`{"type":"post","text":"a"}`)
			b.publish(`{"type":"post","text":"b"}`)
			waitFor(t, "one session on both sides", func() bool {
				pa, pb := a.Peers(), b.Peers()
				return len(pa) == 1 && len(pb) == 1 && pa[0].Inbound != pb[0].Inbound
			})
			waitFor(t, "the messages", func() bool { return a.head(b.id) == int64(round+1) && b.head(a.id) == int64(round+1) })
			a.Disconnect(b.id)
			waitFor(t, "the end", func() bool { return len(a.Peers())+len(b.Peers()) == 0 })
		}
		t.Logf("%d rounds", rounds)
	})
}

// TestReplaced lets a peer come back before we know that its connection is
// dead.
func TestReplaced(t *testing.T) {
	victim, _ := pairOfNodes(t, gossip.Limits{}, 400)
	victim.fill([]int{400}, 5)
	old := meet(t, victim, pair(401))
	old.claim(0, pair(400).Feed())
	for range 3 {
		s := meet(t, victim, pair(401))
		n := s.drain()
		s.claim(0, pair(400).Feed())
		waitFor(t, "the feed on the new connection", func() bool { return n.Load() == 5 })
		if peers := victim.Peers(); len(peers) != 1 {
			t.Errorf("%d sessions", len(peers))
		}
	}
	old.ended()
}

// TestOwnKey serves apps with our own identity, several at a time.
func TestOwnKey(t *testing.T) {
	nd := startNode(t, 1, options{})
	nd.publish(`{"type":"post","text":"x"}`)
	for range 3 {
		session := muxrpc.NewSession(dialSecret(t, nd, nd.keys), muxrpc.Config{})
		defer session.Close()
		st, err := session.Source(t.Context(), "createHistoryStream", map[string]any{"id": nd.id})
		if err == nil {
			_, err = st.Recv(t.Context())
		}
		if err != nil {
			t.Error(err)
		}
		st, err = session.Duplex(t.Context(), "ebt.replicate", map[string]any{"version": 3})
		if err == nil {
			_, err = st.Recv(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), "only for peers") {
			t.Errorf("ebt.replicate with our own key: %v", err)
		}
	}
	if n := len(nd.Peers()); n != 0 {
		t.Errorf("%d peers", n)
	}
}

func TestPingAndEvents(t *testing.T) {
	a, b := startNode(t, 1, options{}), startNode(t, 2, options{})
	if _, err := a.Ping(t.Context(), b.id); !errors.Is(err, gossip.ErrUnknown) {
		t.Errorf("pinging who is not connected: %v", err)
	}
	last := a.LastEvent()
	a.connect(b)
	waitFor(t, "a session", func() bool { return a.Session(b.id) != nil })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if rtt, err := a.Ping(ctx, b.id); err != nil || rtt <= 0 {
		t.Errorf("ping: %v, %v", rtt, err)
	}
	if err := a.Disconnect(b.id); err != nil {
		t.Error(err)
	}
	want := []gossip.EventType{gossip.Connecting, gossip.Connected, gossip.Disconnected}
	for len(want) > 0 {
		select {
		case <-a.EventsChanged(last):
		case <-ctx.Done():
			t.Fatalf("no event %v", want)
		}
		for _, ev := range a.Events(last) {
			if len(want) == 0 || ev.Type != want[0] || ev.Feed != b.id || ev.Number != last+1 {
				t.Errorf("event %+v, want %v", ev, want)
			}
			last, want = ev.Number, want[1:]
		}
	}
	if err := a.Disconnect(b.id); !errors.Is(err, gossip.ErrUnknown) {
		t.Errorf("disconnecting again: %v", err)
	}
}
