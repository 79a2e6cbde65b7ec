package blobs

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store/blobs"
)

// Exchange is this node's side of the protocol with all peers. Its methods may
// be called from many goroutines.
type Exchange struct {
	cfg  Config
	gets chan struct{} // a place for each blob that is being served

	mu       sync.Mutex // guards what follows
	book     *book
	peers    map[refs.Feed]*peer
	known    int                     // wants of all peers that are remembered
	fetching int                     // not counting slow ones
	slow     map[*fetch]struct{}     // fetches that have made place for others
	heldOff  [Sympathy + 1]time.Time // no blobs of that origin before
	noRoom   [Sympathy + 1]bool      // it was said that there is no room for them
	again    map[refs.Blob]time.Time // when to ask again for what could not be fetched
	finished []refs.Blob             // pushes to forget

	retry chan struct{} // capacity 1: the time of the next retry changed
}

// New returns an Exchange and reads what is asked for and pushed. It does
// nothing by itself until Run is called.
func New(c Config) (*Exchange, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	e := &Exchange{
		cfg: c, book: newBook(), peers: make(map[refs.Feed]*peer), slow: make(map[*fetch]struct{}),
		again: make(map[refs.Blob]time.Time), retry: make(chan struct{}, 1),
		gets: make(chan struct{}, c.Limits.AllGets),
	}
	return e, e.load()
}

// Run notices the blobs that are stored, from wherever they come, until ctx
// ends. It returns nil then.
func (e *Exchange) Run(ctx context.Context) error {
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() { e.retries(ctx) })
	last := e.cfg.Blobs.Last()
	if err := e.sweep(); err != nil {
		return err
	}
	for {
		if err := e.cfg.Blobs.WaitAdded(ctx, last); err != nil {
			return nil
		}
		list, next, missed := e.cfg.Blobs.Added(last, maxNotes)
		last = next
		err := e.arrived(list)
		if err == nil && missed {
			err = e.sweep()
		}
		if err != nil {
			return err
		}
	}
}

// arrived notes that blobs are here now.
func (e *Exchange) arrived(list []blobs.Info) error {
	var asked []refs.Blob
	e.mu.Lock()
	for _, info := range list {
		if w := e.book.wants[info.ID]; w != nil {
			if w.origin == Asked {
				asked = append(asked, info.ID)
			}
			e.endWant(info.ID, w)
			e.book.drop(info.ID)
		}
		for _, p := range e.peers {
			p.arrived(info)
		}
	}
	e.mu.Unlock()
	return e.forget(asked)
}

// sweep does the same for all that is wanted and here.
func (e *Exchange) sweep() error {
	e.mu.Lock()
	ids := make([]refs.Blob, 0, len(e.book.wants))
	for id := range e.book.wants {
		ids = append(ids, id)
	}
	for _, p := range e.peers {
		for id := range p.wants {
			ids = append(ids, id)
		}
	}
	e.mu.Unlock()
	var here []blobs.Info
	for _, id := range ids {
		if info, err := e.cfg.Blobs.Info(id); err == nil {
			here = append(here, info)
		}
	}
	return e.arrived(here)
}

// dropWant no longer wants a blob, though it has not come. The caller holds
// e.mu.
func (e *Exchange) dropWant(id refs.Blob, w *want) {
	e.endWant(id, w)
	e.book.release(id)
	e.wakeAll()
}

// endWant forgets what was noted of peers for a want, and ends slow fetches. The
// caller holds e.mu.
func (e *Exchange) endWant(id refs.Blob, w *want) {
	delete(e.again, id)
	for _, p := range w.askers {
		delete(p.sympathy, id)
	}
	for f := range e.slow {
		if f.id == id {
			f.stop()
		}
	}
	for _, p := range e.peers {
		delete(p.offers, id)
	}
}

// Want wants a blob for the user or an app, until it is here: also when the
// program was ended in between. Peers that have said that they have it are asked
// once more, even those that were left alone because fetches failed.
func (e *Exchange) Want(id refs.Blob) error {
	if e.cfg.Blobs.Has(id) {
		return nil
	}
	e.mu.Lock()
	full := e.book.counts[Asked] >= e.cfg.Limits.Wants
	e.mu.Unlock()
	if full {
		return fmt.Errorf("wanting blob %s: %d others are wanted already", id, e.cfg.Limits.Wants)
	}
	if err := e.remember(id); err != nil {
		return err
	}
	e.addWants(Asked, id)
	return nil
}

// Wait returns when a blob is here, or with the cause of the end of ctx.
func (e *Exchange) Wait(ctx context.Context, id refs.Blob) error {
	last := e.cfg.Blobs.Last()
	for !e.cfg.Blobs.Has(id) {
		if err := e.cfg.Blobs.WaitAdded(ctx, last); err != nil {
			return err
		}
		last = e.cfg.Blobs.Last()
	}
	return nil
}

// Refer wants blobs because messages refer to them. Those beyond
// Limits.Wants are passed over; the last ones of the list go first. The caller
// says so again after a restart.
func (e *Exchange) Refer(ids ...refs.Blob) {
	e.addWants(Referenced, ids...)
}

// addWants wants those blobs that are not here. That is looked up under the lock
// that arrived takes, so that none is wanted for ever that came meanwhile.
func (e *Exchange) addWants(origin Origin, ids ...refs.Blob) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, id := range ids {
		if origin != Asked && e.book.counts[origin] >= e.cfg.Limits.Wants {
			break
		}
		if e.cfg.Blobs.Has(id) {
			continue
		}
		w, news := e.book.add(id, -1, origin)
		e.ownWant(id, w)
		if origin == Asked && !news {
			e.askAgain(id, w)
		}
	}
	e.wakeAll()
	e.schedule()
}

// askAgain asks all peers for a blob that they were asked for before: those that
// have it say so again. The caller holds e.mu.
func (e *Exchange) askAgain(id refs.Blob, w *want) {
	delete(e.again, id)
	w.failed = 0
	w.number = e.book.announce(id)
	for _, p := range e.peers {
		p.rest = time.Time{}
	}
}

// ownWant notes that a want is ours, whoever else has it. The caller holds e.mu.
func (e *Exchange) ownWant(id refs.Blob, w *want) {
	for _, p := range w.askers {
		delete(p.sympathy, id)
	}
	w.askers = nil
}

// Unwant no longer wants blobs, for whatever reason they were wanted.
func (e *Exchange) Unwant(ids ...refs.Blob) error {
	e.mu.Lock()
	for _, id := range ids {
		if w := e.book.wants[id]; w != nil {
			e.dropWant(id, w)
		}
	}
	e.mu.Unlock()
	return e.forget(ids)
}

// Unrefer no longer wants the blobs of origin Referenced that keep does not
// report true of.
func (e *Exchange) Unrefer(keep func(refs.Blob) bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for id, w := range e.book.wants {
		if w.origin == Referenced && !keep(id) {
			e.dropWant(id, w)
		}
	}
}

// Wanted is a blob that is wanted.
type Wanted struct {
	ID     refs.Blob
	Hops   int
	Origin Origin
}

// Wants lists what is wanted: by origin, then the latest first.
func (e *Exchange) Wants() []Wanted {
	e.mu.Lock()
	defer e.mu.Unlock()
	type row struct {
		Wanted
		order uint64
	}
	rows := make([]row, 0, len(e.book.wants))
	for id, w := range e.book.wants {
		rows = append(rows, row{Wanted{id, w.hops, w.origin}, w.order})
	}
	sortBy(rows, func(r row) (Origin, uint64) { return r.Origin, r.order })
	list := make([]Wanted, len(rows))
	for i := range rows {
		list[i] = rows[i].Wanted
	}
	return list
}

// wakeAll lets the streams to all peers look for news. The caller holds e.mu.
func (e *Exchange) wakeAll() {
	for _, p := range e.peers {
		p.wake()
	}
}
