package gossip

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// quickConn acknowledges what it reads at once. The JavaScript peers write a
// message in several small pieces and leave Nagle's algorithm on: each piece
// waits for the acknowledgement of the one before, which Linux delays by 40 ms
// in the hope of something to send along.
type quickConn struct {
	*net.TCPConn
	raw   syscall.RawConn
	quick func(fd uintptr)
}

// quick returns the connection with that habit, if it is TCP.
func quick(conn net.Conn) net.Conn {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return conn
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return conn
	}
	return &quickConn{tcp, raw, func(fd uintptr) {
		// Where that is impossible messages are only slower.
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1)
	}}
}

// Read implements net.Conn. The kernel falls back to delays by itself, so that
// it is told anew each time.
func (c *quickConn) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	if n > 0 {
		_ = c.raw.Control(c.quick) // fails only once the connection is closed
	}
	return n, err
}
