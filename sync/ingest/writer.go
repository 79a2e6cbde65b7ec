package ingest

import (
	"fmt"
	"time"

	"github.com/ssbsync/ssbsync/store"
)

// When a group that is not full is committed. A lone message goes at once;
// while messages keep coming, a commit of thousands costs each a tenth of what
// a commit of hundreds does, and nobody is waiting, for who waits says so by
// Flush.
const (
	quiet   = 2 * time.Millisecond   // after which a stream counts as ended
	maxAge  = 300 * time.Millisecond // that a message waits for others
	crowd   = 8                      // messages during one commit make a stream
	forever = time.Hour
)

// write is the single writer. It returns when the pipeline is closed and all
// that was handed over is settled, or when the store fails.
func (p *Pipeline) write() error {
	if err := p.resumeWaiting(); err != nil {
		return err
	}
	var g group
	var stream bool // messages came in while the last group was committed
	timer := time.NewTimer(forever)
	defer timer.Stop()
	for {
		todo, wait := p.plan(&g, stream)
		switch todo {
		case end:
			return nil
		case commit:
			if err := p.commit(&g); err != nil {
				return err
			}
			stream = p.arrived() >= crowd
		case linger:
			timer.Reset(wait)
			select {
			case <-p.wake:
			case <-timer.C:
			}
		}
	}
}

// step is what the writer does next.
type step int

const (
	linger step = iota
	commit
	end
)

// plan takes what was delivered into the group and decides what is next; to
// linger, for how long at most.
func (p *Pipeline) plan(g *group, stream bool) (step, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g.gather(p.delivered)
	clear(p.delivered)
	p.delivered = p.delivered[:0]
	switch {
	case len(p.publishes) > 0, p.isFull(g):
		return commit, 0
	case len(g.batches) == 0 && p.closed && p.active == 0:
		return end, 0
	case len(g.batches) == 0:
		return linger, forever
	case len(g.entries) == 0, p.isAwaited():
		return commit, 0
	case p.active == 0 && (p.closed || !stream):
		return commit, 0
	}
	wait := maxAge - time.Since(g.since)
	if p.active == 0 {
		wait = min(wait, quiet-time.Since(p.lastWork))
	}
	if wait <= 0 {
		return commit, 0
	}
	return linger, wait
}

// isFull reports whether the group is as large as a commit should be. While it
// is committed, what the gate has left keeps the workers busy.
func (p *Pipeline) isFull(g *group) bool {
	return len(g.entries) >= p.cfg.GroupMessages || g.bytes >= p.cfg.Memory*2/3
}

// isAwaited reports whether somebody in Flush waits for nothing but the next
// commit. The caller holds p.mu.
func (p *Pipeline) isAwaited() bool {
	for i := range p.flushing {
		if i.active == 0 && (i.settled < i.created || i.retries > 0) {
			return true
		}
	}
	return false
}

// arrived counts the messages that were delivered and not yet gathered.
func (p *Pipeline) arrived() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.delivered {
		n += len(b.items)
	}
	return n
}

// commit stores the group, settles the fate of every message in it, and then
// serves those who publish.
func (p *Pipeline) commit(g *group) error {
	if err := p.append(g); isFull(err) {
		p.lose(g, err)
	} else if err != nil {
		return err
	}
	if err := p.keepWaiting(g); err != nil {
		return err
	}
	p.account(g)
	if err := p.retry(g); err != nil {
		return err
	}
	p.settle(g)
	g.reset()
	return p.publish()
}

// append stores the messages of the group and notes what the store said.
func (p *Pipeline) append(g *group) error {
	if len(g.entries) == 0 {
		return nil
	}
	if err := p.tellAhead(g); err != nil {
		return err
	}
	if p.cfg.Room != nil {
		if err := p.cfg.Room(); err != nil {
			return fmt.Errorf("%w: %w", ErrNoRoom, err)
		}
	}
	results, err := p.cfg.Store.Append(g.messages())
	if err != nil {
		return fmt.Errorf("storing messages: %w", err)
	}
	for n, e := range g.entries {
		e.it.decide(results[n].Status)
	}
	return nil
}

// decide notes what the store did with a message.
func (it *item) decide(status store.Status) {
	switch status {
	case store.Stored:
		it.fate = stored
	case store.Duplicate:
		it.fate = duplicate
	case store.Gap:
		it.fate = waits
	case store.Forked:
		it.fate = forked
	case store.Frozen:
		it.fate = frozen
	case store.Detached:
		it.fate = rejected
		it.reason = fmt.Sprintf("feed looks forked: previous is not our message %d", it.seq-1)
	}
}

// settle tells everyone whose messages were in the group, and makes room.
func (p *Pipeline) settle(g *group) {
	var free int64
	p.mu.Lock()
	for _, b := range g.batches {
		i := b.intake
		free += b.charge
		if !b.retry() {
			i.settled++
			i.notify()
		}
		p.dropItems(b)
	}
	p.mu.Unlock()
	p.gate.release(free)
}
