package gossip_test

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/spec/multiserver"
)

// proxy passes connections on to an address, and cuts them.
type proxy struct {
	t     testing.TB
	l     net.Listener
	to    string
	limit atomic.Int64 // bytes until a new connection is cut; negative never
	work  sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
}

func startProxy(t testing.TB, to *node) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	end, _ := to.addr.Endpoint()
	p := &proxy{t: t, l: l, to: net.JoinHostPort(end.Host, itoa(int(end.Port)))}
	p.limit.Store(-1)
	p.work.Go(p.accept)
	t.Cleanup(func() {
		l.Close()
		p.cut()
		p.work.Wait()
	})
	return p
}

// addr is the address of a node behind the proxy.
func (p *proxy) addr(to *node) multiserver.Address {
	return multiserver.Net("127.0.0.1", uint16(p.l.Addr().(*net.TCPAddr).Port), to.id)
}

func (p *proxy) accept() {
	for {
		in, err := p.l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", p.to)
		if err != nil {
			in.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, in, out)
		p.mu.Unlock()
		limit := p.limit.Load()
		for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
			p.work.Go(func() {
				var src io.Reader = way[0]
				if limit >= 0 {
					src = io.LimitReader(src, limit)
				}
				io.Copy(way[1], src)
				in.Close()
				out.Close()
			})
		}
	}
}

// cut cuts all connections without a goodbye.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	p.conns = nil
}

// TestPartitions cuts the connection of two nodes many times, at any byte, while
// both publish.
func TestPartitions(t *testing.T) {
	const rounds = 20
	rng := rand.New(rand.NewPCG(1, 2))
	numbers := []int{1, 2, 40, 41, 42, 43}
	a := startNode(t, 1, options{policy: newPolicy(feedsOf(numbers...)...), tick: 50 * time.Millisecond})
	b := startNode(t, 2, options{policy: newPolicy(feedsOf(numbers...)...), tick: 50 * time.Millisecond})
	p := startProxy(t, b)
	stood, cuts := 0, 0
	for round := range rounds {
		a.fill([]int{40 + rng.IntN(4)}, 1+rng.IntN(10*(round+1)))
		b.fill([]int{40 + rng.IntN(4)}, 1+rng.IntN(10*(round+1)))
		a.publish(`{"type":"post","text":"a"}`)
		p.limit.Store(int64(rng.IntN(1 << (4 + rng.IntN(14)))))
		if rng.IntN(4) == 0 {
			p.limit.Store(-1)
		}
		if _, err := a.Connect(t.Context(), p.addr(b)); err == nil {
			stood++
		}
		b.publish(`{"type":"post","text":"b"}`)
		time.Sleep(time.Duration(rng.IntN(30)) * time.Millisecond)
		p.cut()
		cuts++
		waitFor(t, "the end of the session", func() bool { return len(a.Peers()) == 0 })
	}
	p.limit.Store(-1)
	if _, err := a.Connect(t.Context(), p.addr(b)); err != nil {
		t.Fatal(err)
	}
	sameVector(t, a, b)
	t.Logf("%d connections stood, %d cuts, %d messages", stood, cuts, a.store.Last())
}
