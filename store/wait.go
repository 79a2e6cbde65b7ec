package store

import "context"

// Last returns the receive number of the newest message, 0 when the store is
// empty.
func (s *Store) Last() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// Changed returns a channel that is closed as soon as a message with a higher
// receive number than after is committed (at once if there is one already), or
// the store is closed. It says only that there is more; read it with LogPage.
func (s *Store) Changed(after uint64) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last > after && !s.closed {
		ready := make(chan struct{})
		close(ready)
		return ready
	}
	return s.changed
}

// Wait returns nil as soon as a message with a higher receive number than
// after is committed, ErrClosed when the store is closed, or the error of ctx.
func (s *Store) Wait(ctx context.Context, after uint64) error {
	for {
		changed := s.Changed(after)
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
		s.mu.Lock()
		last, closed := s.last, s.closed
		s.mu.Unlock()
		if closed {
			return ErrClosed
		}
		if last > after {
			return nil
		}
	}
}

// announce wakes whoever waits for messages up to last.
func (s *Store) announce(last uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last <= s.last || s.closed {
		return
	}
	s.last = last
	close(s.changed)
	s.changed = make(chan struct{})
}
