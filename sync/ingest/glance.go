package ingest

import (
	"fmt"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
)

// worker is the scratch memory of one goroutine that verifies.
type worker struct {
	p      *Pipeline
	raws   [][]byte
	probes []store.Record
	held   []bool
}

// prefix is how much of a message glance reads. Author and sequence are among
// the first three members; where they come later, because there is much white
// space or the message is not valid anyway, verification decides alone.
const prefix = 320

// glance decides what needs no verification, from the unverified fields of the
// messages: feeds that the policy does not want, and messages whose very bytes
// are stored. The second is exact, whatever the fields say: bytes that are
// stored at any place were verified when they got there.
func (w *worker) glance(b *batch) {
	w.probes = w.probes[:0]
	for n := range b.items {
		it := &b.items[n]
		if it.fate == tooLong {
			it.fate, it.reason = rejected, fmt.Sprintf("longer than %d bytes", message.MaxRaw)
			continue
		}
		raw := b.raw(it)
		it.feed, it.seq = message.Whose(raw[:min(len(raw), prefix)])
		if !it.feed.IsZero() && !b.intake.accepts(it.feed) {
			it.fate = refused
			continue
		}
		w.probes = append(w.probes, store.Record{Feed: it.feed, Seq: it.seq, Value: raw})
	}
	w.findDuplicates(b)
}

// findDuplicates marks the messages that are stored. When the store fails it
// finds none, and the writer will meet the same failure.
func (w *worker) findDuplicates(b *batch) {
	w.held = append(w.held[:0], make([]bool, len(w.probes))...)
	if err := w.p.cfg.Store.Holds(w.probes, w.held); err != nil {
		return
	}
	held := w.held
	for n := range b.items {
		if it := &b.items[n]; it.fate == pending {
			if held[0] {
				it.fate = duplicate
			}
			held = held[1:]
		}
	}
	clear(w.probes)
}

// accepts asks the policy of the source.
func (i *Intake) accepts(feed refs.Feed) bool {
	return i.src.Accept == nil || i.src.Accept(feed)
}
