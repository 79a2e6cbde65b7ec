package gossip

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/multiserver"
	"github.com/ssbsync/ssbsync/spec/secretstream"
)

// ErrNoProxy says that an onion address needs a SOCKS proxy.
var ErrNoProxy = errors.New("no SOCKS proxy is configured for onion addresses")

// ErrTransport says that the user does not want a transport to be dialled.
var ErrTransport = errors.New("connections.outgoing of the config does not have the transport")

// open connects to an address as the given identity, and proves it.
func (g *Gossip) open(ctx context.Context, addr multiserver.Address, as *keys.Pair) (*secretstream.Conn, *meter, error) {
	key, ok := addr.Key()
	if !ok {
		return nil, nil, errors.New("the address has no shs key")
	}
	ctx, cancel := context.WithTimeoutCause(ctx, g.cfg.Limits.Dial, errors.New("the peer did not answer in time"))
	defer cancel()
	raw, err := g.transport(ctx, addr)
	if err != nil {
		return nil, nil, err
	}
	m := &meter{Conn: raw, stuck: g.cfg.Limits.Stuck}
	conn, err := secretstream.Client(ctx, m, g.cfg.Network, as, key)
	if err != nil {
		return nil, nil, err
	}
	return conn, m, nil
}

// transport connects without any proof.
func (g *Gossip) transport(ctx context.Context, addr multiserver.Address) (net.Conn, error) {
	if !g.permits(addr) {
		return nil, fmt.Errorf("%w %s", ErrTransport, addr.Transport())
	}
	var dialer net.Dialer
	switch addr.Transport() {
	case "unix":
		path, ok := addr.UnixPath()
		if !ok {
			return nil, errors.New("the unix address has no path")
		}
		return dialer.DialContext(ctx, "unix", path)
	case "tunnel":
		return g.dialTunnel(ctx, addr)
	}
	end, err := addr.Endpoint()
	if err != nil {
		return nil, err
	}
	hostPort := net.JoinHostPort(end.Host, strconv.Itoa(int(end.Port)))
	switch addr.Transport() {
	case "net":
		conn, err := dialer.DialContext(ctx, "tcp", hostPort)
		if err != nil {
			return nil, err
		}
		return quick(conn), nil
	case "onion":
		return g.dialOnion(ctx, end)
	case "ws", "wss":
		return dialWebSocket(ctx, addr.Transport()+"://"+hostPort+end.Path, &tls.Config{ServerName: end.Host})
	}
	return nil, fmt.Errorf("transport %q is not supported", addr.Transport())
}

// permits reports whether the user lets us dial addresses of that kind.
func (g *Gossip) permits(addr multiserver.Address) bool {
	allowed, transport := g.cfg.Transports, addr.Transport()
	return allowed == nil || transport == "tunnel" || slices.Contains(allowed, transport) ||
		transport == "wss" && slices.Contains(allowed, "ws")
}

// dialable reports whether open knows how to dial an address, and may.
func (g *Gossip) dialable(addr multiserver.Address) bool {
	return g.permits(addr) && g.known(addr)
}

// known is dialable whatever the user lets us dial.
func (g *Gossip) known(addr multiserver.Address) bool {
	if _, ok := addr.Key(); !ok {
		return false
	}
	switch addr.Transport() {
	case "net", "ws", "wss", "unix":
		return true
	case "tunnel":
		_, _, ok := addr.Tunnel()
		return ok
	case "onion":
		return g.cfg.Proxy != ""
	}
	return false
}

// dialOnion connects through the SOCKS5 proxy (RFC 1928), which resolves the
// name.
func (g *Gossip) dialOnion(ctx context.Context, end multiserver.Endpoint) (net.Conn, error) {
	if g.cfg.Proxy == "" {
		return nil, ErrNoProxy
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", g.cfg.Proxy)
	if err != nil {
		return nil, fmt.Errorf("SOCKS proxy: %w", err)
	}
	if err := socksConnect(ctx, conn, end.Host, end.Port); err != nil {
		conn.Close()
		return nil, fmt.Errorf("SOCKS proxy: %w", err)
	}
	return conn, nil
}
