package blobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store/blobs"
)

// fetch is one blob on its way from a peer.
type fetch struct {
	peer    *peer
	session *muxrpc.Session
	id      refs.Blob
	size    int64 // as claimed
	origin  Origin

	got  atomic.Int64 // bytes so far
	stop func()
}

// schedule starts fetches as far as places and offers go. The caller holds
// e.mu.
func (e *Exchange) schedule() {
	now := time.Now()
	for e.fetching < e.cfg.Limits.Fetches {
		f := e.choose(now)
		if f == nil {
			return
		}
		e.book.wants[f.id].source = f.peer
		f.peer.fetching = true
		e.fetching++
		session := f.peer.ctx
		ctx, stop := context.WithCancelCause(session)
		f.stop = func() { stop(errSlow) }
		f.peer.work.Go(func() {
			defer stop(nil)
			e.run(session, ctx, f)
		})
	}
}

// choose returns the fetch that goes first, nil when there is none. The caller
// holds e.mu.
func (e *Exchange) choose(now time.Time) *fetch {
	var best *fetch
	var order uint64
	for _, p := range e.peers {
		if p.fetching || p.session == nil || p.ctx.Err() != nil || now.Before(p.rest) {
			continue
		}
		for id, size := range p.offers {
			w := e.book.wants[id]
			if w == nil {
				delete(p.offers, id)
				continue
			}
			if w.source != nil || now.Before(e.heldOff[w.origin]) || w.origin == Sympathy && e.fetching >= max(1, e.cfg.Limits.Fetches/2) {
				continue
			}
			if best == nil || w.origin < best.origin || w.origin == best.origin && w.order > order {
				best, order = &fetch{peer: p, session: p.session, id: id, size: size, origin: w.origin}, w.order
			}
		}
	}
	return best
}

// errNoRoom says that there is no room for a blob, which is nobody's fault.
var errNoRoom = errors.New("no room")

// maxPatience is how often the time doubles after which a blob that could not be
// fetched is asked for again: from 5 minutes to a day. Each time it may come
// whole, and be something else.
const maxPatience = 8

// hurry looks now and then whether a fetch is slow, until ctx ends. One that is
// takes no place of others any more, and what it fetches may be fetched from
// others: whoever sends drop by drop holds up nobody but himself.
func (e *Exchange) hurry(ctx context.Context, f *fetch) {
	last := int64(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(e.cfg.Limits.Patience):
		}
		got := f.got.Load()
		if float64(got-last) < float64(e.cfg.Limits.Brisk)*e.cfg.Limits.Patience.Seconds() {
			e.makePlace(ctx, f)
			return
		}
		last = got
	}
}

// makePlace lets others pass a slow fetch; when there are many of them already it
// ends.
func (e *Exchange) makePlace(ctx context.Context, f *fetch) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	if len(e.slow) >= slowShare*e.cfg.Limits.Fetches {
		f.stop()
		return
	}
	e.fetching--
	e.slow[f] = struct{}{}
	if w := e.book.wants[f.id]; w != nil && w.source == f.peer {
		w.source = nil
	}
	e.schedule()
}

// slowShare is how many slow fetches there may be for each place.
const slowShare = 3

// run fetches a blob and draws the conclusions. The fetch ends with ctx, which
// ends with the session.
func (e *Exchange) run(session, ctx context.Context, f *fetch) {
	watched, done := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { e.hurry(watched, f) })
	info, err := e.get(ctx, f)
	done()
	watch.Wait()
	if err == nil {
		err = e.arrived([]blobs.Info{info})
	}
	e.concluded(session, f, err)
}

// concluded draws the conclusions of a fetch that is over.
func (e *Exchange) concluded(ctx context.Context, f *fetch, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, slow := e.slow[f]; slow {
		delete(e.slow, f)
	} else {
		e.fetching--
	}
	p := f.peer
	p.fetching = false
	if w := e.book.wants[f.id]; w != nil && w.source == p {
		if w.source = nil; len(w.askers) == 0 && w.origin == Sympathy {
			e.dropWant(f.id, w) // who asked is gone
		}
	}
	switch {
	case err == nil:
		p.failures = 0
		e.noRoom[f.origin] = false
	case ctx.Err() != nil:
	case errors.Is(err, errNoRoom):
		e.heldOff[f.origin] = time.Now().Add(e.cfg.Limits.Retry)
		signal(e.retry)
		if !e.noRoom[f.origin] && ctx.Err() == nil {
			e.noRoom[f.origin] = true
			e.cfg.Log.Warn("no room for blobs of peers", "why", f.origin, "blob", f.id, "size", f.size, "err", err)
		}
	default:
		delete(p.offers, f.id)
		if w := e.book.wants[f.id]; w != nil {
			e.again[f.id] = time.Now().Add(e.cfg.Limits.Backoffs << min(w.failed, maxPatience))
			w.failed++
		}
		p.rest = time.Now().Add(min(e.cfg.Limits.Backoffs, e.cfg.Limits.Backoff<<min(p.failures, 20)))
		p.failures++
		signal(e.retry)
	}
	if err != nil && ctx.Err() == nil {
		e.cfg.Log.Debug("fetching a blob failed", "blob", f.id, "peer", p.id, "err", err)
	}
	e.schedule()
}

// get fetches a blob and stores it.
func (e *Exchange) get(ctx context.Context, f *fetch) (info blobs.Info, err error) {
	if e.cfg.Room != nil {
		done, err := e.cfg.Room(f.origin, f.size)
		if err != nil {
			return info, fmt.Errorf("%w: %v", errNoRoom, err)
		}
		defer done()
	}
	ctx, cancel := context.WithTimeoutCause(ctx, e.cfg.Limits.Idle+time.Duration(f.size/e.cfg.Limits.Slowest)*time.Second, errSlow)
	defer cancel()
	w, err := e.cfg.Blobs.NewWriter(f.size) // not more than was claimed
	if err != nil {
		return info, fmt.Errorf("%w: %v", errNoRoom, err)
	}
	defer w.Close()
	if err := e.receive(ctx, f, w); err != nil {
		return info, err
	}
	if e.cfg.Fetching != nil {
		if err := e.cfg.Fetching(f.id, w.Size(), f.origin); err != nil {
			return info, fmt.Errorf("%w: %v", errNoRoom, err)
		}
	}
	info, err = w.Commit(f.id)
	return info, ours(err)
}

// ours says of an error of storing whether it is our own disk's.
func ours(err error) error {
	var mismatch *blobs.MismatchError
	if err == nil || errors.As(err, &mismatch) || errors.Is(err, blobs.ErrTooLarge) {
		return err
	}
	return fmt.Errorf("%w: %v", errNoRoom, err)
}

var (
	errSlow   = errors.New("the peer sends too slowly")
	errSilent = errors.New("the peer sends nothing")
	errBytes  = errors.New("the peer sent something else than bytes")
)

// receive takes in the bytes of a blob.
func (e *Exchange) receive(ctx context.Context, f *fetch, w io.Writer) error {
	type options struct {
		Key refs.Blob `json:"key"`
		Max int64     `json:"max"`
	}
	ctx, silent := context.WithCancelCause(ctx)
	defer silent(nil)
	watch := time.AfterFunc(e.cfg.Limits.Idle, func() { silent(errSilent) })
	defer watch.Stop()
	st, err := f.session.Source(ctx, "blobs.get", options{f.id, e.cfg.Blobs.Max()})
	if err != nil {
		return err
	}
	defer st.Close(nil)
	for {
		item, err := st.Recv(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		watch.Reset(e.cfg.Limits.Idle)
		if item.Kind != muxrpc.Binary {
			return errBytes
		}
		if _, err := w.Write(item.Body); err != nil {
			return ours(err)
		}
		f.got.Add(int64(len(item.Body)))
	}
}

// retries schedules again when the time has come, until ctx ends.
func (e *Exchange) retries(ctx context.Context) {
	for {
		e.mu.Lock()
		at := e.nextRetry()
		e.mu.Unlock()
		var timer <-chan time.Time
		if !at.IsZero() {
			timer = time.After(max(time.Millisecond, time.Until(at)))
		}
		select {
		case <-ctx.Done():
			return
		case <-e.retry:
		case <-timer:
			e.mu.Lock()
			e.askDue()
			e.schedule()
			e.mu.Unlock()
		}
	}
}

// askDue asks again for what could not be fetched a while ago: the offer is
// forgotten then, and a peer has perhaps repaired it, or answers better. The
// caller holds e.mu.
func (e *Exchange) askDue() {
	now, asked := time.Now(), false
	for id, at := range e.again {
		if now.Before(at) {
			continue
		}
		delete(e.again, id)
		if w := e.book.wants[id]; w != nil {
			w.number = e.book.announce(id)
			asked = true
		}
	}
	if asked {
		e.wakeAll()
	}
}

// nextRetry is the first time that something is waiting for, zero for none. What
// is to be asked for again may be late; all else was seen to when its time came.
// The caller holds e.mu.
func (e *Exchange) nextRetry() (at time.Time) {
	now := time.Now()
	sooner := func(t time.Time) {
		if t.After(now) && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	for _, t := range e.heldOff {
		sooner(t)
	}
	for _, t := range e.again {
		if at.IsZero() || t.Before(at) {
			at = t
		}
	}
	for _, p := range e.peers {
		if len(p.offers) > 0 {
			sooner(p.rest)
		}
	}
	return at
}

// sortBy sorts rows by origin, then by descending order.
func sortBy[T any](rows []T, key func(T) (Origin, uint64)) {
	slices.SortFunc(rows, func(a, b T) int {
		ao, an := key(a)
		bo, bn := key(b)
		return cmp.Or(cmp.Compare(ao, bo), cmp.Compare(bn, an))
	})
}
