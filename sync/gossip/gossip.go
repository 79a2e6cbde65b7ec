package gossip

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/multiserver"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/spec/secretstream"
)

// Errors that callers tell apart.
var (
	ErrClosed  = errors.New("gossip has ended")
	ErrBlocked = errors.New("peer is blocked")
	ErrOwn     = errors.New("that is our own address")
	ErrFull    = errors.New("too many connections")
	ErrUnknown = errors.New("no such peer")
)

// Gossip is this peer's side of all connections. Make one with New; its methods
// may be called from many goroutines.
type Gossip struct {
	cfg    Config
	self   refs.Feed
	gate   *gate
	calls  *calls
	rep    *replicator
	book   *book
	events *events

	ctx    context.Context // ends with Close
	cancel context.CancelCauseFunc
	work   sync.WaitGroup // sessions, handshakes and dials
	kick   chan struct{}  // capacity 1: the schedule has something to look at

	mu       sync.Mutex
	closed   bool
	sessions map[refs.Feed]*session // with peers
	guests   map[*session]struct{}  // with our own identity, or on an invite
	dialling map[refs.Feed]int      // dials in progress
	banned   map[refs.Feed]time.Time

	random   *rand.Rand // guarded by book.mu
	inviting sync.Mutex // held during one use of an invite
}

// New returns a Gossip that does nothing until Run, Serve or Connect is called.
// It reads the peer book and the vector of the store.
func New(cfg Config) (*Gossip, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	g := &Gossip{
		cfg:      cfg,
		self:     cfg.Keys.Feed(),
		gate:     newGate(cfg.Limits),
		calls:    newCalls(cfg.Limits.AllCalls),
		events:   newEvents(),
		ctx:      ctx,
		cancel:   cancel,
		kick:     make(chan struct{}, 1),
		sessions: make(map[refs.Feed]*session),
		guests:   make(map[*session]struct{}),
		dialling: make(map[refs.Feed]int),
		banned:   make(map[refs.Feed]time.Time),
		random:   rand.New(cfg.Random),
	}
	var err error
	if g.book, err = openBook(cfg.Store); err != nil {
		return nil, err
	}
	if g.rep, err = newReplicator(g); err != nil {
		return nil, err
	}
	return g, nil
}

// Run follows the store, dials peers and looks after the sessions until ctx
// ends or Close is called; then it closes everything and returns nil. An error
// says that the store failed.
func (g *Gossip) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { g.cancel(ErrClosed) })
	defer stop()
	var group sync.WaitGroup
	var failed error
	group.Go(func() {
		if failed = g.rep.follow(g.ctx); failed != nil {
			g.cancel(failed)
		}
	})
	group.Go(func() { g.rep.ticks(g.ctx) })
	group.Go(func() { g.schedule(g.ctx) })
	group.Go(func() { g.readPubs(g.ctx) })
	group.Wait()
	return errors.Join(failed, g.Close())
}

// Close ends all sessions with a goodbye and returns when they are over.
func (g *Gossip) Close() error {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.cancel(ErrClosed)
	g.work.Wait()
	return g.book.save()
}

// start counts work that Close waits for; false means that it is too late.
func (g *Gossip) start() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || g.ctx.Err() != nil {
		return false
	}
	g.work.Add(1)
	return true
}

// Serve accepts connections on a listener until ctx ends or Close is called. It
// closes the listener.
func (g *Gossip) Serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	stopped := context.AfterFunc(g.ctx, func() { l.Close() })
	defer stopped()
	defer l.Close()
	for wait := time.Duration(0); ; {
		conn, err := l.Accept()
		switch {
		case ctx.Err() != nil || g.ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accepting connections: %w", err)
		case err != nil: // too many open files, or a connection that is gone again
			wait = min(max(2*wait, 5*time.Millisecond), time.Second)
			g.cfg.Log.Warn("accepting a connection failed", "err", err)
			sleep(ctx, wait)
			continue
		}
		wait = 0
		g.arrived(conn)
	}
}

// arrived runs a connection that was accepted, unless the limits forbid it.
func (g *Gossip) arrived(conn net.Conn) {
	conn = quick(conn)
	place := g.gate.enter(conn)
	if place == nil || !g.start() {
		if place != nil {
			place.leave()
		}
		conn.Close()
		return
	}
	go func() {
		defer g.work.Done()
		g.serveConn(conn, place, "net")
	}()
}

// accepted is arrived for a connection that has its goroutine and its place. It
// returns when the connection is over.
func (g *Gossip) accepted(conn net.Conn, place *place, transport string) {
	if place == nil || !g.start() {
		conn.Close()
		return
	}
	defer g.work.Done()
	g.serveConn(conn, place, transport)
}

// serveConn runs the server's side of a connection until it is over.
func (g *Gossip) serveConn(raw net.Conn, place *place, transport string) {
	defer place.leave()
	m := &meter{Conn: raw, stuck: g.cfg.Limits.Stuck}
	ctx, cancel := context.WithTimeout(g.ctx, g.cfg.Limits.Handshake)
	defer cancel()
	kind := peerKind
	conn, err := secretstream.Server(ctx, m, g.cfg.Network, g.cfg.Keys, func(client refs.Feed) (err error) {
		kind, err = g.welcome(client)
		return err
	})
	if err != nil {
		g.cfg.Log.Debug("a connection was refused", "from", raw.RemoteAddr(), "err", err)
		return
	}
	place.proven()
	s := newSession(g, conn, m, kind)
	s.inbound, s.address = true, transport+":"+raw.RemoteAddr().String()
	if err := g.admit(s); err != nil {
		conn.Close()
		g.cfg.Log.Debug("a connection was refused", "from", raw.RemoteAddr(), "peer", s.remote, "err", err)
		return
	}
	s.run()
}

// welcome decides whether a client that has proven who it is may come in, and
// as what.
func (g *Gossip) welcome(client refs.Feed) (kind, error) {
	switch {
	case client == g.self:
		return ownKind, nil
	case g.cfg.Policy.Blocked(client):
		return peerKind, ErrBlocked
	case g.isBanned(client):
		return peerKind, ErrBanned
	}
	if g.cfg.Authorize != nil {
		if err := g.cfg.Authorize(client); err != nil {
			return peerKind, err
		}
	}
	invited, err := g.invited(client)
	if invited {
		return guestKind, err
	}
	return peerKind, err
}

// Connect dials an address, unless there is a session with its peer already,
// and returns the peer once the session runs.
func (g *Gossip) Connect(ctx context.Context, addr multiserver.Address) (refs.Feed, error) {
	if key, ok := addr.Key(); ok {
		g.pardon(key)
	}
	return g.connect(ctx, addr, Manual)
}

func (g *Gossip) connect(ctx context.Context, addr multiserver.Address, source Source) (refs.Feed, error) {
	key, ok := addr.Key()
	if !ok {
		return key, errors.New("the address has no shs key")
	}
	if key == g.self {
		return key, ErrOwn
	}
	if g.cfg.Policy.Blocked(key) {
		return key, fmt.Errorf("peer %s: %w", key, ErrBlocked)
	}
	if g.session(key) != nil {
		return key, nil
	}
	if !g.start() {
		return key, ErrClosed
	}
	defer g.work.Done()
	g.dials(key, 1)
	defer g.dials(key, -1)
	g.emit(Event{Type: Connecting, Address: addr.String(), Feed: key})
	err := g.dial(ctx, addr, key, source)
	g.book.attempted(addr.String(), err == nil, g.cfg.Now())
	if err != nil {
		g.emit(Event{Type: ConnectingFailed, Address: addr.String(), Feed: key, Reason: err.Error()})
		return key, fmt.Errorf("connecting to %s: %w", key, err)
	}
	return key, nil
}

// dial opens a connection and starts a session on it.
func (g *Gossip) dial(ctx context.Context, addr multiserver.Address, key refs.Feed, source Source) error {
	ctx, cancel := g.during(ctx)
	defer cancel()
	conn, m, err := g.open(ctx, addr, g.cfg.Keys)
	if err != nil {
		return err
	}
	s := newSession(g, conn, m, peerKind)
	s.address, s.source = addr.String(), source
	if err := g.admit(s); err != nil {
		conn.Close()
		if errors.Is(err, errTie) {
			return nil // the connection that the peer opened stays
		}
		return err
	}
	g.work.Add(1) // while the dial itself is counted
	go func() {
		defer g.work.Done()
		s.run()
	}()
	return nil
}

// dialAs opens a connection as another identity, for the guest of an invite.
func (g *Gossip) dialAs(ctx context.Context, addr multiserver.Address, as *keys.Pair) (*secretstream.Conn, error) {
	conn, _, err := g.open(ctx, addr, as)
	return conn, err
}

// during returns a context that also ends with Close.
func (g *Gossip) during(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(g.ctx, func() { cancel(ErrClosed) })
	return ctx, func() { stop(); cancel(nil) }
}

// dials counts a dial in progress.
func (g *Gossip) dials(feed refs.Feed, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dialling[feed] += n; g.dialling[feed] == 0 {
		delete(g.dialling, feed)
	}
}

func (g *Gossip) emit(ev Event) {
	ev.Time = g.cfg.Now()
	g.events.add(ev)
}

// wake lets the schedule look again.
func (g *Gossip) wake() { signal(g.kick) }

// signal wakes whoever waits on a channel of capacity 1.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// sleep waits, or for the end of ctx.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
