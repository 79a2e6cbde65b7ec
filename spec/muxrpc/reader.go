package muxrpc

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// readLoop reads and hands out packets until the peer says goodbye, which is
// the nil error, or the connection fails. Once the session is ending it reads
// on, for the goodbye, and drops what comes.
func (s *Session) readLoop() error {
	dec := NewDecoder(s.conn, s.config.MaxBody)
	for {
		p, err := dec.Next()
		switch {
		case errors.Is(err, io.EOF):
			return fmt.Errorf("%w: connection closed without a goodbye", io.ErrUnexpectedEOF)
		case err != nil:
			return fmt.Errorf("reading: %w", err)
		case p.Goodbye():
			return nil
		case len(p.Body) == 0 || p.Req == 0:
			continue // an empty chunk of a JavaScript source; an event, which nobody uses
		}
		if err := s.handle(p); err != nil {
			return err
		}
	}
}

// handle hands out one packet. An error ends the session.
func (s *Session) handle(p Packet) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending {
		return nil
	}
	if p.Req < 0 {
		return s.handleAnswer(p)
	}
	if st := s.incoming[p.Req]; st != nil && p.Stream {
		return s.handleItem(st, p)
	}
	return s.handleCall(p)
}

// handleAnswer takes a packet of a call of ours. One that nobody waits for any
// more is dropped.
func (s *Session) handleAnswer(p Packet) error {
	id := -p.Req // of the least int32 that is itself, which is nobody's
	if c, ok := s.answers[id]; ok {
		delete(s.answers, id)
		c <- newAnswer(p)
		return nil
	}
	if st := s.outgoing[id]; st != nil {
		return s.handleItem(st, p)
	}
	return nil
}

// handleItem takes a packet of an open stream. s.mu is held, and given up
// while the queue is full.
func (s *Session) handleItem(st *Stream, p Packet) error {
	if p.End {
		return s.handleEnd(st, p)
	}
	if !st.receives() {
		return nil
	}
	cost := len(p.Body) + itemCost
	for st.recvErr == nil && s.full(st, cost) {
		s.room.Wait()
	}
	if st.recvErr != nil {
		return nil // closed by our side
	}
	st.queue = append(st.queue, Item{p.Kind, p.Body})
	st.queued += cost
	s.queued += cost
	signal(st.more)
	return nil
}

// full reports whether an item of the given cost has to wait. A queue always
// takes one item when it is empty, however large. s.mu is held.
func (s *Session) full(st *Stream, cost int) bool {
	return st.queued > 0 && st.queued+cost > s.config.Window ||
		s.queued > 0 && s.queued+cost > windows*s.config.Window
}

// release takes cost off the queue of st. s.mu is held.
func (s *Session) release(st *Stream, cost int) {
	st.queued -= cost
	s.queued -= cost
	s.room.Signal()
}

// handleEnd takes the packet that ends the peer's direction of st. s.mu is
// held.
func (s *Session) handleEnd(st *Stream, p Packet) error {
	why := remoteError(p)
	st.gotEnd = true
	if st.recvErr == nil {
		st.recvErr = io.EOF
		if why != nil {
			st.recvErr = why
		}
		signal(st.more)
	}
	if st.mine {
		delete(s.outgoing, st.req)
		st.stop(nil)
	} else {
		delete(s.incoming, -st.req)
		s.finish(st)
	}
	if st.endsWithPeer(why) {
		sendErr := why
		if why == nil {
			sendErr = ErrStreamClosed
		}
		if !st.mine {
			st.stop(context.Canceled)
		}
		return s.out.end(st, echoBody(p), sendErr)
	}
	return nil
}

// endsWithPeer reports whether the peer's end is the end of our direction too:
// an error always is; a clean one when we do nothing but receive, or when the
// peer no longer wants what we send. A duplex stays half open, and the callee
// of a sink ends it when it has dealt with what it got.
func (st *Stream) endsWithPeer(why error) bool {
	return why != nil || st.typ == Source || st.typ == Sink && st.mine
}

// endReceiving ends receiving on st: what is queued can still be received, then
// Recv gives why.
func (s *Session) endReceiving(st *Stream, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.recvErr == nil {
		st.recvErr = why
		signal(st.more)
	}
	if st.mine {
		delete(s.outgoing, st.req) // what still comes is dropped
		st.stop(nil)
	}
	s.room.Signal()
}

// drop is endReceiving without what is queued: nobody wants it.
func (s *Session) drop(st *Stream, why error) {
	s.endReceiving(st, why)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(st.queue) > 0 {
		st.recvErr = why // an end that came before would hide what is dropped
	}
	st.queue = nil
	s.release(st, st.queued)
}

// finish counts a call of the peer off when both sides are through with it.
// s.mu is held.
func (s *Session) finish(st *Stream) {
	if st.served && st.gotEnd && !st.finished {
		st.finished = true
		s.calls--
	}
}

// streams lists all open streams. s.mu is held.
func (s *Session) streams() []*Stream {
	all := make([]*Stream, 0, len(s.outgoing)+len(s.incoming))
	for _, st := range s.outgoing {
		all = append(all, st)
	}
	for _, st := range s.incoming {
		all = append(all, st)
	}
	return all
}
