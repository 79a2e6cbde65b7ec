package muxrpc

import (
	"bytes"
	"io"
	"sync"
)

// pipeBuffer is how many bytes each direction of a Pipe holds.
const pipeBuffer = 256 << 10

// Pipe returns the two ends of a connection within the program: full duplex,
// each direction buffered, so that one goroutine may write and then read.
// Reads return what was written before the other end was closed, then io.EOF;
// writes after that return io.ErrClosedPipe.
func Pipe() (io.ReadWriteCloser, io.ReadWriteCloser) {
	a, b := newHalf(), newHalf()
	return &pipeEnd{in: a, out: b}, &pipeEnd{in: b, out: a}
}

type pipeEnd struct{ in, out *half }

func (p *pipeEnd) Read(b []byte) (int, error)  { return p.in.read(b) }
func (p *pipeEnd) Write(b []byte) (int, error) { return p.out.write(b) }

// Close closes both directions.
func (p *pipeEnd) Close() error {
	p.out.close(false)
	p.in.close(true)
	return nil
}

// half is one direction of a Pipe.
type half struct {
	mu     sync.Mutex
	change sync.Cond
	buf    bytes.Buffer
	ended  bool // nothing more is written
	gone   bool // nobody reads
}

func newHalf() *half {
	h := &half{}
	h.change.L = &h.mu
	return h
}

func (h *half) read(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.buf.Len() == 0 && !h.ended && !h.gone && len(b) > 0 {
		h.change.Wait()
	}
	switch {
	case h.gone:
		return 0, io.ErrClosedPipe
	case len(b) == 0:
		return 0, nil
	case h.buf.Len() == 0:
		return 0, io.EOF
	}
	n, _ := h.buf.Read(b)
	h.change.Broadcast()
	return n, nil
}

func (h *half) write(b []byte) (n int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		if h.ended || h.gone {
			return n, io.ErrClosedPipe
		}
		if fits := min(len(b)-n, pipeBuffer-h.buf.Len()); fits > 0 {
			h.buf.Write(b[n : n+fits])
			n += fits
			h.change.Broadcast()
		}
		if n == len(b) {
			return n, nil
		}
		h.change.Wait()
	}
}

// close ends the direction; discard also drops what nobody will read.
func (h *half) close(discard bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = true
	if discard {
		h.gone = true
		h.buf = bytes.Buffer{}
	}
	h.change.Broadcast()
}
