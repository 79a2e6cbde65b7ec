package gossip

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"

	"github.com/coder/websocket"
)

// maxFrame is the largest web socket frame that is read, in bytes. The stream
// inside has packets of its own, so a frame's size means nothing.
const maxFrame = 1 << 20

// dialWebSocket connects to a web socket and returns it as a connection of
// bytes in binary frames.
func dialWebSocket(ctx context.Context, url string, conf *tls.Config) (net.Conn, error) {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: conf}}
	c, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: client})
	if err != nil {
		return nil, fmt.Errorf("web socket: %w", err)
	}
	return newWSConn(c, ""), nil
}

// wsConn is a web socket as a connection of bytes in binary frames.
type wsConn struct {
	net.Conn
	ws     *websocket.Conn
	remote string // the peer's address if known
}

func newWSConn(c *websocket.Conn, remote string) *wsConn {
	c.SetReadLimit(maxFrame)
	return &wsConn{websocket.NetConn(context.Background(), c, websocket.MessageBinary), c, remote}
}

// Close closes the connection without the closing handshake of web sockets,
// which the goodbye of the stream inside makes needless.
func (c *wsConn) Close() error { return c.ws.CloseNow() }

// RemoteAddr returns the address that the request came from.
func (c *wsConn) RemoteAddr() net.Addr {
	addr, err := netip.ParseAddrPort(c.remote)
	if err != nil {
		return c.Conn.RemoteAddr()
	}
	return net.TCPAddrFromAddrPort(addr)
}

// ServeWebSocket accepts web sockets on a listener until ctx ends. They carry
// the same handshake as other connections, so that it does not matter which
// page opened them.
func (g *Gossip) ServeWebSocket(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler:        http.HandlerFunc(g.serveHTTP),
		ReadTimeout:    g.cfg.Limits.Handshake, // of a request; a web socket has its own limits
		IdleTimeout:    g.cfg.Limits.Handshake,
		MaxHeaderBytes: 16 << 10,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, placeKey{}, c.(*placedConn).place)
		},
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	stopped := context.AfterFunc(g.ctx, func() { server.Close() })
	defer stopped()
	err := server.Serve(&limitedListener{Listener: l, g: g})
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("accepting web sockets: %w", err)
}

// serveHTTP turns one request into a connection and runs it.
func (g *Gossip) serveHTTP(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true}) // of the Origin
	if err != nil {
		return
	}
	c.SetReadLimit(maxFrame)
	place, _ := r.Context().Value(placeKey{}).(*place)
	g.accepted(newWSConn(c, r.RemoteAddr), place, "ws")
}

// placeKey finds the place of a connection in the context of its requests.
type placeKey struct{}

// limitedListener keeps those from taking part in HTTP that are over the
// limits anyway.
type limitedListener struct {
	net.Listener
	g *Gossip
}

// Accept implements net.Listener.
func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		conn = quick(conn)
		if place := l.g.gate.enter(conn); place != nil {
			return &placedConn{conn, place}, nil
		}
		conn.Close()
	}
}

// placedConn gives its place back when it is closed.
type placedConn struct {
	net.Conn
	place *place
}

// Close implements net.Conn.
func (c *placedConn) Close() error {
	c.place.leave()
	return c.Conn.Close()
}
