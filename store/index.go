package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// idEntry is one message of the index by id.
type idEntry struct {
	block uint16
	part  [idPartLen]byte
	rx    uint64
}

func newIDEntry(id shortID, rx uint64) idEntry {
	return idEntry{block: id.block(), part: id.part(), rx: rx}
}

// shortID is what the index by id keeps of an id.
type shortID [1 + idPartLen]byte

// shorten cuts an id. Tests keep fewer bytes of it, so that ids collide.
func shorten(id refs.Message, keep int) (short shortID) {
	copy(short[:keep], id[:])
	return short
}

// block returns the row of the index that the id belongs to: one of 4,096. A
// batch of 32,000 messages then changes each row once instead of making as many
// changes as it has messages, and a row stays within a page up to two million
// messages.
func (id shortID) block() uint16 { return binary.BigEndian.Uint16(id[:]) &^ 15 }

// part returns what an entry in the row holds of the id.
func (id shortID) part() [idPartLen]byte { return [idPartLen]byte(id[1:]) }

// state returns the state of a feed, from the store when it is first met.
func (a *appender) state(feed refs.Feed) (*feedState, error) {
	if st := a.states[feed]; st != nil {
		return st, nil
	}
	st := &feedState{head: message.Head{Feed: feed}, frozen: a.forks.Get(feed[:]) != nil}
	if v := a.feeds.Get(feed[:]); v != nil {
		f, err := parseFeedHead(feed[:], v)
		if err != nil {
			return nil, err
		}
		st.number, st.head.Seq, st.head.ID = f.number, f.seq, f.id
	}
	a.states[feed] = st
	return st, nil
}

// newFeed gives a feed its number.
func (a *appender) newFeed(st *feedState) error {
	key, _ := a.numbers.Cursor().Last()
	if len(key) == 4 {
		st.number = binary.BigEndian.Uint32(key)
	}
	if st.number++; st.number == 0 {
		return errors.New("store is full: no feed number left")
	}
	a.numbers.FillPercent = 1 // keys only ever ascend
	return a.numbers.Put(numberKey(st.number), bytes.Clone(st.head.Feed[:]))
}

// rxAt returns the receive number of a message that the feed has, be it from
// this transaction or from earlier.
func (a *appender) rxAt(st *feedState, seq int64) (uint64, error) {
	first := st.head.Seq - int64(len(st.rx)) + 1
	if seq >= first {
		return st.rx[seq-first], nil
	}
	return lookupSeq(a.sequences, st.number, seq)
}

// lookupSeq finds a message by feed number and sequence.
func lookupSeq(sequences *bolt.Bucket, number uint32, seq int64) (uint64, error) {
	key, slot := chunkKey(number, seq)
	return rxInChunk(sequences.Get(key[:]), slot, number, seq)
}

// rxInChunk reads one place of a row of the sequences.
func rxInChunk(chunk []byte, slot int, number uint32, seq int64) (uint64, error) {
	if len(chunk) < (slot+1)*rxLen {
		return 0, fmt.Errorf("%w: message %d of feed number %d is not in the index", ErrDamaged, seq, number)
	}
	return parseRx(chunk[slot*rxLen:]), nil
}

// flush writes heads and indexes. Sorted keys fill bbolt's pages well and
// visit every page once.
func (a *appender) flush() error {
	changed := make([]*feedState, 0, len(a.states))
	for _, st := range a.states {
		if len(st.rx) > 0 {
			changed = append(changed, st)
		}
	}
	return errors.Join(a.flushHeads(changed), a.flushSequences(changed), a.flushIDs())
}

func (a *appender) flushHeads(changed []*feedState) error {
	slices.SortFunc(changed, func(x, y *feedState) int { return x.head.Feed.Compare(y.head.Feed) })
	a.feeds.FillPercent = indexFill
	for _, st := range changed {
		f := feedHead{number: st.number, seq: st.head.Seq, id: st.head.ID}
		if err := a.feeds.Put(st.head.Feed[:], f.encode()); err != nil {
			return err
		}
	}
	return nil
}

// indexFill is how full bbolt makes the pages that it splits in the indexes.
// Their values grow in place: measured on 100,000 messages, 0.65 gives the
// smallest file, 0.9 one that is 4 % larger.
const indexFill = 0.65

func (a *appender) flushSequences(changed []*feedState) error {
	slices.SortFunc(changed, func(x, y *feedState) int { return cmp.Compare(x.number, y.number) })
	a.sequences.FillPercent = indexFill
	for _, st := range changed {
		seq := st.head.Seq - int64(len(st.rx)) + 1
		for rest := st.rx; len(rest) > 0; {
			n, err := a.extendChunk(st.number, seq, rest)
			if err != nil {
				return err
			}
			rest, seq = rest[n:], seq+int64(n)
		}
	}
	return nil
}

// extendChunk appends as many of the receive numbers to the chunk that seq
// belongs to as it has room for, and returns how many that were.
func (a *appender) extendChunk(number uint32, seq int64, rx []uint64) (int, error) {
	key, slot := chunkKey(number, seq)
	n := min(len(rx), chunkLen-slot)
	old := a.sequences.Get(key[:])
	if len(old) != slot*rxLen {
		return 0, fmt.Errorf("%w: index of feed number %d holds %d bytes where message %d comes next", ErrDamaged, number, len(old), seq)
	}
	chunk := append(make([]byte, 0, (slot+n)*rxLen), old...)
	for _, r := range rx[:n] {
		chunk = appendRx(chunk, r)
	}
	return n, a.sequences.Put(key[:], chunk)
}

func (a *appender) flushIDs() error {
	slices.SortFunc(a.entries, func(x, y idEntry) int {
		if x.block != y.block {
			return cmp.Compare(x.block, y.block)
		}
		return cmp.Compare(x.rx, y.rx)
	})
	a.ids.FillPercent = indexFill
	for rest := a.entries; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].block == rest[0].block {
			n++
		}
		key := idBlockKey(rest[0].block)
		old := a.ids.Get(key)
		block := append(make([]byte, 0, len(old)+n*idEntryLen), old...)
		for _, e := range rest[:n] {
			block = appendRx(append(block, e.part[:]...), e.rx)
		}
		if err := a.ids.Put(key, block); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

func idBlockKey(block uint16) []byte { return binary.BigEndian.AppendUint16(nil, block) }

// lookupID calls found with the receive number of each message that may have
// this id, until it returns true. Several may: the index holds only a part of
// the id, and whoever wants to can make ids that agree in it.
func lookupID(ids *bolt.Bucket, id shortID, found func(rx uint64) bool) {
	block, part := ids.Get(idBlockKey(id.block())), id.part()
	for ; len(block) >= idEntryLen; block = block[idEntryLen:] {
		if [idPartLen]byte(block) == part && found(parseRx(block[idPartLen:])) {
			return
		}
	}
}
