package gossip

import (
	"net"
	"sync/atomic"
	"time"
)

// meter counts the bytes of a connection, and gives up a peer that takes
// nothing of what is written to it for too long.
type meter struct {
	net.Conn
	stuck             time.Duration
	received, written atomic.Int64
}

// Read implements net.Conn.
func (m *meter) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	m.received.Add(int64(n))
	return n, err
}

// Write implements net.Conn.
func (m *meter) Write(p []byte) (int, error) {
	if err := m.Conn.SetWriteDeadline(time.Now().Add(m.stuck)); err != nil {
		return 0, err
	}
	n, err := m.Conn.Write(p)
	m.written.Add(int64(n))
	return n, err
}
