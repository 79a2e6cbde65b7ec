package ingest

import (
	"bytes"
	"fmt"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// glance decides what needs no verification, from the unverified fields of the
// messages: feeds that the policy does not want, and messages whose very bytes
// are stored. The second is exact, whatever the fields say: bytes that are
// stored at any place were verified when they got there.
func (p *Pipeline) glance(b *batch) {
	accept := b.intake.src.Accept
	var head message.Head // of the author of the message before
	for n := range b.items {
		it := &b.items[n]
		if it.fate == tooLong {
			it.fate = rejected
			it.reason = fmt.Sprintf("longer than %d bytes", message.MaxRaw)
			continue
		}
		f, err := message.Fields(b.raw(it))
		if err != nil {
			continue
		}
		it.feed, it.seq = f.Feed, f.Seq
		if accept != nil && !accept(it.feed) {
			it.fate = refused
			continue
		}
		if head.Feed != it.feed {
			head = p.headOf(it.feed)
		}
		if it.seq <= head.Seq && p.holds(it.feed, it.seq, b.raw(it)) {
			it.fate = duplicate
		}
	}
}

// headOf returns the head of a feed, and an empty one when the store fails:
// then the writer will find that out.
func (p *Pipeline) headOf(feed refs.Feed) message.Head {
	head, err := p.cfg.Store.Head(feed)
	if err != nil {
		return message.Head{Feed: feed}
	}
	return head
}

// holds reports whether exactly these bytes are stored as a feed's message.
func (p *Pipeline) holds(feed refs.Feed, seq int64, raw []byte) bool {
	rec, err := p.cfg.Store.Get(feed, seq)
	return err == nil && bytes.Equal(rec.Value, raw)
}
