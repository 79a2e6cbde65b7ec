package ingest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// Source describes where the messages of an intake come from.
type Source struct {
	// Name says it in errors: a path, or the address of a peer.
	Name string

	// Accept is the policy: whether a feed's messages are taken at all. It is
	// called from several goroutines. Nil accepts every feed.
	Accept func(refs.Feed) bool

	// OnReject is told of each message that is bad input, in the order in which
	// they were handed over, from one goroutine at a time. It holds up the
	// pipeline while it runs, and must not call it.
	OnReject func(Reject)
}

// Intake is where one source hands over its messages. It is safe for
// concurrent use, though only what one goroutine adds has an order.
type Intake struct {
	p   *Pipeline
	src Source

	// Guarded by p.mu.
	queue   []*batch         // for a worker; the last one may still be filling
	open    bool             // the last one of queue is filling
	created int64            // batches made, without retries
	next    int64            // number of the batch to deliver next
	early   map[int64]*batch // verified before those in front of them
	active  int              // batches, and retries, not yet delivered to the writer
	settled int64            // batches of which everything is decided and durable
	retries int              // attempts to let waiting messages attach that are not over
	added   int64            // messages handed over: the position for Add
	err     error            // why the intake is over
	changed chan struct{}    // closed and replaced when something was settled

	sumMu sync.Mutex
	sum   Summary // since the last Flush
}

// Open returns a new intake. It needs no closing: an intake that is no longer
// used costs nothing.
func (p *Pipeline) Open(src Source) *Intake {
	return &Intake{p: p, src: src, early: make(map[int64]*batch), changed: make(chan struct{})}
}

// Add hands over one message value in any JSON spelling. It copies raw, and
// blocks while too much is on its way. It returns an error only when ctx ended,
// the pipeline stopped, or there is no room (ErrNoRoom): then the message was
// not taken. What is wrong with the message itself shows in Source.OnReject and
// in the Summary.
func (i *Intake) Add(ctx context.Context, raw []byte) error {
	return i.hand(ctx, raw, 0, false)
}

// AddAt is Add for a message whose place in its source is known: pos, a number
// of a line or byte, is repeated in a Reject.
func (i *Intake) AddAt(ctx context.Context, raw []byte, pos int64) error {
	return i.hand(ctx, raw, pos, true)
}

func (i *Intake) hand(ctx context.Context, raw []byte, pos int64, hasPos bool) error {
	f := pending
	if len(raw) > message.MaxRaw {
		raw, f = nil, tooLong
	}
	n := cost(len(raw))
	ok, err := i.p.gate.acquire(ctx, n)
	if err != nil {
		return fmt.Errorf("handing over a message: %w", err)
	}
	if !ok {
		return i.p.stopped()
	}
	if err := i.put(raw, pos, hasPos, f); err != nil {
		i.p.gate.release(n)
		return err
	}
	return nil
}

// put appends a message to the batch that is filling.
func (i *Intake) put(raw []byte, pos int64, hasPos bool, f fate) error {
	p := i.p
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return p.stoppedLocked()
	case i.err != nil:
		return i.err
	}
	i.added++
	if !hasPos {
		pos = i.added
	}
	if !i.open || i.queue[len(i.queue)-1].full(len(raw), p.cfg.BatchMessages) {
		i.enqueue(p.newBatch(i, i.created))
		i.created++
		i.open = true
	}
	i.queue[len(i.queue)-1].add(raw, pos, f)
	return nil
}

// enqueue queues a batch for the workers, behind those that are there. The
// caller holds p.mu.
func (i *Intake) enqueue(b *batch) { i.insert(len(i.queue), b) }

// prepend queues a batch that has no place in the intake's order before the
// others. The caller holds p.mu.
func (i *Intake) prepend(b *batch) { i.insert(0, b) }

func (i *Intake) insert(at int, b *batch) {
	if len(i.queue) == 0 {
		i.p.ready = append(i.p.ready, i)
	}
	i.queue = slices.Insert(i.queue, at, b)
	i.active++
	i.p.active++
	i.p.work.Signal()
}

// notify wakes those in Flush. The caller holds p.mu.
func (i *Intake) notify() {
	close(i.changed)
	i.changed = make(chan struct{})
}

// Flush waits until all that was handed over before is decided and durable,
// and returns what became of it since the Flush before. It returns an error
// when ctx ends first, the pipeline stopped without having got so far, or the
// intake is over (ErrNoRoom); the Summary then holds what is known. When the
// context of Run ended, Flush still tells, without an error, what became of all
// that Add had taken.
func (i *Intake) Flush(ctx context.Context) (Summary, error) {
	if err := i.settle(ctx); err != nil {
		return i.peek(), err
	}
	return i.take()
}

// settle waits until what was handed over before is settled.
func (i *Intake) settle(ctx context.Context) error {
	p := i.p
	p.mu.Lock()
	defer p.mu.Unlock()
	target := i.created
	i.open = false
	p.flushing[i]++
	defer p.flushed(i)
	for i.settled < target || i.retries > 0 {
		p.signal()
		changed := i.changed
		p.mu.Unlock()
		err := p.await(ctx, changed)
		p.mu.Lock()
		if err != nil && i.settled >= target {
			return nil // what is missing is only a second try of what waits
		}
		if err != nil {
			return err
		}
	}
	return i.err
}

// flushed takes one that waits off the writer's list. The caller holds p.mu.
func (p *Pipeline) flushed(i *Intake) {
	if p.flushing[i]--; p.flushing[i] == 0 {
		delete(p.flushing, i)
	}
}

// await waits for a channel to close, for ctx, or for the end of Run.
func (p *Pipeline) await(ctx context.Context, changed <-chan struct{}) error {
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for messages to be stored: %w", context.Cause(ctx))
	case <-p.done:
	}
	select {
	case <-changed:
		return nil
	default:
		return p.stopped()
	}
}
