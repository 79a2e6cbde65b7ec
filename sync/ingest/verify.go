package ingest

import (
	"errors"
	"time"

	"github.com/ssbsync/ssbsync/spec/message"
)

// verify is one worker: it takes batches until the pipeline is closed and
// nothing is left.
func (p *Pipeline) verify() {
	w := &worker{p: p}
	for b := p.nextBatch(); b != nil; b = p.nextBatch() {
		w.check(b)
		p.deliver(b)
	}
}

// nextBatch waits for a batch. The intakes that have one take turns, so that a
// long import does not keep a peer waiting.
func (p *Pipeline) nextBatch() *batch {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.ready) == 0 || p.err != nil {
		if p.closed && (p.active == 0 || p.err != nil) {
			return nil
		}
		p.work.Wait()
	}
	i := p.ready[0]
	p.ready = p.ready[1:]
	b := i.queue[0]
	i.queue = i.queue[1:]
	if len(i.queue) > 0 {
		p.ready = append(p.ready, i)
	} else {
		i.open = false
	}
	return b
}

// deliver passes a verified batch to the writer, unless one that was handed
// over before it is still missing.
func (p *Pipeline) deliver(b *batch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := b.intake
	p.dropRaw(b)
	if b.retry() {
		p.pass(b)
	} else {
		i.early[b.number] = b
	}
	for b := i.early[i.next]; b != nil; b = i.early[i.next] {
		delete(i.early, i.next)
		i.next++
		p.pass(b)
	}
	if p.closed && p.active == 0 {
		p.work.Broadcast() // no worker has anything to wait for
	}
	p.signal()
}

// pass appends a batch to what the writer finds. The caller holds p.mu.
func (p *Pipeline) pass(b *batch) {
	p.delivered = append(p.delivered, b)
	p.lastWork = time.Now()
	p.active--
	b.intake.active--
}

// check decides the fate of every message of a batch as far as that is
// possible without the writer.
func (w *worker) check(b *batch) {
	w.glance(b)
	w.raws = w.raws[:0]
	for n := range b.items {
		if it := &b.items[n]; it.fate == pending {
			w.raws = append(w.raws, b.raw(it))
		}
	}
	results := message.VerifyBatch(w.raws, w.p.cfg.Net, w.p.cfg.Verifier)
	for n := range b.items {
		if it := &b.items[n]; it.fate == pending {
			b.intake.judge(it, results[0])
			results = results[1:]
		}
	}
	clear(w.raws)
	w.p.lighten(b)
}

// judge notes what verification found. The policy is asked again, because the
// glance may have read another author than the one who signed.
func (i *Intake) judge(it *item, r message.Result) {
	if r.Err != nil {
		it.fate, it.reason = rejected, r.Err.Error()
		if bad, ok := errors.AsType[*message.InvalidError](r.Err); ok {
			it.feed, it.seq, it.reason = bad.Feed, bad.Seq, bad.Reason
		}
		return
	}
	asked := it.feed == r.Message.Feed()
	it.feed, it.seq, it.msg, it.fate = r.Message.Feed(), r.Message.Seq(), r.Message, verified
	if !asked && !i.accepts(it.feed) {
		it.msg, it.fate = nil, refused
	}
}

// lighten gives back to the gate what a batch no longer needs: from now on it
// holds only the messages that go to the store.
func (p *Pipeline) lighten(b *batch) {
	var keep int64
	for n := range b.items {
		if it := &b.items[n]; it.fate == verified {
			keep += cost(len(it.msg.Value()))
		}
	}
	if !b.retry() && keep < b.charge {
		p.gate.release(b.charge - keep)
		b.charge = keep
	}
}
