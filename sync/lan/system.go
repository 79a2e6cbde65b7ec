package lan

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"syscall"
)

// system is the network of this host.
type system struct {
	loopback bool // announce on the loopback interface, and on no other
}

// Interfaces lists the IPv4 addresses of the interfaces that are up and can
// broadcast.
func (s system) Interfaces() ([]Interface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var found []Interface
	for _, iface := range all {
		if !s.takes(iface.Flags) {
			continue
		}
		addrs, err := iface.Addrs()
		if err != nil {
			continue // it went away meanwhile
		}
		for _, addr := range addrs {
			if i, ok := interfaceOf(addr); ok {
				found = append(found, i)
			}
		}
	}
	return found, nil
}

func (s system) takes(flags net.Flags) bool {
	if s.loopback {
		return flags&net.FlagUp != 0 && flags&net.FlagLoopback != 0
	}
	return flags&net.FlagUp != 0 && flags&net.FlagBroadcast != 0 && flags&net.FlagLoopback == 0
}

// interfaceOf computes the broadcast address of an IPv4 network.
func interfaceOf(addr net.Addr) (Interface, bool) {
	n, ok := addr.(*net.IPNet)
	if !ok || n.IP.To4() == nil {
		return Interface{}, false
	}
	ones, bits := n.Mask.Size()
	if bits == 128 { // an IPv4 network written as IPv6
		ones, bits = ones-96, 32
	}
	if bits != 32 || ones < 1 || ones > 30 {
		return Interface{}, false // a single host, or two, who have no broadcast address
	}
	ip := [4]byte(n.IP.To4())
	last := binary.BigEndian.Uint32(ip[:]) | (1<<(32-ones) - 1)
	return Interface{
		Addr:      netip.AddrFrom4(ip),
		Broadcast: netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, last))),
	}, true
}

// Broadcast sends from a socket of its own: interfaces come and go.
func (system) Broadcast(ctx context.Context, on Interface, port uint16, packet []byte) error {
	var lc net.ListenConfig // allows broadcast by default
	conn, err := lc.ListenPacket(ctx, "udp4", netip.AddrPortFrom(on.Addr, 0).String())
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.(*net.UDPConn).WriteToUDPAddrPort(packet, netip.AddrPortFrom(on.Broadcast, port))
	return err
}

// Listen shares the port with the other programs of this host that do the
// same.
func (system) Listen(ctx context.Context, port uint16) (Listener, error) {
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var shared error
		err := raw.Control(func(fd uintptr) { shared = share(fd) })
		return errors.Join(err, shared)
	}}
	conn, err := lc.ListenPacket(ctx, "udp4", netip.AddrPortFrom(netip.IPv4Unspecified(), port).String())
	if err != nil {
		return nil, err
	}
	return udpListener{conn.(*net.UDPConn)}, nil
}

type udpListener struct{ *net.UDPConn }

// Read implements Listener.
func (l udpListener) Read(packet []byte) (int, netip.Addr, error) {
	n, from, err := l.ReadFromUDPAddrPort(packet)
	return n, from.Addr(), err
}
