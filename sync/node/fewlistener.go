package node

import (
	"net"
	"sync"
)

// maxBrowsers is how many connections of browsers there may be at a time; more
// wait.
const maxBrowsers = 64

// fewListener accepts a connection only when there are few others, so that
// another user of this machine cannot take all the files that we may open.
type fewListener struct {
	net.Listener
	places chan struct{} // one for each connection
	closed chan struct{}
	close  func()
}

func newFewListener(l net.Listener, most int) *fewListener {
	closed := make(chan struct{})
	return &fewListener{l, make(chan struct{}, most), closed, sync.OnceFunc(func() { close(closed) })}
}

// Accept implements net.Listener.
func (l *fewListener) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	return &placedConn{Conn: c, leave: sync.OnceFunc(func() { <-l.places })}, nil
}

// Close implements net.Listener.
func (l *fewListener) Close() error {
	l.close()
	return l.Listener.Close()
}

// placedConn leaves its place when it is closed.
type placedConn struct {
	net.Conn
	leave func()
}

func (c *placedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
