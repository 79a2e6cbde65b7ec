package gossip

import (
	"container/list"
	"net"
	"net/netip"
	"sync"
)

// gate counts the connections that were accepted. While too many have not
// proven who they are, the oldest of them is closed for each new one: it had
// its time, and a flood of connections that say nothing shuts nobody out.
type gate struct {
	limits Limits

	mu      sync.Mutex
	total   int
	perIP   map[netip.Addr]int
	unknown list.List // of *place, the oldest first
}

// place is one accepted connection at the gate.
type place struct {
	gate *gate
	conn net.Conn
	ip   netip.Addr // invalid when the connection has none

	// guarded by gate.mu
	waiting *list.Element // in gate.unknown; nil once proven
	gone    bool
}

func newGate(l Limits) *gate {
	return &gate{limits: l, perIP: make(map[netip.Addr]int)}
}

// enter gives a connection a place, or nil when there is none.
func (g *gate) enter(conn net.Conn) *place {
	p := &place{gate: g, conn: conn, ip: addrOf(conn)}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.total >= g.limits.Connections+g.limits.Handshakes {
		return nil
	}
	if p.ip.IsValid() {
		if g.perIP[p.ip] >= g.limits.PerIP && !g.evict(p.ip) {
			return nil
		}
		g.perIP[p.ip]++
	}
	if g.unknown.Len() >= g.limits.Handshakes {
		g.evict(netip.Addr{})
	}
	g.total++
	p.waiting = g.unknown.PushBack(p)
	return p
}

// evict closes the oldest connection that is not proven, of one address if it
// is valid. The caller holds g.mu.
func (g *gate) evict(ip netip.Addr) bool {
	for e := g.unknown.Front(); e != nil; e = e.Next() {
		p := e.Value.(*place)
		if !ip.IsValid() || p.ip == ip {
			p.leaveLocked()
			p.conn.Close()
			return true
		}
	}
	return false
}

// proven says that the peer has proven who it is.
func (p *place) proven() {
	p.gate.mu.Lock()
	defer p.gate.mu.Unlock()
	if p.waiting != nil {
		p.gate.unknown.Remove(p.waiting)
		p.waiting = nil
	}
}

// leave gives the place back. A second time it does nothing.
func (p *place) leave() {
	p.gate.mu.Lock()
	defer p.gate.mu.Unlock()
	p.leaveLocked()
}

func (p *place) leaveLocked() {
	if p.gone {
		return
	}
	p.gone = true
	if p.waiting != nil {
		p.gate.unknown.Remove(p.waiting)
		p.waiting = nil
	}
	p.gate.total--
	if p.ip.IsValid() {
		if p.gate.perIP[p.ip]--; p.gate.perIP[p.ip] == 0 {
			delete(p.gate.perIP, p.ip)
		}
	}
}

// addrOf returns the IP address of a connection's peer: of IPv6 the network of
// 64 bits, which one host can have whole.
func addrOf(conn net.Conn) netip.Addr {
	tcp, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	ip := tcp.AddrPort().Addr().Unmap()
	if ip.Is6() {
		network, err := ip.WithZone("").Prefix(64)
		if err != nil {
			return netip.Addr{}
		}
		return network.Addr()
	}
	return ip
}
