package ingest

import (
	"fmt"
	"maps"
	"slices"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/vector"
)

// account counts the fate of every message of the group, with the intake that
// handed it over, and reports what was bad.
func (p *Pipeline) account(g *group) {
	for _, b := range g.batches {
		for n := range b.items {
			it := &b.items[n]
			if it.fate == rejected {
				b.intake.report(it)
			}
			p.tellOwn(it)
			if b.retry() {
				p.retried(b.intake, it)
			}
		}
		if !b.retry() {
			b.intake.count(b.items)
		}
	}
}

// guards reports whether a verified message is of the feed that is guarded.
func (p *Pipeline) guards(it *item) bool {
	return p.cfg.OnOwn != nil && it.msg != nil && it.feed == p.cfg.Own && !p.cfg.Own.IsZero()
}

// tellAhead hands messages of the own feed that lie beyond its head to who
// guards it, before they are stored: a crash in between must not leave a store
// that holds the proof and no longer knows that it lacked it.
func (p *Pipeline) tellAhead(g *group) error {
	for _, e := range g.entries {
		if !p.guards(e.it) {
			continue
		}
		head, err := p.cfg.Store.Head(p.cfg.Own)
		if err != nil {
			return fmt.Errorf("reading the own head: %w", err)
		}
		if e.it.seq > head.Seq {
			e.it.told = true
			p.cfg.OnOwn(e.it.msg)
		}
	}
	return nil
}

// tellOwn hands a message of the own feed that lies behind its head, another
// branch, to who guards it.
func (p *Pipeline) tellOwn(it *item) {
	if p.guards(it) && !it.told && it.fate != duplicate && it.fate != rejected {
		p.cfg.OnOwn(it.msg)
	}
}

// report tells of a message that is bad input.
func (i *Intake) report(it *item) {
	r := i.reject(it)
	i.sumMu.Lock()
	i.sum.Rejects = appendUpTo(i.sum.Rejects, maxRejects, r)
	i.sumMu.Unlock()
	if i.src.OnReject != nil {
		i.src.OnReject(r)
	}
}

func (i *Intake) reject(it *item) Reject {
	return Reject{Source: i.src.Name, Pos: it.pos, Feed: it.feed, Seq: it.seq, Reason: it.reason}
}

// count adds messages that were handed over to the summary.
func (i *Intake) count(items []item) {
	i.sumMu.Lock()
	defer i.sumMu.Unlock()
	i.sum.Messages += int64(len(items))
	for n := range items {
		i.sum.tally(&items[n])
	}
}

// tally counts one message.
func (s *Summary) tally(it *item) {
	switch it.fate {
	case stored:
		s.New++
	case duplicate:
		s.Duplicate++
	case rejected:
		s.Rejected++
	case refused:
		s.Refused++
	case waits:
		s.Waiting++
	case evicted:
		s.Evicted++
	case forked:
		s.Forked++
		s.Forks = appendUpTo(s.Forks, maxForks, Fork{Feed: it.feed, Seq: it.seq, ID: it.msg.ID()})
	case frozen:
		s.Frozen++
	case lost:
		s.Lost++
	}
	s.detail(it)
}

// detail counts one message in the summary of its feed.
func (s *Summary) detail(it *item) {
	if it.fate != stored && it.fate != refused && it.fate != waits && it.fate != evicted {
		return
	}
	if it.fate == stored && it.seq == 1 {
		s.NewFeeds++
	}
	s.feed(it.feed, func(f *FeedSummary) {
		switch it.fate {
		case stored:
			f.New++
			f.First = f.First || it.seq == 1
		case refused:
			f.Refused++
		case waits, evicted:
			if it.fate == waits {
				f.Waiting++
			}
			if f.lowest == 0 || it.seq < f.lowest {
				f.lowest = it.seq
			}
		}
	})
}

// retried counts a message that had waited: with the intake that made it wait,
// as long as that has not flushed, else with the one that let it attach.
func (p *Pipeline) retried(trigger *Intake, it *item) {
	if it.fate == waits || it.fate == lost {
		return
	}
	if owner := p.waiting.owners[it.feed]; owner != nil && owner.unwait(it) {
		return
	}
	trigger.sumMu.Lock()
	defer trigger.sumMu.Unlock()
	trigger.sum.Retried++
	trigger.sum.tally(it)
}

// unwait turns one message that waits into what became of it. It reports false
// when the summary knows of none.
func (i *Intake) unwait(it *item) bool {
	i.sumMu.Lock()
	defer i.sumMu.Unlock()
	d := i.sum.Feeds[it.feed]
	if d.Waiting == 0 {
		return false
	}
	d.Waiting--
	i.sum.Feeds[it.feed] = d
	i.sum.Waiting--
	i.sum.tally(it)
	return true
}

// take returns the summary and begins a new one.
func (i *Intake) take() (Summary, error) {
	i.sumMu.Lock()
	s := i.sum
	i.sum = Summary{}
	i.sumMu.Unlock()
	err := i.p.findGaps(&s)
	return s, err
}

// peek returns what the summary holds so far.
func (i *Intake) peek() Summary {
	i.sumMu.Lock()
	defer i.sumMu.Unlock()
	s := i.sum
	s.Feeds = maps.Clone(s.Feeds)
	s.Forks = slices.Clone(s.Forks)
	s.Rejects = slices.Clone(s.Rejects)
	return s
}

// findGap looks up what is missing before the messages of one feed. What the
// summary says is waiting and the store does not know was there twice.
func (p *Pipeline) findGap(s *Summary, feed refs.Feed, d FeedSummary) error {
	w, err := p.cfg.Store.WaitingOf(feed)
	if err != nil {
		return err
	}
	if twice := d.Waiting - w.Messages; twice > 0 {
		d.Waiting -= twice
		s.Waiting -= twice
		s.Duplicate += twice
		s.Feeds[feed] = d
	}
	head, err := p.cfg.Store.Head(feed)
	if err != nil {
		return err
	}
	first := w.First
	if d.lowest > head.Seq && (first == 0 || d.lowest < first) {
		first = d.lowest // it was evicted
	}
	if first > head.Seq+1 {
		s.Gaps = append(s.Gaps, vector.Span{Feed: feed, First: head.Seq + 1, Last: first - 1})
	}
	return nil
}

// findGaps looks up what is missing before the messages that wait.
func (p *Pipeline) findGaps(s *Summary) error {
	for feed, d := range s.Feeds {
		if d.lowest == 0 {
			continue
		}
		if err := p.findGap(s, feed, d); err != nil {
			return fmt.Errorf("looking for gaps: %w", err)
		}
	}
	slices.SortFunc(s.Gaps, func(a, b vector.Span) int { return a.Feed.Compare(b.Feed) })
	s.Gaps = s.Gaps[:min(len(s.Gaps), maxGaps)]
	return nil
}
