package store

import (
	"math"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// mend decides about a message whose place in the store is taken by a record
// that has changed on disk. What a rotten bit made of an id must not be taken
// for a fork; the rest of the feed knows the id that belongs there. If m has
// it, m takes the place of the record. It returns what is there now.
func (a *appender) mend(st *feedState, m *message.Message, rx uint64, damaged header) (header, error) {
	id, known := a.idAt(st, m.Seq())
	switch {
	case !known:
		return header{id: m.ID()}, nil // nobody can tell: neither a fork nor mended
	case id != m.ID():
		return header{id: id}, nil
	}
	h := header{received: a.receivedAt(rx, damaged.received), number: st.number, seq: m.Seq(), id: id}
	rec := a.room(recordHeader + len(m.Value()))
	putRecord(rec, h, m.Value())
	a.changed = true
	return h, a.messages.Put(rxKey(rx), rec)
}

// idAt returns the id of the message of a feed at a sequence that it has, as
// what follows it in the feed says.
func (a *appender) idAt(st *feedState, seq int64) (id refs.Message, known bool) {
	if seq == st.head.Seq {
		return st.head.ID, true
	}
	rx, err := a.rxAt(st, seq+1)
	if err != nil {
		return id, false
	}
	_, value, err := parseRecord(rx, a.messages.Get(rxKey(rx)))
	if err != nil {
		return id, false
	}
	v, err := message.Fields(value)
	return v.Previous, err == nil
}

// receivedAt returns the receive time of a record that has changed on disk:
// what it says if that fits between its neighbours.
func (a *appender) receivedAt(rx uint64, says float64) float64 {
	before, after := math.Inf(-1), a.tick()
	if h, _, err := parseRecord(rx-1, a.messages.Get(rxKey(rx-1))); err == nil {
		before = h.received
	}
	if h, _, err := parseRecord(rx+1, a.messages.Get(rxKey(rx+1))); err == nil {
		after = h.received
	}
	switch {
	case before < says && says < after:
		return says
	case math.IsInf(before, -1):
		return after - 1
	}
	return before + (after-before)/2
}
