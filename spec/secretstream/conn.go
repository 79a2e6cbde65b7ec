package secretstream

import (
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/nacl/secretbox"

	"github.com/ssbsync/ssbsync/spec/refs"
)

const (
	// readAhead is the size of the receive buffer of a connection, which grows
	// only for bodies that are larger than the protocol allows to send.
	readAhead = 32 << 10

	// batch is how many bytes of plaintext go into one write to the network.
	batch = 16 * maxSend

	// goodbyeTime bounds how long Close tries to say goodbye.
	goodbyeTime = time.Second
)

// Conn is an encrypted connection. Reads and writes may run concurrently, as
// for any net.Conn.
type Conn struct {
	conn   net.Conn
	remote refs.Feed

	readMu  sync.Mutex
	receive boxer
	buf     []byte  // receive buffer
	in      []byte  // received, not yet opened: a part of buf
	head    *header // opened header of the packet that in starts with
	plain   []byte  // opened, not yet read
	readErr error   // the end, clean or not; deadlines do not count

	writeMu  sync.Mutex
	send     boxer
	out      []byte // kept for the next write
	writeErr error  // why nothing more can be sent

	closeOnce sync.Once
	closeErr  error
}

var _ net.Conn = (*Conn)(nil)

func newConn(conn net.Conn, send, receive boxer, remote refs.Feed) *Conn {
	return &Conn{conn: conn, remote: remote, send: send, receive: receive}
}

// Remote returns the proven identity of the peer.
func (c *Conn) Remote() refs.Feed { return c.remote }

// Read reads what the peer sent. The error is io.EOF after the peer said
// goodbye, and wraps io.ErrUnexpectedEOF when the connection ended without
// that: what was received may not be all that was sent. After a timeout
// reading can go on.
func (c *Conn) Read(p []byte) (int, error) {
	c.readMu.Lock()
	defer c.readMu.Unlock()
	for len(c.plain) == 0 {
		if len(p) == 0 {
			return 0, nil
		}
		n, err := c.receivePacket(p)
		if n > 0 || err != nil {
			return n, err
		}
	}
	n := copy(p, c.plain)
	c.plain = c.plain[n:]
	return n, nil
}

// receivePacket opens the next packet: into p if it fits, else into c.plain.
func (c *Conn) receivePacket(p []byte) (int, error) {
	if c.readErr != nil {
		return 0, c.readErr
	}
	if err := c.receiveHeader(); err != nil {
		return 0, err
	}
	size := headerLen + c.head.length
	if err := c.fill(size); err != nil {
		return 0, err
	}
	box := c.in[headerLen-secretbox.Overhead : size]
	copy(box, c.head.tag[:]) // over the header, which is done with
	dst := p[:0:len(p)]
	if c.head.length > len(p) {
		dst = make([]byte, 0, c.head.length)
	}
	plain, err := c.receive.openBody(dst, box)
	if err != nil {
		return 0, c.endRead(err)
	}
	c.in, c.head = c.in[size:], nil
	if len(plain) > len(p) {
		c.plain = plain
		return 0, nil
	}
	return len(plain), nil
}

// receiveHeader opens the header that c.in starts with, once.
func (c *Conn) receiveHeader() error {
	if c.head != nil {
		return nil
	}
	if err := c.fill(headerLen); err != nil {
		return err
	}
	head, err := c.receive.openHeader(c.in[:headerLen])
	if err != nil {
		return c.endRead(err)
	}
	if head.goodbye() {
		return c.endRead(io.EOF)
	}
	c.head = &head
	return nil
}

// fill reads until c.in has n bytes. What was read is kept when it fails.
func (c *Conn) fill(n int) error {
	if n > len(c.buf) {
		c.buf = make([]byte, max(n, readAhead))
		c.in = c.buf[:copy(c.buf, c.in)]
	} else if n > cap(c.in) {
		c.in = c.buf[:copy(c.buf, c.in)]
	}
	for len(c.in) < n {
		m, err := c.conn.Read(c.in[len(c.in):cap(c.in)])
		c.in = c.in[:len(c.in)+m]
		if err == io.EOF && len(c.in) < n {
			return c.endRead(fmt.Errorf("box stream: %w: the connection ended without a goodbye", io.ErrUnexpectedEOF))
		}
		if err != nil && err != io.EOF {
			return err
		}
	}
	return nil
}

// endRead makes err what all later reads return.
func (c *Conn) endRead(err error) error {
	c.readErr = err
	c.buf, c.in = nil, nil
	return err
}

// Write sends p, in one write to the network for each 64 KiB. After an error,
// a timeout too, nothing more can be written: how much arrived is unknown.
func (c *Conn) Write(p []byte) (n int, err error) {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	for part := range slices.Chunk(p, batch) {
		if err := c.writeBatch(part); err != nil {
			return n, err
		}
		n += len(part)
	}
	return n, c.writeErr
}

// writeBatch sends up to batch bytes. c.writeMu is held.
func (c *Conn) writeBatch(p []byte) error {
	if c.writeErr != nil {
		return c.writeErr
	}
	c.out = c.out[:0]
	for body := range slices.Chunk(p, maxSend) {
		c.out = c.send.seal(c.out, body)
	}
	_, c.writeErr = c.conn.Write(c.out)
	return c.writeErr
}

// Close says goodbye to the peer, for which it takes up to a second, and closes
// the connection. Calls in progress fail.
func (c *Conn) Close() error {
	c.closeOnce.Do(func() {
		c.conn.SetWriteDeadline(time.Now().Add(goodbyeTime)) // for a Write in progress, too
		c.writeMu.Lock()
		defer c.writeMu.Unlock()
		if c.writeErr == nil {
			c.conn.Write(c.send.goodbye())
			c.writeErr = net.ErrClosed
		}
		c.closeErr = c.conn.Close()
	})
	return c.closeErr
}

// LocalAddr returns the address of our end of the network connection.
func (c *Conn) LocalAddr() net.Addr { return c.conn.LocalAddr() }

// RemoteAddr returns the address of the peer's end of the network connection.
func (c *Conn) RemoteAddr() net.Addr { return c.conn.RemoteAddr() }

// SetDeadline sets both deadlines.
func (c *Conn) SetDeadline(t time.Time) error { return c.conn.SetDeadline(t) }

// SetReadDeadline sets when reads fail.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.conn.SetReadDeadline(t) }

// SetWriteDeadline sets when writes fail. A write that failed ends writing.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.conn.SetWriteDeadline(t) }
