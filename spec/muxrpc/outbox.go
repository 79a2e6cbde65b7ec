package muxrpc

import (
	"context"
	"errors"
	"slices"
	"sync"
)

const (
	// outLimit is how many bytes wait for the connection before senders have
	// to wait themselves. One packet may exceed it.
	outLimit = 256 << 10

	// replyLimit bounds what the reader of a session queues on its own account
	// (ends and refusals) for a peer that does not read. It is far above what
	// the open streams of an honest peer can make up.
	replyLimit = 4 << 20

	// keepBuffer is the largest buffer kept for the next write.
	keepBuffer = 1 << 20
)

// errNotReading ends the session with a peer that keeps sending what must be
// answered and reads no answers.
var errNotReading = errors.New("peer does not read its answers")

// outbox collects encoded packets, so that all that is ready goes out in one
// write. Senders that find it full queue up and are served in turn, each with
// one packet at a time, so that no stream starves another.
type outbox struct {
	wake chan struct{} // capacity 1: there is something to write, or the end

	mu      sync.Mutex
	buf     []byte // the next write
	replies int    // bytes in buf that never waited
	waiting []*waiter
	closed  error // why nothing more is accepted
}

// waiter is a packet whose sender waits for room.
type waiter struct {
	st    *Stream // nil for calls without a stream
	p     Packet
	ready chan error // capacity 1
}

func newOutbox() *outbox { return &outbox{wake: make(chan struct{}, 1)} }

// push queues p and returns when it is in the next write.
func (o *outbox) push(ctx context.Context, st *Stream, p Packet) error {
	o.mu.Lock()
	if err := o.refusal(st); err != nil {
		o.mu.Unlock()
		return err
	}
	if len(o.waiting) == 0 && len(o.buf) < outLimit {
		o.buf = p.Append(o.buf)
		o.mu.Unlock()
		signal(o.wake)
		return nil
	}
	w := &waiter{st, p, make(chan error, 1)}
	o.waiting = append(o.waiting, w)
	o.mu.Unlock()
	select {
	case err := <-w.ready:
		return err
	case <-ctx.Done():
		return o.withdraw(w, context.Cause(ctx))
	}
}

// refusal returns why nothing may be sent on st any more. o.mu is held.
func (o *outbox) refusal(st *Stream) error {
	if o.closed != nil {
		return o.closed
	}
	if st != nil {
		return st.sendErr
	}
	return nil
}

// withdraw takes w back, unless it was served meanwhile.
func (o *outbox) withdraw(w *waiter, cause error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if i := slices.Index(o.waiting, w); i >= 0 {
		o.waiting = slices.Delete(o.waiting, i, i+1)
		return cause
	}
	return <-w.ready
}

// reply queues p without waiting.
func (o *outbox) reply(p Packet) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.replyLocked(p)
}

func (o *outbox) replyLocked(p Packet) error {
	if o.closed != nil {
		return nil // nobody to answer
	}
	if o.replies += headerLen + len(p.Body); o.replies > replyLimit {
		return errNotReading
	}
	o.buf = p.Append(o.buf)
	signal(o.wake)
	return nil
}

// end queues the packet that ends st, once, without waiting. What its senders
// were waiting to send is dropped; they and all later ones get why.
func (o *outbox) end(st *Stream, body []byte, why error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if st.sendErr != nil {
		return nil
	}
	st.sendErr = why
	o.waiting = slices.DeleteFunc(o.waiting, func(w *waiter) bool {
		if w.st == st {
			w.ready <- why
		}
		return w.st == st
	})
	return o.replyLocked(Packet{Req: st.req, Stream: true, End: true, Kind: JSON, Body: body})
}

// close lets what is queued go out, then a goodbye, then nothing more: senders
// get why.
func (o *outbox) close(why error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed != nil {
		return
	}
	o.closed = why
	for _, w := range o.waiting {
		w.ready <- why
	}
	o.waiting = nil
	o.buf = (&Packet{}).Append(o.buf)
	signal(o.wake)
}

// take returns what is to be written next, and gives spare back for reuse.
// last is true when nothing will follow.
func (o *outbox) take(spare []byte) (out []byte, last bool) {
	if cap(spare) > keepBuffer {
		spare = nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	out = o.buf
	o.buf, o.replies = spare[:0], 0
	for len(o.waiting) > 0 && len(o.buf) < outLimit {
		w := o.waiting[0]
		o.waiting[0] = nil
		o.waiting = o.waiting[1:]
		o.buf = w.p.Append(o.buf)
		w.ready <- nil
	}
	return out, o.closed != nil
}

// signal wakes whoever waits on a channel of capacity 1.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
