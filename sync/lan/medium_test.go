package lan_test

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"

	"github.com/ssbsync/ssbsync/sync/lan"
)

// ether is a network on which everybody hears everybody.
type ether struct {
	mu        sync.Mutex
	listeners map[*ear]bool
	sent      []packet
}

type packet struct {
	from netip.Addr
	port uint16
	data []byte
}

func newEther() *ether { return &ether{listeners: make(map[*ear]bool)} }

// send delivers a packet; who is not listening misses it.
func (e *ether) send(from netip.Addr, port uint16, data []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sent = append(e.sent, packet{from, port, bytes.Clone(data)})
	for l := range e.listeners {
		if l.port == port {
			select {
			case l.in <- e.sent[len(e.sent)-1]:
			default: // as the kernel does when nobody reads
			}
		}
	}
}

// packets counts what a host sent to a port since the last call.
func (e *ether) packets(host *host, port uint16) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range e.sent {
		if slices.ContainsFunc(host.ifaces, func(i lan.Interface) bool { return i.Addr == p.from }) && p.port == port {
			n++
		}
	}
	e.sent = nil
	return n
}

// host is one machine on the ether.
type host struct {
	*ether
	mu       sync.Mutex
	ifaces   []lan.Interface
	listened int
	fail     error // of everything
}

func (e *ether) host(addrs ...string) *host {
	h := &host{ether: e}
	h.set(addrs...)
	return h
}

// set gives the host other interfaces.
func (h *host) set(addrs ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ifaces = nil
	for _, a := range addrs {
		h.ifaces = append(h.ifaces, lan.Interface{Addr: netip.MustParseAddr(a), Broadcast: netip.MustParseAddr("10.255.255.255")})
	}
}

func (h *host) setFail(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fail = err
}

// tries returns how often a port was to be listened on.
func (h *host) tries() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.listened
}

func (h *host) Interfaces() ([]lan.Interface, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.ifaces), h.fail
}

func (h *host) Broadcast(_ context.Context, on lan.Interface, port uint16, packet []byte) error {
	h.send(on.Addr, port, packet)
	return nil
}

func (h *host) Listen(_ context.Context, port uint16) (lan.Listener, error) {
	h.mu.Lock()
	h.listened++
	err := h.fail
	h.mu.Unlock()
	if err != nil {
		return nil, err
	}
	l := &ear{ether: h.ether, port: port, in: make(chan packet, 64), closed: make(chan struct{})}
	h.ether.mu.Lock()
	defer h.ether.mu.Unlock()
	h.listeners[l] = true
	return l, nil
}

// ear listens at a port of the ether.
type ear struct {
	ether  *ether
	port   uint16
	in     chan packet
	once   sync.Once
	closed chan struct{}
}

func (l *ear) Read(b []byte) (int, netip.Addr, error) {
	select {
	case p := <-l.in:
		return copy(b, p.data), p.from, nil
	case <-l.closed:
		return 0, netip.Addr{}, errors.New("closed")
	}
}

func (l *ear) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.ether.mu.Lock()
		defer l.ether.mu.Unlock()
		delete(l.ether.listeners, l)
	})
	return nil
}
