package gossip_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/spec/secretstream"
	"github.com/ssbsync/ssbsync/sync/gossip"
	"github.com/ssbsync/ssbsync/sync/ingest"
)

func itoa(n int) string { return strconv.Itoa(n) }

// dialRaw opens a TCP connection to a node.
func dialRaw(t testing.TB, to *node) net.Conn {
	t.Helper()
	end, err := to.addr.Endpoint()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", net.JoinHostPort(end.Host, itoa(int(end.Port))))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// dialSecret opens an encrypted connection to a node.
func dialSecret(t testing.TB, to *node, as *keys.Pair) *secretstream.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := secretstream.Client(ctx, dialRaw(t, to), network, as, to.id)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// stranger is a peer that does what a test says.
type stranger struct {
	*muxrpc.Session
	t  testing.TB
	st *muxrpc.Stream
}

// meet connects a stranger that begins EBT.
func meet(t testing.TB, to *node, as *keys.Pair) *stranger {
	t.Helper()
	session := muxrpc.NewSession(dialSecret(t, to, as), muxrpc.Config{})
	t.Cleanup(func() { session.Close() })
	st, err := session.Duplex(context.Background(), "ebt.replicate", map[string]any{"version": 3, "format": "classic"})
	if err != nil {
		t.Fatal(err)
	}
	return &stranger{session, t, st}
}

func (s *stranger) send(frame string) { s.st.Send(context.Background(), json.RawMessage(frame)) }

func (s *stranger) sendAll(list []*message.Message) {
	for _, m := range list {
		if s.st.Send(context.Background(), json.RawMessage(m.Value())) != nil {
			return
		}
	}
}

// claim says that the stranger holds feeds up to a sequence.
func (s *stranger) claim(seq int64, feeds ...refs.Feed) {
	notes := make(map[string]int64)
	for _, feed := range feeds {
		notes[feed.String()] = seq << 1
	}
	frame, _ := json.Marshal(notes)
	s.send(string(frame))
}

// drain reads what the node sends, in the background, and counts messages.
func (s *stranger) drain() *atomic.Int64 {
	var messages atomic.Int64
	go func() {
		for {
			it, err := s.st.Recv(context.Background())
			if err != nil {
				return
			}
			if strings.Contains(string(it.Body), `"signature"`) {
				messages.Add(1)
			}
		}
	}()
	return &messages
}

// ended waits for the end of the session.
func (s *stranger) ended() {
	s.t.Helper()
	select {
	case <-s.Done():
	case <-time.After(time.Minute):
		s.t.Fatal("the session goes on")
	}
}

// serves fails unless the node replicates with an honest peer.
func (nd *node) serves(t *testing.T, honest *node) {
	t.Helper()
	before := honest.head(nd.id)
	honest.connect(nd)
	nd.publish(`{"type":"post","text":"still here"}`)
	waitFor(t, "a message at the honest peer", func() bool { return honest.head(nd.id) > before })
}

// checkLeaks fails when goroutines are left after f.
func checkLeaks(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Run("within", f)
	for deadline := time.Now().Add(time.Minute); runtime.NumGoroutine() > before; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<18)
			t.Fatalf("%d goroutines before, %d after\n%s", before, runtime.NumGoroutine(), buf[:runtime.Stack(buf, true)])
		}
	}
}

// pairOfNodes starts the node under attack and an honest peer of it, which
// want the given feeds and each other's.
func pairOfNodes(t *testing.T, l gossip.Limits, numbers ...int) (victim, honest *node) {
	feeds := append(feedsOf(numbers...), feedsOf(1, 2)...)
	victim = startNode(t, 1, options{policy: newPolicy(feeds...), limits: l, tick: 50 * time.Millisecond})
	honest = startNode(t, 2, options{policy: newPolicy(feeds...), host: "127.0.0.1"})
	return victim, honest
}

func TestWrongNetworkAndKey(t *testing.T) {
	checkLeaks(t, func(t *testing.T) {
		victim, honest := pairOfNodes(t, gossip.Limits{Handshake: 300 * time.Millisecond})
		other := startNode(t, 3, options{network: [32]byte{7}})
		if _, err := other.Connect(t.Context(), victim.addr); err == nil {
			t.Error("a peer of another network could connect")
		}
		addr := victim.addr
		bad := append(addr[:0:0], addr...)
		bad[1].Data = append([]string(nil), strings.TrimSuffix(strings.TrimPrefix(pair(77).Feed().String(), "@"), ".ed25519"))
		if _, err := honest.Connect(t.Context(), bad); err == nil {
			t.Error("a connection stands with who has another key")
		}
		conn := dialRaw(t, victim)
		start := time.Now()
		if _, err := io.Copy(io.Discard, conn); err != nil {
			t.Log(err)
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("a silent connection was kept for %v", d)
		}
		for _, junk := range []string{"GET / HTTP/1.0\r\n\r\n", strings.Repeat("\x00", 64), strings.Repeat("\xff", 300)} {
			conn := dialRaw(t, victim)
			conn.Write([]byte(junk))
			io.Copy(io.Discard, conn)
		}
		victim.serves(t, honest)
	})
}

// TestNeverReads has a peer ask for everything and read nothing.
func TestNeverReads(t *testing.T) {
	checkLeaks(t, func(t *testing.T) {
		numbers := []int{50, 51, 52, 53}
		victim, honest := pairOfNodes(t, gossip.Limits{Stuck: 500 * time.Millisecond}, numbers...)
		big := strings.Repeat("x", 7000)
		intake := victim.ingest.Open(ingest.Source{})
		for _, n := range numbers {
			for _, m := range writeText(t, n, 300, big) {
				intake.Add(t.Context(), m.Value())
			}
		}
		if _, err := intake.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := heap()
		var lazy []*lazyPeer
		for n := range 6 {
			lazy = append(lazy, newLazyPeer(t, victim, pair(900+n), feedsOf(numbers...)))
		}
		honest.connect(victim)
		waitFor(t, "everything at the honest peer", func() bool { return honest.store.Last() == victim.store.Last() })
		if grew := heap() - before; grew > 100<<20 {
			t.Errorf("%d MiB more in use", grew>>20)
		}
		waitFor(t, "the end of the sessions with those that do not read", func() bool { return len(victim.Peers()) == 1 })
		for _, l := range lazy {
			l.Close()
		}
	})
}

// lazyPeer asks for feeds and then reads nothing from the network.
type lazyPeer struct {
	net.Conn
	blocked atomic.Bool
	wait    chan struct{}
	session *muxrpc.Session
}

func (l *lazyPeer) Read(p []byte) (int, error) {
	if l.blocked.Load() {
		<-l.wait
		return 0, io.EOF
	}
	return l.Conn.Read(p)
}

func (l *lazyPeer) Close() error {
	if l.blocked.CompareAndSwap(true, false) {
		close(l.wait)
	}
	return l.Conn.Close()
}

func newLazyPeer(t testing.TB, to *node, as *keys.Pair, feeds []refs.Feed) *lazyPeer {
	t.Helper()
	raw := dialRaw(t, to)
	raw.(*net.TCPConn).SetReadBuffer(16 << 10)
	l := &lazyPeer{Conn: raw, wait: make(chan struct{})}
	conn, err := secretstream.Client(context.Background(), l, network, as, to.id)
	if err != nil {
		t.Fatal(err)
	}
	session := muxrpc.NewSession(conn, muxrpc.Config{})
	l.session = session
	t.Cleanup(func() { l.Close(); session.Close() })
	st, err := session.Duplex(context.Background(), "ebt.replicate", map[string]any{"version": 3})
	if err != nil {
		t.Fatal(err)
	}
	(&stranger{session, t, st}).claim(0, feeds...)
	time.Sleep(5 * time.Millisecond)
	l.blocked.Store(true)
	return l
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// TestManyStreams has a peer open 10,000 streams.
func TestManyStreams(t *testing.T) {
	checkLeaks(t, func(t *testing.T) {
		victim, honest := pairOfNodes(t, gossip.Limits{})
		s := meet(t, victim, pair(60))
		s.drain()
		before := heap()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		var refused atomic.Int64
		var list []*muxrpc.Stream
		for range 10_000 {
			st, err := s.Source(ctx, "createHistoryStream", map[string]any{"id": victim.id, "live": true})
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, st)
		}
		victim.serves(t, honest)
		for _, st := range list {
			if _, err := st.Recv(ctx); err != nil {
				refused.Add(1)
			}
		}
		t.Logf("10000 streams: %d refused, %d MiB more in use", refused.Load(), (heap()-before)>>20)
		if refused.Load() < 5000 || refused.Load() > 6500 {
			t.Errorf("%d of 10000 streams were refused", refused.Load())
		}
	})
}

// TestManyConnections has somebody open 1,000 connections that say nothing, and
// then as many that prove who they are.
func TestManyConnections(t *testing.T) {
	checkLeaks(t, func(t *testing.T) {
		victim, honest := pairOfNodes(t, gossip.Limits{Connections: 40, PerIP: 2000, Handshakes: 16})
		for range 1000 {
			dialRaw(t, victim)
		}
		victim.serves(t, honest)
		stood := 0
		for n := range 100 {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			conn, err := secretstream.Client(ctx, dialRaw(t, victim), network, pair(2000+n), victim.id)
			cancel()
			if err == nil {
				stood++
				defer conn.Close()
			}
		}
		waitFor(t, "sessions within the limit", func() bool { return len(victim.Peers()) <= 40 })
		waitFor(t, "the honest peer", func() bool {
			victim.publish(`{"type":"post","text":"x"}`)
			return honest.head(victim.id) > 0
		})
		if _, err := honest.Connect(t.Context(), victim.addr); err != nil {
			t.Errorf("a peer that is wanted could not connect: %v", err)
		}
		t.Logf("%d of 100 handshakes stood, %d sessions", stood, len(victim.Peers()))
	})
}

// TestPerIP limits the connections of one address.
func TestPerIP(t *testing.T) {
	victim, honest := pairOfNodes(t, gossip.Limits{PerIP: 4})
	for n := range 4 {
		meet(t, victim, pair(70+n)).drain()
	}
	waitFor(t, "four sessions", func() bool { return len(victim.Peers()) == 4 })
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := honest.Connect(ctx, victim.addr); err == nil {
		t.Error("a fifth connection of one address stands")
	}
}

// TestNeverAsked has a peer send messages of feeds that nobody asked for.
func TestNeverAsked(t *testing.T) {
	checkLeaks(t, func(t *testing.T) {
		victim, honest := pairOfNodes(t, gossip.Limits{Refused: 100}, 80)
		s := meet(t, victim, pair(81))
		s.drain()
		s.sendAll(write(t, 82, 90))
		waitFor(t, "refusals", func() bool { p := victim.Peers(); return len(p) == 1 && p[0].Refused == 90 })
		if victim.head(pair(82).Feed()) != 0 {
			t.Error("messages that nobody asked for were stored")
		}
		s.sendAll(write(t, 83, 20))
		s.ended()
		waitFor(t, "the end of the session", func() bool { return len(victim.Peers()) == 0 })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if conn, err := secretstream.Client(ctx, dialRaw(t, victim), network, pair(81), victim.id); err == nil {
			conn.Close()
			t.Error("it could come back at once")
		}
		victim.serves(t, honest)
	})
}

// TestForeignSignature has a peer send messages in another feed's name.
func TestForeignSignature(t *testing.T) {
	checkLeaks(t, func(t *testing.T) {
		victim, honest := pairOfNodes(t, gossip.Limits{Rejected: 20}, 84, 85)
		s := meet(t, victim, pair(86))
		s.drain()
		s.claim(100, feedsOf(84, 85)...)
		for _, m := range write(t, 87, 50) {
			s.send(strings.Replace(string(m.Value()), pair(87).Feed().String(), pair(84).Feed().String(), 1))
		}
		waitFor(t, "rejections", func() bool {
			p := victim.Peers()
			return len(p) == 0 || p[0].Rejected > 0
		})
		if victim.head(pair(84).Feed()) != 0 {
			t.Error("a forged message was stored")
		}
		honest.fill([]int{84}, 7)
		victim.serves(t, honest)
		waitFor(t, "the true feed from the honest peer", func() bool { return victim.head(pair(84).Feed()) == 7 })
	})
}

// TestForks has a peer send another branch of a feed.
func TestForks(t *testing.T) {
	checkLeaks(t, func(t *testing.T) {
		victim, honest := pairOfNodes(t, gossip.Limits{}, 88)
		victim.fill([]int{88}, 10)
		s := meet(t, victim, pair(89))
		s.drain()
		s.claim(20, pair(88).Feed())
		s.sendAll(writeText(t, 88, 20, "other"))
		waitFor(t, "the fork", func() bool { return victim.FeedStatus(pair(88).Feed()).Frozen })
		if head := victim.head(pair(88).Feed()); head != 10 {
			t.Errorf("head %d, want 10", head)
		}
		if rec, err := victim.store.Get(pair(88).Feed(), 10); err != nil || !strings.Contains(string(rec.Value), "text 10") {
			t.Errorf("our branch changed: %s, %v", rec.Value, err)
		}
		victim.serves(t, honest)
		waitFor(t, "our branch at the honest peer", func() bool { return honest.head(pair(88).Feed()) == 10 })
	})
}

// TestGapsAndDuplicates has a peer leave out messages and send others over and
// over.
func TestGapsAndDuplicates(t *testing.T) {
	checkLeaks(t, func(t *testing.T) {
		victim, honest := pairOfNodes(t, gossip.Limits{Duplicate: 500}, 90)
		feed := pair(90).Feed()
		list := write(t, 90, 100)
		s := meet(t, victim, pair(91))
		s.drain()
		s.claim(100, feed)
		s.sendAll(list[:10])
		s.sendAll(list[50:])
		waitFor(t, "what came before the gap", func() bool { return victim.head(feed) == 10 })
		s.sendAll(list[5:50])
		waitFor(t, "the rest", func() bool { return victim.head(feed) == 100 })
		for range 40 {
			s.sendAll(list)
		}
		s.ended()
		victim.serves(t, honest)
		waitFor(t, "the feed at the honest peer", func() bool { return honest.head(feed) == 100 })
	})
}

// TestBadFrames has peers send what is no EBT.
func TestBadFrames(t *testing.T) {
	checkLeaks(t, func(t *testing.T) {
		victim, honest := pairOfNodes(t, gossip.Limits{})
		for n, frame := range []string{`[]`, `7`, `"x"`, `{`, `{"@x":`, `null`} {
			s := meet(t, victim, pair(200+n))
			s.drain()
			s.send(frame)
			s.ended()
		}
		for n, frame := range []string{`{"x":1}`, `{"clock":[]}`, `{}`, `{"` + pair(3).Feed().String() + `":1e99}`, `{"` + victim.id.String() + `":-7}`} {
			s := meet(t, victim, pair(220+n))
			s.drain()
			s.send(frame)
		}
		for _, args := range []any{nil, map[string]any{"version": 2}, map[string]any{"version": 3, "format": "x"}} {
			session := muxrpc.NewSession(dialSecret(t, victim, pair(240)), muxrpc.Config{})
			st, err := session.Duplex(t.Context(), "ebt.replicate", args)
			if err == nil {
				_, err = st.Recv(t.Context())
			}
			if err == nil || strings.Contains(err.Error(), "closed") {
				t.Errorf("ebt.replicate(%v): %v", args, err)
			}
			session.Close()
		}
		victim.serves(t, honest)
	})
}

// TestManyStrangeFeeds has a peer speak of a hundred thousand feeds.
func TestManyStrangeFeeds(t *testing.T) {
	victim, honest := pairOfNodes(t, gossip.Limits{})
	s := meet(t, victim, pair(250))
	s.drain()
	before := heap()
	for n := range 10 {
		var frame strings.Builder
		frame.WriteString("{")
		for i := range 10_000 {
			if i > 0 {
				frame.WriteString(",")
			}
			fmt.Fprintf(&frame, `"%s":2`, refs.Feed{1, 2, byte(n), byte(i), byte(i >> 8)})
		}
		frame.WriteString("}")
		s.send(frame.String())
	}
	victim.serves(t, honest)
	grew := heap() - before
	if grew > 100<<20 {
		t.Errorf("%d MiB more in use", grew>>20)
	}
	t.Logf("100000 strange feeds: %d KiB more in use", grew>>10)
}

// TestImportBesideLazyPeers compares an import with and without peers that ask
// for all of it and do not read. The figure is that of a benchmark; here it
// only must not stand still.
func TestImportBesideLazyPeers(t *testing.T) {
	numbers := []int{300, 301, 302}
	victim, _ := pairOfNodes(t, gossip.Limits{}, numbers...)
	for n := range 4 {
		newLazyPeer(t, victim, pair(310+n), feedsOf(numbers...))
	}
	waitFor(t, "the peers", func() bool { return len(victim.Peers()) == 4 })
	intake := victim.ingest.Open(ingest.Source{})
	for _, n := range numbers {
		for _, m := range write(t, n, 1000) {
			if err := intake.Add(t.Context(), m.Value()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if sum, err := intake.Flush(t.Context()); err != nil || sum.New != 3000 {
		t.Errorf("%d stored, %v", sum.New, err)
	}
}
