package gossip_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/gossip"
	"github.com/ssbsync/ssbsync/sync/ingest"
)

// openStreams opens so many live streams of the node's feed, and returns how
// many of them were not refused, which sends them a message.
func openStreams(t *testing.T, nd *node, s *muxrpc.Session, n int) (open int) {
	t.Helper()
	var list []*muxrpc.Stream
	for range n {
		st, err := s.Source(t.Context(), "createHistoryStream", map[string]any{"id": nd.id, "live": true, "limit": 2})
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, st)
	}
	for _, st := range list {
		_, err := st.Recv(t.Context())
		var refusal *muxrpc.RemoteError
		switch {
		case err == nil:
			open++
		case !errors.As(err, &refusal) || !strings.Contains(refusal.Message, "too many open calls"):
			t.Fatal(err)
		}
	}
	return open
}

// TestGreedyPeers has peers open as many calls as they can: there is a bound
// for all of them together, and some are left for whoever comes then.
func TestGreedyPeers(t *testing.T) {
	checkLeaks(t, func(t *testing.T) {
		const limit = 200
		victim, honest := pairOfNodes(t, gossip.Limits{AllCalls: limit})
		victim.publish(`{"type":"post","text":"one"}`)
		all, rest := 0, 0
		for n := range 8 {
			s := muxrpc.NewSession(dialSecret(t, victim, pair(400+n)), muxrpc.Config{})
			defer s.Close()
			open := openStreams(t, victim, s, 300)
			if open < 16 || n == 0 && open < limit/4 {
				t.Errorf("peer %d got only %d calls", n, open)
			}
			all += open
		}
		if all > limit+8*16 {
			t.Errorf("%d calls are open", all)
		}
		s := muxrpc.NewSession(dialSecret(t, victim, pair(450)), muxrpc.Config{})
		defer s.Close()
		if rest = openStreams(t, victim, s, 16); rest != 16 {
			t.Errorf("%d calls for who comes last", rest)
		}
		victim.serves(t, honest)
		t.Logf("%d calls for 8 greedy peers, %d for who comes then", all, rest)
	})
}

// TestStalledStreams has a peer ask for a feed of large messages thousands of
// times, and read nothing.
func TestStalledStreams(t *testing.T) {
	victim, honest := pairOfNodes(t, gossip.Limits{}, 50)
	intake := victim.ingest.Open(ingest.Source{})
	for _, m := range writeText(t, 50, 100, strings.Repeat("x", 7500)) {
		if err := intake.Add(t.Context(), m.Value()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := intake.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := heap()
	l := newLazyPeer(t, victim, pair(410), nil)
	defer l.Close()
	const streams = 4000
	for range streams {
		if _, err := l.session.Source(t.Context(), "createHistoryStream", map[string]any{"id": pair(50).Feed(), "seq": 1}); err != nil {
			t.Fatal(err)
		}
	}
	honest.connect(victim)
	waitFor(t, "the feed at the honest peer", func() bool { return honest.head(pair(50).Feed()) == 100 })
	grew := heap() - before
	t.Logf("%d streams that nobody reads: %d MiB more in use", streams, grew>>20)
	if grew > 250<<20 {
		t.Errorf("%d MiB more in use", grew>>20)
	}
}

// TestHugeClocks has a peer speak of ever more feeds, which are all wanted: the
// memory for them is bounded, and others are served meanwhile.
func TestHugeClocks(t *testing.T) {
	everything := &policy{all: true, feeds: map[refs.Feed]bool{}, blocked: map[refs.Feed]bool{}}
	victim := startNode(t, 1, options{policy: everything})
	honest := startNode(t, 2, options{policy: newPolicy(pair(1).Feed())})
	s := meet(t, victim, pair(420))
	s.drain()
	before := heap()
	for n := range 3 {
		var frame strings.Builder
		for i := range 50_000 {
			fmt.Fprintf(&frame, `,"%s":2`, refs.Feed{1, 2, byte(n), byte(i), byte(i >> 8)})
		}
		s.send("{" + frame.String()[1:] + "}")
	}
	victim.serves(t, honest)
	if grew := heap() - before; grew > 200<<20 {
		t.Errorf("%d MiB more in use", grew>>20)
	} else {
		t.Logf("150000 feeds: %d MiB more in use", grew>>20)
	}
}

// TestSlowRequests sends HTTP requests to the port of web sockets that do not
// come to an end.
func TestSlowRequests(t *testing.T) {
	nd := startNode(t, 1, options{limits: gossip.Limits{Handshake: 200 * time.Millisecond}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- nd.ServeWebSocket(ctx, l) }()
	for _, request := range []string{
		"",
		"GET / HTTP/1.1\r\nHost: x\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nxx",
		"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte(request)); err != nil {
			t.Fatal(err)
		}
		conn.SetReadDeadline(time.Now().Add(time.Minute))
		rest := bufio.NewReader(conn)
		if answer, err := http.ReadResponse(rest, nil); err == nil && answer.StatusCode != http.StatusSwitchingProtocols {
			io.Copy(io.Discard, answer.Body)
		}
		var timeout net.Error
		if _, err := io.Copy(io.Discard, rest); errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("%.20q: the connection stays open", request)
		}
		conn.Close()
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
