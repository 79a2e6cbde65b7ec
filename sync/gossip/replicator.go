package gossip

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/ebt"
	"github.com/ssbsync/ssbsync/sync/graph"
	"github.com/ssbsync/ssbsync/sync/vector"
)

const (
	// growthPage is how many messages are looked at under one read
	// transaction.
	growthPage = 16384

	// maxAdopted bounds the feeds that are wanted because peers speak of them
	// and of which nothing came yet.
	maxAdopted = 100_000

	// maxSkipped is how many ticks in a row the state is not told of because
	// we do not read from peers.
	maxSkipped = 9

	// notesPart is how many notes are taken under one lock.
	notesPart = 1000

	// forkTicks is how often the store is asked for forks that came by other
	// ways than peers.
	forkTicks = 30
)

// replicator owns the state of EBT for all sessions.
type replicator struct {
	g      *Gossip
	memory *memories
	busy   atomic.Int64  // receivers that are handing a message over
	policy chan struct{} // capacity 1: the policy changed

	mu      sync.Mutex
	state   *ebt.State
	rx      uint64                    // the state knows of what the store received so far
	peers   map[refs.Feed]*member     // who runs EBT
	all     map[*exchange]struct{}    // of running sessions
	wanted  map[refs.Feed]bool        // what state.Want was last told
	adopted map[refs.Feed]struct{}    // wanted since a peer spoke of it; nothing came yet
	claims  map[refs.Feed]*exchange   // feeds that are being fetched by history
	frozen  map[refs.Feed]struct{}    // what state.Freeze was told
	blocks  map[[2]refs.Feed]struct{} // what state.Block was told
	version uint64                    // of the graph that blocks shows
	skipped int
	ticked  int
}

// member is an exchange that runs EBT.
type member struct {
	x    *exchange
	done chan struct{} // closed when it has left
}

func newReplicator(g *Gossip) (*replicator, error) {
	r := &replicator{
		g:       g,
		policy:  make(chan struct{}, 1),
		state:   ebt.New(g.self, ebt.Config{}),
		peers:   make(map[refs.Feed]*member),
		all:     make(map[*exchange]struct{}),
		wanted:  make(map[refs.Feed]bool),
		adopted: make(map[refs.Feed]struct{}),
		claims:  make(map[refs.Feed]*exchange),
		frozen:  make(map[refs.Feed]struct{}),
		blocks:  make(map[[2]refs.Feed]struct{}),
	}
	var err error
	if r.memory, err = openMemories(g.cfg.Store); err != nil {
		return nil, err
	}
	r.rx = g.cfg.Store.Last()
	clock, err := g.cfg.Store.Vector()
	if err != nil {
		return nil, err
	}
	r.applyPolicy()
	for feed, seq := range clock.All() {
		r.grew(feed, seq)
	}
	return r, r.readForks()
}

// grew says how far we hold a feed. The caller holds r.mu, or nobody else has r
// yet.
func (r *replicator) grew(feed refs.Feed, seq int64) {
	if _, known := r.wanted[feed]; !known {
		r.want(feed, r.g.cfg.Policy.Wants(feed))
	}
	delete(r.adopted, feed)
	r.state.Append(feed, seq)
}

// want tells the state whether a feed is wanted. The caller holds r.mu.
func (r *replicator) want(feed refs.Feed, want bool) {
	if r.wanted[feed] != want {
		r.state.Want(feed, want)
	}
	r.wanted[feed] = want
}

// follow tells the state what the store receives, and the policy, until ctx
// ends.
func (r *replicator) follow(ctx context.Context) error {
	s := r.g.cfg.Store
	for {
		select {
		case <-s.Changed(r.seen()):
			if err := r.catchUp(); err != nil {
				return err
			}
		case <-r.policy:
			r.mu.Lock()
			r.applyPolicy()
			r.mu.Unlock()
			r.wakeAll()
		case <-ctx.Done():
			return nil
		}
	}
}

// seen returns up to where the state knows what the store received.
func (r *replicator) seen() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rx
}

// catchUp tells the state what the store received.
func (r *replicator) catchUp() error {
	grown, last, err := r.g.cfg.Store.Growth(r.seen(), growthPage)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rx = last
	for _, e := range grown {
		r.grew(e.Feed, e.Seq)
	}
	r.wakeReady()
	return nil
}

// wakeReady wakes those for whom there is something to send. The caller holds
// r.mu.
func (r *replicator) wakeReady() {
	for feed, m := range r.peers {
		if r.state.Ready(feed) {
			signal(m.x.wake)
		}
	}
}

// PolicyChanged says that the answers of the policy, or the graph, changed:
// running sessions follow it, and those with peers that are blocked end.
func (g *Gossip) PolicyChanged() { signal(g.rep.policy) }

// applyPolicy tells the state what is wanted and who blocks whom. The caller
// holds r.mu, or nobody else has r yet.
func (r *replicator) applyPolicy() {
	policy := r.g.cfg.Policy
	for _, feed := range policy.Replicated() {
		r.want(feed, policy.Wants(feed))
	}
	for feed := range r.wanted {
		r.want(feed, policy.Wants(feed))
	}
	r.applyBlocks()
	r.wakeReady()
}

// applyBlocks brings the blocks up to date with the graph.
func (r *replicator) applyBlocks() {
	g := r.g.cfg.Graph
	if g == nil {
		return
	}
	edges, version, ok := g.Since(r.version)
	if !ok || r.version == 0 {
		edges, version = g.Edges()
	}
	r.version = version
	for _, e := range edges {
		pair, blocked := [2]refs.Feed{e.From, e.To}, e.Relation == graph.Blocking
		if _, was := r.blocks[pair]; was == blocked || e.From == r.g.self {
			continue
		}
		r.state.Block(e.From, e.To, blocked)
		if blocked {
			r.blocks[pair] = struct{}{}
		} else {
			delete(r.blocks, pair)
		}
	}
}

// wakeAll lets every session look at the policy anew.
func (r *replicator) wakeAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for x := range r.all {
		if r.g.cfg.Policy.Blocked(x.s.remote) {
			x.s.cancel(ErrBlocked)
		}
		signal(x.renew)
	}
}

// attach and detach keep the list of sessions.
func (r *replicator) attach(x *exchange) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all[x] = struct{}{}
	if r.g.cfg.Policy.Blocked(x.s.remote) { // since it was let in
		x.s.cancel(ErrBlocked)
	}
}

func (r *replicator) detach(x *exchange) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, x)
}

// join begins EBT with a peer, once an older session with it has left.
func (r *replicator) join(ctx context.Context, x *exchange, client bool) error {
	memory := r.memory.load(x.s.remote)
	for {
		r.mu.Lock()
		old := r.peers[x.s.remote]
		if old == nil {
			break
		}
		r.mu.Unlock()
		if old.x == x {
			return errEBTTwice
		}
		select {
		case <-old.done:
			memory = r.memory.load(x.s.remote)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	defer r.mu.Unlock()
	if err := r.state.Connect(x.s.remote, client, memory); err != nil {
		return err
	}
	r.peers[x.s.remote] = &member{x, make(chan struct{})}
	signal(x.wake)
	return nil
}

// leave ends EBT with a peer and remembers how far it was.
func (r *replicator) leave(x *exchange) {
	r.mu.Lock()
	m := r.peers[x.s.remote]
	memory := r.state.Disconnect(x.s.remote)
	r.wakeReady()
	r.mu.Unlock()
	if r.g.cfg.Policy.Wants(x.s.remote) {
		if err := r.memory.save(x.s.remote, memory); err != nil {
			r.g.cfg.Log.Debug("what a peer holds was not remembered", "peer", x.s.remote, "err", err)
		}
	}
	r.mu.Lock()
	delete(r.peers, x.s.remote)
	r.mu.Unlock()
	close(m.done)
}

// nextNotes returns the notes to send to a peer next, if there are any.
func (r *replicator) nextNotes(x *exchange) ([]ebt.FeedNote, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state.NextNotes(x.s.remote)
}

// nextSend returns the messages to send to a peer next, if there are any.
func (r *replicator) nextSend(x *exchange) (vector.Span, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state.NextSend(x.s.remote, sendPage)
}

// notes takes the notes of a peer.
//
// A peer may have notes of 250,000 feeds in one frame: they are taken in parts,
// so that others get their turn meanwhile.
func (r *replicator) notes(x *exchange, notes []ebt.FeedNote) {
	for part := range slices.Chunk(notes, notesPart) {
		r.someNotes(x, part)
	}
	if len(notes) == 0 { // says that nothing changed, and may be the first
		r.someNotes(x, nil)
	}
}

func (r *replicator) someNotes(x *exchange, notes []ebt.FeedNote) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range notes {
		if _, known := r.wanted[n.Feed]; !known && n.Replicate && len(r.adopted) < maxAdopted && r.g.cfg.Policy.Wants(n.Feed) {
			r.adopted[n.Feed] = struct{}{}
			r.want(n.Feed, true)
		}
	}
	r.state.Notes(x.s.remote, notes)
	r.wakeReady()
}

// asked reports whether a message that a peer sent may be taken.
func (r *replicator) asked(x *exchange, feed refs.Feed, seq int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	ok := r.state.Received(x.s.remote, feed, seq)
	if r.state.Ready(x.s.remote) {
		signal(x.wake)
	}
	return ok
}

// refuse says that what a peer sent of a feed was no good.
func (r *replicator) refuse(x *exchange, feed refs.Feed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.peers[x.s.remote]; m != nil && m.x == x {
		r.state.Refuse(x.s.remote, feed)
		r.wakeReady()
	}
}

// freeze says that a feed is forked.
func (r *replicator) freeze(feed refs.Feed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, was := r.frozen[feed]; !was {
		r.frozen[feed] = struct{}{}
		r.state.Freeze(feed, true)
		r.wakeReady()
	}
}

// readForks freezes what the store knows to be forked.
func (r *replicator) readForks() error {
	forks, err := r.g.cfg.Store.Forks()
	if err != nil {
		return err
	}
	for _, f := range forks {
		r.freeze(f.Feed)
	}
	return nil
}

// ticks lets the state and the sessions know that time passes, until ctx ends.
func (r *replicator) ticks(ctx context.Context) {
	ticker := time.NewTicker(r.g.cfg.Tick)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			r.tick()
		case <-ctx.Done():
			return
		}
	}
}

func (r *replicator) tick() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy.Load() > 0 && r.skipped < maxSkipped {
		r.skipped++
	} else {
		r.skipped = 0
		r.state.Tick()
		r.wakeReady()
	}
	for x := range r.all {
		signal(x.account)
	}
	if r.ticked++; r.ticked%forkTicks == 0 {
		r.mu.Unlock()
		err := r.readForks()
		r.mu.Lock()
		if err != nil && !errors.Is(err, context.Canceled) {
			r.g.cfg.Log.Debug("reading forks failed", "err", err)
		}
	}
}
