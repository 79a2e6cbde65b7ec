package blobs

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store/blobs"
)

// peer is what is known of a peer that is connected. All of it is guarded by
// Exchange.mu, except what says otherwise.
type peer struct {
	e    *Exchange
	id   refs.Feed
	uses int // sessions and streams

	session *muxrpc.Session // to fetch from; nil if there is none
	ctx     context.Context // of session
	work    *sync.WaitGroup // fetches over session

	outlet *outlet // the stream on which it is told, nil if there is none

	wants    map[refs.Blob]struct{} // what it lacks, as far as is remembered
	all      bool                   // it wants more than that: it is told of everything
	sympathy map[refs.Blob]int      // what we want for it, and the hops of that
	offers   map[refs.Blob]int64    // sizes of what it has and we want
	replies  []note                 // to what it asked

	fetching bool
	failures int       // in a row
	rest     time.Time // nothing is fetched before
	gets     chan struct{}
}

// enter returns the record of a peer, which the caller must leave.
func (e *Exchange) enter(id refs.Feed) *peer {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.peers[id]
	if p == nil {
		p = &peer{
			e: e, id: id, wants: make(map[refs.Blob]struct{}),
			sympathy: make(map[refs.Blob]int), offers: make(map[refs.Blob]int64),
			gets: make(chan struct{}, e.cfg.Limits.Gets),
		}
		e.peers[id] = p
	}
	p.uses++
	return p
}

// leave forgets a peer that is gone.
func (e *Exchange) leave(p *peer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p.uses--; p.uses > 0 {
		return
	}
	delete(e.peers, p.id)
	e.known -= len(p.wants)
	for id := range p.sympathy {
		e.unsympathise(p, id)
	}
}

// unsympathise no longer wants a blob for a peer. The caller holds e.mu.
func (e *Exchange) unsympathise(p *peer, id refs.Blob) {
	delete(p.sympathy, id)
	w := e.book.wants[id]
	if w == nil {
		return
	}
	for i, asker := range w.askers {
		if asker == p {
			w.askers = append(w.askers[:i], w.askers[i+1:]...)
			break
		}
	}
	if len(w.askers) == 0 && w.origin == Sympathy && w.source == nil {
		e.dropWant(id, w)
		return
	}
	e.reconsider(id, w)
}

// reconsider sets the hops of a want of others to those of the nearest of them:
// two peers that want it for each other's sake alone come to an end, as they move
// it further away from each other. The caller holds e.mu.
func (e *Exchange) reconsider(id refs.Blob, w *want) {
	if w.origin != Sympathy || len(w.askers) == 0 {
		return
	}
	nearest := w.askers[0].sympathy[id]
	for _, asker := range w.askers[1:] {
		nearest = max(nearest, asker.sympathy[id])
	}
	if w.hops != nearest {
		w.hops = nearest
		w.number = e.book.announce(id)
		e.wakeAll()
	}
}

// wake lets the streams to the peer look for news. The caller holds e.mu.
func (p *peer) wake() {
	if p.outlet != nil {
		signal(p.outlet.more)
	}
}

// arrived tells the peer of a new blob if it wants it. The caller holds e.mu.
func (p *peer) arrived(info blobs.Info) {
	_, wanted := p.wants[info.ID]
	if wanted {
		delete(p.wants, info.ID)
		p.e.known--
	}
	if (wanted || p.all) && info.Size > 0 && p.outlet != nil && len(p.replies) < maxReplies {
		p.replies = append(p.replies, note{info.ID, info.Size})
		p.wake()
	}
}

// maxReplies bounds what waits to be told to a peer that does not read.
const maxReplies = 1 << 15

// Serve reads what a peer wants and has, and fetches from it what we want, over
// a session with it, until that or ctx ends. Sessions with apps of our own user
// are not served so.
func (e *Exchange) Serve(ctx context.Context, remote refs.Feed, session *muxrpc.Session) error {
	p := e.enter(remote)
	defer e.leave(p)
	var work sync.WaitGroup
	defer work.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	e.mu.Lock()
	p.session, p.ctx, p.work = session, ctx, &work
	e.mu.Unlock()
	defer p.detach(session)
	st, err := session.Source(ctx, "blobs.createWants")
	if err != nil {
		return ignoreEnd(ctx, err)
	}
	defer st.Close(nil)
	return ignoreEnd(ctx, e.read(ctx, p, st))
}

// detach forgets a session that is over.
func (p *peer) detach(session *muxrpc.Session) {
	p.e.mu.Lock()
	defer p.e.mu.Unlock()
	if p.session == session {
		p.session = nil
		clear(p.offers)
	}
}

// ignoreEnd makes the end of a session, or of a stream, no error.
func ignoreEnd(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil || errors.Is(err, muxrpc.ErrClosed) || errors.Is(err, muxrpc.ErrStreamClosed) {
		return nil
	}
	return err
}

// read takes frames in until the stream ends.
func (e *Exchange) read(ctx context.Context, p *peer, st *muxrpc.Stream) error {
	budget := bucket{level: float64(e.cfg.Limits.Burst), at: time.Now()}
	for {
		item, err := st.Recv(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var page []note
		err = parseFrame(item.Body, func(n note) error {
			if page = append(page, n); len(page) < maxNotes {
				return nil
			}
			defer func() { page = page[:0] }()
			return e.take(ctx, p, page, &budget)
		})
		if err == nil {
			err = e.take(ctx, p, page, &budget)
		}
		if err != nil && !errors.Is(err, errNoFrame) {
			return err
		}
	}
}

// take takes in some notes of a peer, slowly when there were too many.
func (e *Exchange) take(ctx context.Context, p *peer, page []note, budget *bucket) error {
	if err := budget.spend(ctx, len(page), e.cfg.Limits.Rate, float64(e.cfg.Limits.Burst)); err != nil {
		return err
	}
	if err := p.drained(ctx); err != nil {
		return err
	}
	here := make(map[refs.Blob]int64)
	for _, n := range page {
		if n.number < 0 {
			if size, err := e.cfg.Blobs.Size(n.id); err == nil {
				here[n.id] = size
			}
		}
	}
	e.sort(p, page, here)
	return e.forgetPushes()
}

// sort sorts out what a peer said, of which some is here.
func (e *Exchange) sort(p *peer, page []note, here map[refs.Blob]int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	offers := false
	for _, n := range page {
		size, held := here[n.id]
		switch {
		case n.number > 0:
			p.has(n.id, n.number)
			offers = true
		case held && size > 0:
			p.replies = append(p.replies, note{n.id, size})
		case !held:
			p.lacks(n.id, n.number)
		}
	}
	p.wake()
	if offers {
		e.schedule()
	}
}

// drained waits until what the peer asked before was mostly answered: who does
// not read is not read from.
func (p *peer) drained(ctx context.Context) error {
	for {
		p.e.mu.Lock()
		if p.outlet == nil && len(p.replies) >= maxReplies/2 {
			p.replies = nil // it does not listen
		}
		free := len(p.replies) < maxReplies/2
		p.e.mu.Unlock()
		if free {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(drainPause):
		}
	}
}

const drainPause = 100 * time.Millisecond

// has notes that the peer has a blob. If it wanted it too, it pushes it, and
// is still to hear when we have it. The caller holds e.mu.
func (p *peer) has(id refs.Blob, size int64) {
	e := p.e
	e.taken(p.id, id)
	if e.book.wants[id] == nil || size > e.cfg.Blobs.Max() {
		return
	}
	if _, known := p.offers[id]; !known && len(p.offers) >= e.cfg.Limits.Offers {
		return
	}
	p.offers[id] = size
}

// lacks notes that the peer wants a blob that is not here, and wants it too if
// it is not too far away. The caller holds e.mu.
func (p *peer) lacks(id refs.Blob, hops int64) {
	e := p.e
	if _, known := p.wants[id]; !known && !p.all {
		if len(p.wants) >= e.cfg.Limits.PeerWants || e.known >= e.cfg.Limits.AllPeerWants {
			p.all = true
		} else {
			p.wants[id] = struct{}{}
			e.known++
		}
	}
	delete(p.offers, id)
	_, mine := p.sympathy[id]
	if hops-1 < -int64(e.cfg.Sympathy) {
		if mine {
			e.unsympathise(p, id)
		}
		return
	}
	w := e.book.wants[id]
	if mine && w != nil {
		p.sympathy[id] = int(hops - 1)
		e.reconsider(id, w)
	}
	if mine || w != nil && w.origin != Sympathy {
		return
	}
	if len(p.sympathy) >= e.cfg.Limits.PeerSympathy || w == nil && e.book.counts[Sympathy] >= e.cfg.Limits.AllSympathy {
		return
	}
	if w == nil && e.cfg.Blobs.Has(id) {
		return // it came meanwhile; arrived takes its turn
	}
	w, news := e.book.add(id, int(hops-1), Sympathy)
	w.askers = append(w.askers, p)
	p.sympathy[id] = int(hops - 1)
	if news {
		e.wakeAll()
	}
}

// bucket bounds how often something may be done.
type bucket struct {
	level float64
	at    time.Time
}

// spend takes n out of the bucket, which fills at a rate a second up to size,
// and waits until it is not empty.
func (b *bucket) spend(ctx context.Context, n int, rate, size float64) error {
	b.level -= float64(n)
	for {
		t := time.Now()
		b.level = min(size, b.level+rate*max(0, t.Sub(b.at).Seconds()))
		b.at = t
		if b.level >= 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(max(time.Millisecond, time.Duration(-b.level/rate*float64(time.Second)))):
		}
	}
}

// signal wakes whoever waits on a channel of capacity 1.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
