package blobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
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
		ctx := f.peer.ctx
		f.peer.work.Go(func() { e.run(ctx, f) })
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
				best, order = &fetch{p, p.session, id, size, w.origin}, w.order
			}
		}
	}
	return best
}

// errNoRoom says that there is no room for a blob, which is nobody's fault.
var errNoRoom = errors.New("no room")

// run fetches a blob and draws the conclusions.
func (e *Exchange) run(ctx context.Context, f *fetch) {
	info, err := e.get(ctx, f)
	if err == nil {
		err = e.arrived([]blobs.Info{info})
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fetching--
	p := f.peer
	p.fetching = false
	if w := e.book.wants[f.id]; w != nil {
		if w.source = nil; len(w.askers) == 0 && w.origin == Sympathy {
			e.dropWant(f.id, w) // who asked is gone
		}
	}
	switch {
	case err == nil:
		p.failures = 0
	case ctx.Err() != nil:
	case errors.Is(err, errNoRoom):
		e.heldOff[f.origin] = time.Now().Add(e.cfg.Limits.Retry)
		signal(e.retry)
	default:
		delete(p.offers, f.id)
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
		if err := e.cfg.Room(f.origin, f.size); err != nil {
			return info, fmt.Errorf("%w: %v", errNoRoom, err)
		}
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
			e.schedule()
			e.mu.Unlock()
		}
	}
}

// nextRetry is the first time in the future that something is waiting for, zero
// for none. The caller holds e.mu.
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
