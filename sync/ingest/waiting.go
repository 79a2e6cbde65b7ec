package ingest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
)

// Bounds of what goes through the pipeline again, beside what the gate lets
// in.
const (
	retryMessages = 256     // of one feed at a time
	retryBytes    = 4 << 20 // of all feeds at a time
	maxOwners     = 1 << 16 // feeds for which waiting.owners is kept

	retriedPos = -1 // Reject.Pos of what goes through again
)

// waiting is what the writer, to whom it belongs, knows about the messages
// that wait in the store.
type waiting struct {
	any    bool                   // whether there may be some
	tried  map[refs.Feed]*attempt // that are in due or on their way
	due    []*attempt             // that no worker has yet, oldest first
	onWay  int                    // bytes on their way through the workers
	owners map[refs.Feed]*Intake  // who made messages of a feed wait last
}

// attempt is a feed whose waiting messages may attach now.
type attempt struct {
	feed refs.Feed

	// watchers are the intakes that brought what lets the messages attach, or
	// have messages among them: Flush of these waits for the outcome. The first
	// one is the intake on whose account they go through the pipeline.
	watchers []*Intake
}

// resumeWaiting tries what an earlier run left waiting.
func (p *Pipeline) resumeWaiting() error {
	w := &p.waiting
	w.tried, w.owners = make(map[refs.Feed]*attempt), make(map[refs.Feed]*Intake)
	var after refs.Feed
	for {
		feeds, err := p.cfg.Store.WaitingFeeds(after, store.MaxPage)
		if err != nil {
			return fmt.Errorf("reading what waits: %w", err)
		}
		if len(feeds) == 0 {
			return p.dispatch()
		}
		w.any = true
		for _, f := range feeds {
			if err := p.moved(f.Feed, p.self); err != nil {
				return err
			}
		}
		after = feeds[len(feeds)-1].Feed
	}
}

// keepWaiting puts the messages of the group that did not attach into the
// store's waiting area.
func (p *Pipeline) keepWaiting(g *group) error {
	var msgs []*message.Message
	var items []*item
	for _, e := range g.entries {
		if e.it.fate == waits && !e.b.retry() {
			msgs = append(msgs, e.it.msg)
			items = append(items, e.it)
			p.own(e.it.feed, e.b.intake)
			p.watch(p.waiting.tried[e.it.feed], e.b.intake)
		}
	}
	if len(msgs) == 0 {
		return nil
	}
	p.waiting.any = true
	result, err := p.cfg.Store.AddWaiting(msgs, p.cfg.Waiting)
	if isFull(err) {
		for _, it := range items {
			it.fate = evicted
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("storing messages that wait: %w", err)
	}
	if len(result.Evicted) > 0 {
		p.evict(items, result.Evicted)
	}
	return nil
}

// own notes in whose summary the messages of a feed wait.
func (p *Pipeline) own(feed refs.Feed, i *Intake) {
	if _, ok := p.waiting.owners[feed]; ok || len(p.waiting.owners) < maxOwners {
		p.waiting.owners[feed] = i
	}
}

// evict marks the items for which there was no room. What else was evicted had
// been waiting already.
func (p *Pipeline) evict(items []*item, gone []store.WaitingFeed) {
	left := make(map[refs.Feed]store.WaitingFeed, len(gone))
	for _, f := range gone {
		left[f.Feed] = f
	}
	for _, it := range slices.Backward(items) { // the highest sequences went first
		if f := left[it.feed]; f.Messages > 0 && it.seq >= f.First {
			it.fate = evicted
			f.Messages--
			left[it.feed] = f
		}
	}
	for feed, f := range left {
		for owner := p.waiting.owners[feed]; owner != nil && f.Messages > 0; f.Messages-- {
			if !owner.unwait(&item{feed: feed, seq: f.First, fate: evicted}) {
				break
			}
		}
	}
}

// retry sees to the feeds whose head the group moved or that turned out to be
// forked, and to what went through the workers again.
func (p *Pipeline) retry(g *group) error {
	w := &p.waiting
	if !w.any {
		return nil
	}
	if err := p.removeRetried(g); err != nil {
		return err
	}
	seen := make(map[refs.Feed]bool)
	for _, e := range g.entries {
		if e.it.fate != stored && e.it.fate != forked || seen[e.it.feed] {
			continue
		}
		seen[e.it.feed] = true
		if err := p.moved(e.it.feed, e.b.intake); err != nil {
			return err
		}
	}
	return p.dispatch()
}

// removeRetried removes what went through the workers again and now has its
// place, or none, and looks whether more follows.
func (p *Pipeline) removeRetried(g *group) error {
	var done []store.Record
	for _, b := range g.batches {
		for n, rec := range b.retried {
			if f := b.items[n].fate; f != waits && f != lost {
				done = append(done, rec)
			}
		}
	}
	stuck := false // they stay, and are tried again after the next start
	if len(done) > 0 {
		err := p.cfg.Store.RemoveWaiting(done)
		if stuck = isFull(err); err != nil && !stuck {
			return fmt.Errorf("removing messages that waited: %w", err)
		}
	}
	for _, b := range g.batches {
		if !b.retry() {
			continue
		}
		p.waiting.onWay -= b.weight
		delete(p.waiting.tried, b.attempt.feed)
		if !stuck && !b.lost() {
			if err := p.moved(b.attempt.feed, b.attempt.watchers...); err != nil {
				return err
			}
		}
		p.over(b.attempt)
	}
	return nil
}

// moved queues an attempt for a feed if a message that waits attaches to its
// head, or lies behind it, or waits in vain.
func (p *Pipeline) moved(feed refs.Feed, watchers ...*Intake) error {
	w := &p.waiting
	a := w.tried[feed]
	if a == nil {
		run, err := p.attachable(feed, 1)
		if err != nil || len(run) == 0 {
			return err
		}
		a = &attempt{feed: feed}
		w.tried[feed] = a
		w.due = append(w.due, a)
	}
	for _, i := range watchers {
		p.watch(a, i)
	}
	return nil
}

// watch makes Flush of an intake wait for an attempt, if there is one.
func (p *Pipeline) watch(a *attempt, i *Intake) {
	if a == nil || slices.Contains(a.watchers, i) {
		return
	}
	a.watchers = append(a.watchers, i)
	p.mu.Lock()
	i.retries++
	p.mu.Unlock()
}

// attachable returns at most limit messages of a feed that wait though they
// need not: those behind the head, which may be duplicates or prove a fork,
// and the run that follows it; of a forked feed, of which nothing is accepted
// any more, all.
func (p *Pipeline) attachable(feed refs.Feed, limit int) ([]store.Record, error) {
	recs, err := p.cfg.Store.WaitingFor(feed, 0, limit)
	if errors.Is(err, store.ErrDamaged) {
		return nil, nil // it can be fetched again; the rest of the store is none the worse
	}
	if err != nil {
		return nil, fmt.Errorf("reading messages that wait: %w", err)
	}
	if len(recs) == 0 {
		delete(p.waiting.owners, feed)
		return nil, nil
	}
	if frozen, err := p.cfg.Store.Frozen(feed); err != nil || frozen {
		return recs, err
	}
	head, err := p.cfg.Store.Head(feed)
	if err != nil {
		return nil, fmt.Errorf("reading the head of feed %s: %w", feed, err)
	}
	next := head.Seq + 1
	for n, rec := range recs {
		if rec.Seq > next {
			return recs[:n], nil
		}
		next = max(next, rec.Seq+1)
	}
	return recs, nil
}

// dispatch sends due feeds through the workers again, as many as the bounds
// allow. One that has nothing left to try is done.
func (p *Pipeline) dispatch() error {
	w := &p.waiting
	for len(w.due) > 0 && w.onWay < retryBytes {
		a := w.due[0]
		w.due = w.due[1:]
		run, err := p.attachable(a.feed, retryMessages)
		if err != nil {
			return err
		}
		if len(run) == 0 || !p.again(a, run) {
			delete(w.tried, a.feed)
			p.over(a)
		}
	}
	return nil
}

// again hands the messages of one feed to the workers. It reports false when
// the pipeline is closed: they will wait for the next Run.
func (p *Pipeline) again(a *attempt, run []store.Record) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	b := p.newBatch(a.watchers[0], -1)
	for n := range run {
		b.add(run[n].Value, retriedPos, pending)
		run[n].Value = nil
	}
	b.attempt, b.retried = a, run
	b.charge = 0 // the gate knows nothing of it
	b.weight = len(b.buf)
	p.waiting.onWay += b.weight
	b.intake.prepend(b)
	return true
}

// over tells those in Flush that an attempt is over.
func (p *Pipeline) over(a *attempt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, i := range a.watchers {
		i.retries--
		i.notify()
	}
}
