package muxrpc

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	// DefaultWindow is Config.Window when that is zero, in bytes.
	DefaultWindow = 1 << 20

	// DefaultMaxCalls is Config.MaxCalls when that is zero.
	DefaultMaxCalls = 1024

	// windows is how many full windows the queues of a session hold together.
	windows = 4

	// linger is how long the end of a session waits for the peer: to take what
	// is queued, and to say goodbye. Closing earlier could lose the last bytes
	// on their way.
	linger = time.Second
)

// Config says how a session treats its peer. The zero value serves no calls.
type Config struct {
	// Handler serves the peer's calls. Nil refuses all of them.
	Handler Handler

	// Context is the base of the contexts that handlers get. The session ends,
	// with a goodbye, when it does. Nil means context.Background().
	Context context.Context

	// MaxBody is the largest packet body accepted, in bytes; one more ends the
	// session. Zero means DefaultMaxBody.
	MaxBody int

	// Window is how many bytes are queued for the receiver of a stream before
	// the session stops reading; all streams together may queue four windows.
	// One packet may exceed either. Zero means DefaultWindow.
	Window int

	// MaxCalls is how many calls of the peer are open at a time; more are
	// refused with an error. Zero means DefaultMaxCalls.
	MaxCalls int

	// Log gets panics of handlers. Nil means slog.Default().
	Log *slog.Logger
}

func (c *Config) setDefaults() {
	if c.Context == nil {
		c.Context = context.Background()
	}
	if c.Window <= 0 {
		c.Window = DefaultWindow
	}
	if c.MaxCalls <= 0 {
		c.MaxCalls = DefaultMaxCalls
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
}

// Session is one connection on which both sides call methods. It runs two
// goroutines, one that reads and one that writes, and one for each call of the
// peer. All methods may be called concurrently.
type Session struct {
	conn   io.ReadWriteCloser
	config Config
	out    *outbox
	ctx    context.Context // ends with the session
	cancel context.CancelCauseFunc
	done   chan struct{} // conn is closed and both loops have returned

	handlers sync.WaitGroup // calls being served; grows in the reader only

	mu       sync.Mutex
	room     sync.Cond // the reader waits here while the queues are full
	queued   int       // cost of all queues
	calls    int       // calls of the peer that are open
	lastReq  int32     // of our own calls
	lastCall int32     // the highest number of the peer's calls
	answers  map[int32]chan answer
	outgoing map[int32]*Stream
	incoming map[int32]*Stream
	ending   bool
	cut      *time.Timer // closes the connection when the end takes too long
	err      error       // why the session ended, nil for a goodbye; valid once ending
}

// NewSession starts a session over conn, which it owns from then on.
func NewSession(conn io.ReadWriteCloser, c Config) *Session {
	c.setDefaults()
	s := &Session{
		conn:     conn,
		config:   c,
		out:      newOutbox(),
		done:     make(chan struct{}),
		answers:  make(map[int32]chan answer),
		outgoing: make(map[int32]*Stream),
		incoming: make(map[int32]*Stream),
	}
	s.room.L = &s.mu
	s.ctx, s.cancel = context.WithCancelCause(c.Context)
	stop := context.AfterFunc(c.Context, func() { s.end(context.Cause(c.Context)) })
	go s.run(stop)
	return s
}

// Done is closed when the connection is closed and no call is pending.
// Handlers may still be about to return; see Wait.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err returns why the session ended: nil while it runs, and when either side
// said goodbye.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Wait returns when the session has ended and all handlers have returned, with
// the same as Err. A handler must not call it.
func (s *Session) Wait() error {
	<-s.done
	s.handlers.Wait()
	return s.Err()
}

// Close says goodbye, waits up to a second for the peer to take what is queued
// and to answer, and closes the connection. Pending calls fail, the contexts of
// handlers end. It returns Err.
func (s *Session) Close() error {
	s.end(nil)
	<-s.done
	return s.Err()
}

// run is the session: it reads until the end and then puts everything away.
func (s *Session) run(stop func() bool) {
	written := make(chan struct{})
	go func() {
		defer close(written)
		s.writeLoop()
	}()
	s.end(s.readLoop())
	<-written
	stop()
	s.cut.Stop() // set by end, which has returned or holds no more than that
	s.conn.Close()
	close(s.done)
}

// end starts the end of the session: no more calls, a goodbye, and after a
// while the connection is cut. Only the first cause counts.
func (s *Session) end(cause error) {
	s.mu.Lock()
	if s.ending {
		s.mu.Unlock()
		return
	}
	s.ending, s.err = true, cause
	why := s.closedErr()
	answers, streams := s.answers, s.streams()
	s.answers = nil
	s.cut = time.AfterFunc(linger, func() { s.conn.Close() })
	s.room.Broadcast()
	s.mu.Unlock()

	s.out.close(why)
	s.cancel(why)
	for _, c := range answers {
		c <- answer{err: why}
	}
	for _, st := range streams {
		s.endReceiving(st, why)
	}
}

// writeLoop writes all that is ready in one go, again and again.
func (s *Session) writeLoop() {
	var spare []byte
	for range s.out.wake {
		for {
			out, last := s.out.take(spare)
			if len(out) > 0 {
				if _, err := s.conn.Write(out); err != nil {
					s.end(fmt.Errorf("writing: %w", err))
					s.conn.Close()
					return
				}
			} else if last {
				return
			} else {
				spare = out
				break
			}
			spare = out
		}
	}
}

// check ends the session if err says that the peer cannot be answered.
func (s *Session) check(err error) {
	if err != nil {
		s.end(err)
		s.conn.Close()
	}
}

// closedErr is what calls get once the session is ending. s.mu is held.
func (s *Session) closedErr() error {
	if s.err != nil {
		return fmt.Errorf("%w: %v", ErrClosed, s.err)
	}
	return ErrClosed
}
