package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// Status says what Append did with a message.
type Status uint8

const (
	// Stored: the message is new and now the head of its feed.
	Stored Status = iota + 1
	// Duplicate: the store held this message already.
	Duplicate
	// Gap: messages between the head and this one are missing.
	Gap
	// Forked: the store holds another message of this feed and sequence. This
	// one is kept as evidence, and the feed is frozen.
	Forked
	// Frozen: the feed was forked before; nothing more is accepted for it.
	Frozen
	// Detached: the message is next in sequence, but the previous message it
	// names is not our head: the feed looks forked. Nothing is kept of it.
	Detached
)

// String returns the name in lower case.
func (s Status) String() string {
	names := [...]string{"invalid", "stored", "duplicate", "gap", "forked", "frozen", "detached"}
	if int(s) >= len(names) {
		s = 0
	}
	return names[s]
}

// Result is what became of one message.
type Result struct {
	Status Status
	Rx     uint64 // receive number of the message; set when Stored or Duplicate
	Have   int64  // the feed's head sequence after this message
}

// Append adds messages in the given order, which becomes the receive order:
// the messages of one feed must come in ascending order, different feeds may
// mix. All of it is one transaction, durable when Append returns; then
// whoever waits for changes wakes up.
//
// An error means that nothing was stored, unless it is ErrBroken. A message
// that cannot be stored is no error but has a Status that says why. A nil or
// zero Message is an error: there is a bug in the caller.
//
// A call with 8,000 to 32,000 messages costs a tenth of one for each.
func (s *Store) Append(msgs []*message.Message) ([]Result, error) {
	for i, m := range msgs {
		if !m.Valid() {
			return nil, fmt.Errorf("appending: message %d of %d was never verified", i+1, len(msgs))
		}
	}
	if len(msgs) == 0 {
		return nil, nil
	}
	results := make([]Result, len(msgs))
	var a *appender
	err := s.update(func(tx *bolt.Tx) (bool, error) {
		a = s.newAppender(tx)
		if err := a.addAll(msgs, results); err != nil {
			return false, err
		}
		return a.changed, a.flush()
	})
	if err != nil {
		return nil, fmt.Errorf("appending %d messages: %w", len(msgs), err)
	}
	a.reuse()
	s.announce(a.last)
	return results, nil
}

// appender is one Append inside its transaction. It collects the changes of
// heads and indexes and writes them, sorted, at the end.
type appender struct {
	messages, feeds, numbers, sequences, ids, forks *bolt.Bucket

	key      [8]byte // memory for a key
	last     uint64  // newest receive number
	received float64 // receive time of the message last stored
	now      float64 // milliseconds since 1970

	states  map[refs.Feed]*feedState
	entries []idEntry
	idLen   int // bytes of an id that the index keeps
	changed bool

	slabs *sync.Pool // of *[slabLen]byte
	taken []*[slabLen]byte
	slab  []byte // room for records: what is left of the last one taken
}

// slabLen is how many bytes of records share a piece of memory.
const slabLen = 1 << 20

// feedState is a feed that Append met.
type feedState struct {
	head   message.Head
	number uint32 // 0 while the feed has no message
	frozen bool

	rx []uint64 // receive numbers of what this Append stored, newest is the head
}

func (s *Store) newAppender(tx *bolt.Tx) *appender {
	a := &appender{
		messages:  tx.Bucket(bucketMessages),
		feeds:     tx.Bucket(bucketFeeds),
		numbers:   tx.Bucket(bucketNumbers),
		sequences: tx.Bucket(bucketSequences),
		ids:       tx.Bucket(bucketIDs),
		forks:     tx.Bucket(bucketForks),
		now:       milliseconds(s.now()),
		idLen:     s.idLen,
		slabs:     &s.slabs,
		states:    make(map[refs.Feed]*feedState),
	}
	a.messages.FillPercent = 1 // keys only ever ascend
	return a
}

// addAll considers the messages one by one.
func (a *appender) addAll(msgs []*message.Message, results []Result) (err error) {
	key, rec := a.messages.Cursor().Last()
	if key != nil {
		a.last = parseRxKey(key)
		h, _, err := parseHeader(a.last, rec)
		if err != nil {
			return err
		}
		a.received = h.received
	}
	a.entries = make([]idEntry, 0, len(msgs))
	for i, m := range msgs {
		if results[i], err = a.add(m); err != nil {
			return fmt.Errorf("feed %s, message %d: %w", m.Feed(), m.Seq(), err)
		}
	}
	return nil
}

// add decides about one message.
func (a *appender) add(m *message.Message) (Result, error) {
	st, err := a.state(m.Feed())
	if err != nil {
		return Result{}, err
	}
	next, err := st.head.Next(m)
	r := Result{Have: st.head.Seq}
	switch {
	case m.Seq() <= st.head.Seq:
		return a.behind(st, m)
	case st.frozen:
		r.Status = Frozen
	case err == nil:
		return a.store(st, next, m)
	case m.Seq() == st.head.Seq+1:
		r.Status = Detached
	default:
		r.Status = Gap
	}
	return r, nil
}

// behind decides about a message of a sequence that the store holds.
func (a *appender) behind(st *feedState, m *message.Message) (Result, error) {
	r := Result{Have: st.head.Seq}
	rx, err := a.rxAt(st, m.Seq())
	if err != nil {
		return r, err
	}
	h, _, err := parseRecord(rx, a.messages.Get(rxKey(rx)))
	switch {
	case errors.Is(err, ErrDamaged):
		h, err = a.mend(st, m, rx, h)
	case err == nil && (h.number != st.number || h.seq != m.Seq()):
		// The index is damaged. Another message's id is no fork either.
		var known bool
		if h.id, known = a.idAt(st, m.Seq()); !known {
			h.id = m.ID()
		}
	}
	switch {
	case err != nil:
		return r, err
	case h.id == m.ID():
		r.Status, r.Rx = Duplicate, rx
	case st.frozen:
		r.Status = Frozen
	default:
		r.Status, st.frozen, a.changed = Forked, true, true
		err = putFork(a.forks, m, h.id, a.tick())
	}
	return r, err
}

// store puts the message into the receive log and remembers what flush must
// write about it.
func (a *appender) store(st *feedState, next message.Head, m *message.Message) (Result, error) {
	if m.Seq() > maxSeq || a.last >= maxRx {
		return Result{}, errors.New("store is full: no number left")
	}
	if st.number == 0 {
		if err := a.newFeed(st); err != nil {
			return Result{}, err
		}
	}
	a.last++
	a.received = a.tick()
	rec := a.room(recordHeader + len(m.Value()))
	putRecord(rec, header{received: a.received, number: st.number, seq: m.Seq(), id: m.ID()}, m.Value())
	binary.BigEndian.PutUint64(a.key[:], a.last) // which Put copies
	if err := a.messages.Put(a.key[:], rec); err != nil {
		return Result{}, err
	}
	st.head = next
	st.rx = append(st.rx, a.last)
	a.entries = append(a.entries, newIDEntry(shorten(m.ID(), a.idLen), a.last))
	a.changed = true
	return Result{Status: Stored, Rx: a.last, Have: next.Seq}, nil
}

// tick returns the receive time of what is stored next: now, or a microsecond
// after the last one if the clock did not advance that far.
func (a *appender) tick() float64 {
	next := a.received + 0.001
	if next <= a.received { // a time so large that a microsecond is lost in it
		next = math.Nextafter(a.received, math.Inf(1))
	}
	return max(a.now, next)
}

// room returns n bytes that stay untouched until the transaction ends.
func (a *appender) room(n int) []byte {
	if n > slabLen {
		return make([]byte, n)
	}
	if n > len(a.slab) {
		slab, ok := a.slabs.Get().(*[slabLen]byte)
		if !ok {
			slab = new([slabLen]byte)
		}
		a.taken = append(a.taken, slab)
		a.slab = slab[:]
	}
	b := a.slab[:n:n]
	a.slab = a.slab[n:]
	return b
}

// reuse gives the memory of the records back, when the transaction has ended.
func (a *appender) reuse() {
	for _, slab := range a.taken {
		a.slabs.Put(slab)
	}
}

// milliseconds returns t as SSB counts time.
func milliseconds(t time.Time) float64 { return float64(t.UnixMicro()) / 1000 }
