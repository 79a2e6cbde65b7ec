package muxrpc

import (
	"context"
	"fmt"
	"io"
)

// itemCost is what is counted for a queued item beyond its bytes, so that many
// tiny ones are bounded too.
const itemCost = 64

// Stream is one source, sink or duplex call, seen from either side.
//
// Packets received are queued up to Config.Window bytes. The wire has no flow
// control of its own, so when a stream's queue is full the session stops
// reading, for all its streams, until the items are received or the stream is
// closed. Whoever opened a stream must therefore receive or close, and must not
// wait for another call of the same session while it leaves a busy stream
// unread.
//
// Send may be called by many goroutines at a time, and so may Recv.
type Stream struct {
	sess *Session
	req  int32 // as in the packets we send: positive when we called
	typ  Type
	mine bool // we called

	// stop releases what watches the context the stream was opened with; for
	// the peer's calls it cancels the handler's context. Set before use.
	stop func(cause error)

	more chan struct{} // capacity 1: the queue or recvErr changed

	// guarded by sess.mu
	queue    []Item
	queued   int   // cost of queue
	recvErr  error // why nothing more is queued; io.EOF is the clean end
	served   bool  // the handler has returned
	gotEnd   bool  // the peer sent its end
	finished bool  // counted off the session's calls

	sendErr error // why nothing more is sent; guarded by sess.out.mu
}

// receives reports whether the peer sends items on this stream.
func (st *Stream) receives() bool {
	return st.typ == Duplex || (st.typ == Source) == st.mine
}

// Recv returns the next item. The error is io.EOF at a clean end, a
// *RemoteError when the peer ended the stream with an error, the cause of a
// context's end, ErrStreamClosed after Close, or wraps ErrClosed. The item's
// body belongs to the caller. The end of a sink's callee is received as well.
func (st *Stream) Recv(ctx context.Context) (Item, error) {
	for {
		it, err, ok := st.next()
		if ok {
			return it, err
		}
		select {
		case <-st.more:
		case <-ctx.Done():
			return Item{}, context.Cause(ctx)
		}
	}
}

// next takes an item off the queue, or the end; not ok means neither is there.
func (st *Stream) next() (it Item, err error, ok bool) {
	s := st.sess
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(st.queue) == 0 {
		if st.recvErr != nil {
			signal(st.more) // for the next receiver
		}
		return Item{}, st.recvErr, st.recvErr != nil
	}
	it = st.queue[0]
	st.queue[0] = Item{}
	if st.queue = st.queue[1:]; len(st.queue) > 0 {
		signal(st.more)
	}
	s.release(st, len(it.Body)+itemCost)
	return it, nil, true
}

// Send sends one value: a string, []byte, json.RawMessage or Item as it is,
// anything else as JSON. It returns when the value is in the next write to the
// connection, and does not keep it. Empty bytes have no form on the wire
// (a packet without a body is a goodbye) and are not sent. The error is
// ErrStreamClosed, the peer's *RemoteError, the context's cause, or wraps
// ErrClosed.
func (st *Stream) Send(ctx context.Context, v any) error {
	it, err := newItem(v)
	if err != nil {
		return fmt.Errorf("encoding a stream item: %v", err)
	}
	if len(it.Body) == 0 {
		return nil
	}
	return st.sess.out.push(ctx, st, Packet{Req: st.req, Stream: true, Kind: it.Kind, Body: it.Body})
}

// CloseSend ends the own direction cleanly; the other stays open. Items that
// other goroutines are waiting to send are dropped.
func (st *Stream) CloseSend() error {
	st.sess.check(st.sess.out.end(st, endClean, ErrStreamClosed))
	return nil
}

// Close ends the stream in both directions: cleanly, or with an error that the
// peer gets as a RemoteError. Items not yet received are dropped. Later calls
// do nothing.
func (st *Stream) Close(err error) error {
	st.sess.check(st.sess.out.end(st, endBody(err), ErrStreamClosed))
	st.sess.drop(st, ErrStreamClosed)
	return nil
}

// Finish ends the own direction cleanly, drops what still arrives and waits for
// the peer's end. It returns nil when that is clean: all that was sent was
// taken.
func (st *Stream) Finish(ctx context.Context) error {
	st.CloseSend()
	for {
		_, err := st.Recv(ctx)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// abort is Close for an opener whose context ended: the peer gets a clean end,
// as a JavaScript reader's abort is, and later Recvs the cause. What only sends
// was cut short: its peer gets an error, lest it take half for the whole.
func (st *Stream) abort(cause error) {
	body := endClean
	if st.typ == Sink {
		body = endBody(cause)
	}
	st.sess.check(st.sess.out.end(st, body, cause))
	st.sess.drop(st, cause)
}
