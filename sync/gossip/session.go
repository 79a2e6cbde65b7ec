package gossip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/spec/secretstream"
)

// kind says as what somebody came in.
type kind int

const (
	peerKind  kind = iota
	ownKind        // our own identity: an app of the user
	guestKind      // the key of an invite
)

// tieTime is within which two connections that the peers opened to each other
// count as opened at the same time.
const tieTime = 10 * time.Second

var (
	errTie      = errors.New("the connection that the other side opened stays")
	errReplaced = errors.New("replaced by a newer connection")
	errRoom     = errors.New("made room for a peer that is replicated")
	errUser     = errors.New("disconnected by the user")
	errTurn     = errors.New("others get their turn")
)

// session is one connection that stands.
type session struct {
	g       *Gossip
	remote  refs.Feed
	kind    kind
	inbound bool
	address string // as dialled, or where it came from
	source  Source
	since   time.Time

	conn  *secretstream.Conn
	meter *meter
	mux   *muxrpc.Session // set by run; guarded by g.mu for others
	feeds *exchange       // what is replicated over it
	visit visit           // to a room

	ctx    context.Context
	cancel context.CancelCauseFunc
}

func newSession(g *Gossip, conn *secretstream.Conn, m *meter, k kind) *session {
	s := &session{g: g, remote: conn.Remote(), kind: k, conn: conn, meter: m, since: g.cfg.Now()}
	s.ctx, s.cancel = context.WithCancelCause(g.ctx)
	s.feeds = newExchange(s)
	s.visit.asked = make(chan struct{})
	return s
}

// admit makes a connection a session, or says why not.
func (g *Gossip) admit(s *session) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return ErrClosed
	}
	if s.kind != peerKind {
		g.guests[s] = struct{}{}
		return nil
	}
	if old := g.sessions[s.remote]; old != nil {
		if old.inbound != s.inbound && s.since.Sub(old.since) < tieTime && !g.opensFirst(s) {
			return errTie
		}
		old.cancel(errReplaced)
	} else if s.inbound && g.inboundLocked() >= g.cfg.Limits.Connections && !g.makeRoom(s) {
		return ErrFull
	}
	g.sessions[s.remote] = s
	return nil
}

// opensFirst reports whether the client of s has the lower id of the two.
func (g *Gossip) opensFirst(s *session) bool {
	ours := g.self.Compare(s.remote) < 0
	return ours != s.inbound
}

// inboundLocked counts the peers that came to us. The caller holds g.mu.
func (g *Gossip) inboundLocked() (n int) {
	for _, s := range g.sessions {
		if s.inbound {
			n++
		}
	}
	return n
}

// makeRoom ends the oldest session with somebody whose feed we do not want, for
// one whose feed we do. The caller holds g.mu.
func (g *Gossip) makeRoom(s *session) bool {
	if !g.cfg.Policy.Wants(s.remote) {
		return false
	}
	var oldest *session
	for _, other := range g.sessions {
		if other.inbound && (oldest == nil || other.since.Before(oldest.since)) && !g.cfg.Policy.Wants(other.remote) {
			oldest = other
		}
	}
	if oldest == nil {
		return false
	}
	oldest.cancel(errRoom)
	delete(g.sessions, oldest.remote)
	return true
}

// session returns the session with a peer, nil if there is none.
func (g *Gossip) session(feed refs.Feed) *session {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.sessions[feed]
}

// run serves the peer and replicates with it until the connection is over.
func (s *session) run() {
	g := s.g
	g.emit(Event{Type: Connected, Address: s.address, Feed: s.remote, Inbound: s.inbound})
	mux := muxrpc.NewSession(s.conn, muxrpc.Config{
		Handler:  callHandler{s, s.handler()},
		Context:  s.ctx,
		MaxCalls: g.cfg.Limits.Calls,
		Log:      g.cfg.Log,
	})
	g.mu.Lock()
	s.mux = mux
	g.mu.Unlock()
	var group sync.WaitGroup
	if s.kind == peerKind {
		group.Go(s.replicate)
		if g.cfg.Meet != nil {
			group.Go(func() { g.cfg.Meet(s.ctx, s.remote, mux) })
		}
		group.Go(s.visitRoom)
	}
	err := mux.Wait()
	s.cancel(err)
	group.Wait()
	if misbehaved(context.Cause(s.ctx)) {
		g.ban(s.remote)
	}
	s.end(s.why(err))
}

// handler returns what serves the calls of the other side.
func (s *session) handler() muxrpc.Handler {
	if s.kind == guestKind {
		return s.g.guestHandler(s.remote)
	}
	return s.g.cfg.Handler(s.remote)
}

// why says in words why the session ended; empty for a goodbye.
func (s *session) why(err error) string {
	if cause := context.Cause(s.ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	switch {
	case err == nil:
		return ""
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was cut"
	}
	return err.Error()
}

// end takes the session off the list.
func (s *session) end(reason string) {
	g := s.g
	g.mu.Lock()
	if g.sessions[s.remote] == s {
		delete(g.sessions, s.remote)
	}
	delete(g.guests, s)
	g.mu.Unlock()
	if s.kind == peerKind && !s.inbound {
		g.ended(s.address, g.cfg.Now().Sub(s.since), g.cfg.Now())
	}
	g.emit(Event{Type: Disconnected, Address: s.address, Feed: s.remote, Inbound: s.inbound, Reason: reason})
	g.cfg.Log.Debug("a session ended", "peer", s.remote, "address", s.address, "reason", reason)
	g.wake()
}

// callHandler lets the callee know whose call it is.
type callHandler struct {
	session *session
	inner   muxrpc.Handler
}

// sessionKey finds the session in the context of a call.
type sessionKey struct{}

// HandleCall implements muxrpc.Handler.
func (h callHandler) HandleCall(ctx context.Context, c *muxrpc.Call) error {
	if s := h.session; s.kind != ownKind {
		if !s.g.calls.enter(s) {
			return errBusy
		}
		defer s.g.calls.leave(s)
	}
	if h.session.isRoomCall(c) {
		return h.session.serveTunnel(ctx, c)
	}
	return h.inner.HandleCall(context.WithValue(ctx, sessionKey{}, h.session), c)
}

// callerOf returns the session that a call came over.
func callerOf(ctx context.Context) (*session, error) {
	s, ok := ctx.Value(sessionKey{}).(*session)
	if !ok {
		return nil, errors.New("only for peers")
	}
	return s, nil
}

// Remote returns the peer whose call ctx belongs to, and whether it is the
// client of the connection; ok is false when the call did not come over a
// session of this package.
func Remote(ctx context.Context) (feed refs.Feed, inbound, ok bool) {
	s, ok := ctx.Value(sessionKey{}).(*session)
	if !ok {
		return refs.Feed{}, false, false
	}
	return s.remote, s.inbound, true
}

// Disconnect ends the session with a peer.
func (g *Gossip) Disconnect(feed refs.Feed) error {
	s := g.session(feed)
	if s == nil {
		return fmt.Errorf("peer %s: %w", feed, ErrUnknown)
	}
	s.cancel(errUser)
	return nil
}
