package main

import (
	"context"
	"io"
)

// readWithin returns a reader of r that ends with ctx, so that Ctrl-C ends a
// command that waits for somebody to type, or for the other end of a pipe. What
// r gives after that is lost: r is not to be used any more.
func readWithin(ctx context.Context, r io.Reader) io.Reader {
	w := &waitingReader{ctx: ctx, asked: make(chan int), given: make(chan chunk)}
	go w.read(r) // ends with the process if nobody answers
	return w
}

// chunk is what one Read gave.
type chunk struct {
	data []byte
	err  error
}

type waitingReader struct {
	ctx   context.Context
	asked chan int
	given chan chunk
}

// read reads what is asked for.
func (w *waitingReader) read(r io.Reader) {
	for {
		var size int
		select {
		case size = <-w.asked:
		case <-w.ctx.Done():
			return
		}
		c := chunk{data: make([]byte, size)}
		n, err := r.Read(c.data)
		c.data, c.err = c.data[:n], err
		select {
		case w.given <- c:
		case <-w.ctx.Done():
			return
		}
	}
}

// maxAsked is the most that is read at a time, in bytes.
const maxAsked = 64 << 10

func (w *waitingReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	select {
	case w.asked <- min(len(p), maxAsked):
	case <-w.ctx.Done():
		return 0, w.ctx.Err()
	}
	select {
	case c := <-w.given:
		return copy(p, c.data), c.err
	case <-w.ctx.Done():
		return 0, w.ctx.Err()
	}
}
