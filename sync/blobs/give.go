package blobs

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// chunk is how many bytes of a blob go into one packet, as with ssb-blobs.
const chunk = 64 << 10

// Give sends what open returns to a peer, in its turn: each peer is served a
// few blobs at a time. It closes what was opened.
func (e *Exchange) Give(ctx context.Context, remote refs.Feed, st *muxrpc.Stream, open func() (io.ReadCloser, error)) error {
	done, err := e.turn(ctx, remote)
	if err != nil {
		return err
	}
	defer done()
	r, err := open()
	if err != nil {
		return err
	}
	defer r.Close()
	ctx, deaf := context.WithCancelCause(ctx)
	defer deaf(nil)
	watch := time.AfterFunc(e.cfg.Limits.Idle, func() { deaf(errDeaf) })
	defer watch.Stop()
	return Send(ctx, st, readerFunc(func(p []byte) (int, error) { // what was read before is sent
		watch.Reset(e.cfg.Limits.Idle)
		return r.Read(p)
	}))
}

// errDeaf ends serving a peer that does not take what it asked for: others wait
// for its place.
var errDeaf = errors.New("the peer does not read")

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// Send sends what r gives, in packets. Nothing makes no packet at all: an empty
// one is a goodbye to JavaScript peers.
func Send(ctx context.Context, st *muxrpc.Stream, r io.Reader) error {
	buf := make([]byte, chunk)
	for {
		n, err := io.ReadFull(r, buf)
		if n > 0 {
			if err := st.Send(ctx, buf[:n]); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// turn waits for the turn of a peer to be served; the caller calls the function
// it returns when that is over. The error is the cause of the end of ctx.
func (e *Exchange) turn(ctx context.Context, remote refs.Feed) (done func(), err error) {
	p := e.enter(remote)
	if err = enter(ctx, p.gets); err == nil {
		if err = enter(ctx, e.gets); err != nil {
			<-p.gets
		}
	}
	if err != nil {
		e.leave(p)
		return nil, err
	}
	return func() { <-e.gets; <-p.gets; e.leave(p) }, nil
}

// enter waits for a place.
func enter(ctx context.Context, places chan struct{}) error {
	select {
	case places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
