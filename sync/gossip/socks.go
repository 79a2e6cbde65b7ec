package gossip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// The parts of SOCKS5 (RFC 1928) that are needed to ask a proxy for a
// connection to a name.
const (
	socksVersion = 5
	socksNoAuth  = 0
	socksConn    = 1
	socksIPv4    = 1
	socksName    = 3
	socksIPv6    = 4
)

// socksConnect asks the proxy at the other end of conn for a connection.
func socksConnect(ctx context.Context, conn net.Conn, host string, port uint16) error {
	if len(host) == 0 || len(host) > 255 {
		return errors.New("host name is too long")
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	err := socksExchange(conn, host, port)
	if !stop() {
		return context.Cause(ctx)
	}
	return err
}

func socksExchange(conn net.Conn, host string, port uint16) error {
	if _, err := conn.Write([]byte{socksVersion, 1, socksNoAuth}); err != nil {
		return err
	}
	var choice [2]byte
	if _, err := io.ReadFull(conn, choice[:]); err != nil {
		return err
	}
	if choice != [2]byte{socksVersion, socksNoAuth} {
		return errors.New("the proxy wants authentication, or is none")
	}
	request := []byte{socksVersion, socksConn, 0, socksName, byte(len(host))}
	request = append(request, host...)
	request = append(request, byte(port>>8), byte(port))
	if _, err := conn.Write(request); err != nil {
		return err
	}
	var reply [4]byte
	if _, err := io.ReadFull(conn, reply[:]); err != nil {
		return err
	}
	if reply[0] != socksVersion || reply[1] != 0 {
		return fmt.Errorf("the proxy could not connect (code %d)", reply[1])
	}
	return socksSkipAddress(conn, reply[3])
}

// socksSkipAddress reads the bound address and port, which nobody needs.
func socksSkipAddress(conn net.Conn, kind byte) error {
	n := 0
	switch kind {
	case socksIPv4:
		n = net.IPv4len
	case socksIPv6:
		n = net.IPv6len
	case socksName:
		var length [1]byte
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			return err
		}
		n = int(length[0])
	default:
		return fmt.Errorf("the proxy answered with an address of kind %d", kind)
	}
	_, err := io.ReadFull(conn, make([]byte, n+2))
	return err
}
