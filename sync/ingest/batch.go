package ingest

import (
	"slices"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
)

// batch is a run of one intake's messages on their way through the pipeline.
// It belongs to the intake (under Pipeline.mu) while it fills, then to the
// worker that took it, then to the writer.
type batch struct {
	intake *Intake
	number int64 // its place among the batches of the intake; -1: a retry
	buf    []byte
	items  []item
	charge int64 // bytes it holds of the gate

	// Of a batch of messages that waited in the store.
	attempt *attempt
	retried []store.Record // of items[n], without the value
	weight  int            // bytes it holds of retryBytes
}

// retry reports whether the messages of the batch come from the waiting area.
func (b *batch) retry() bool { return b.number < 0 }

// item is one message of a batch.
type item struct {
	start, end int // the raw value, in batch.buf
	pos        int64
	fate       fate
	feed       refs.Feed
	seq        int64
	msg        *message.Message // when fate is verified, until it is settled
	reason     string           // when fate is rejected
	told       bool             // Config.OnOwn knows of it
}

// fate is what has become of a message.
type fate uint8

const (
	pending   fate = iota
	tooLong        // for a message: not even looked at
	verified       // valid and wanted; the store decides
	rejected       // bad input
	refused        // by policy
	duplicate      // held already
	stored
	waits
	evicted
	forked
	frozen
	lost // not stored, for there was no room
)

// raw returns the bytes of an item as they were handed over.
func (b *batch) raw(it *item) []byte { return b.buf[it.start:it.end] }

// add copies a message into the batch.
func (b *batch) add(raw []byte, pos int64, f fate) {
	start := len(b.buf)
	if n := start + len(raw); n > cap(b.buf) && start >= growing && n <= batchBytes {
		b.buf = slices.Grow(b.buf, batchBytes-start)
	}
	b.buf = append(b.buf, raw...)
	b.items = append(b.items, item{start: start, end: len(b.buf), pos: pos, fate: f})
	b.charge += cost(len(raw))
}

// growing is how many bytes of a batch show that it will become a full one:
// append would copy it ten times until then.
const growing = batchBytes / 8

// full reports whether the batch has no room for n more bytes.
func (b *batch) full(n, messages int) bool {
	return len(b.items) >= messages || len(b.items) > 0 && len(b.buf)+n > batchBytes
}

// cost is what a message of n bytes takes from the gate.
func cost(n int) int64 { return int64(n) + overhead }

// spares are buffers of batches that have gone, for the next ones. They are
// few: what is here is not counted by the gate.
type spares struct {
	bufs  [][]byte
	items [][]item
}

const maxSpares = 4 // of each kind

// newBatch returns an empty batch. The caller holds p.mu.
func (p *Pipeline) newBatch(i *Intake, number int64) *batch {
	b := &batch{intake: i, number: number}
	b.buf, p.spares.bufs = pop(p.spares.bufs)
	b.items, p.spares.items = pop(p.spares.items)
	return b
}

// dropRaw gives up the raw bytes of a batch. The caller holds p.mu.
func (p *Pipeline) dropRaw(b *batch) {
	p.spares.bufs = push(p.spares.bufs, b.buf[:0])
	b.buf = nil
}

// dropItems gives up the items of a batch, which thereby keeps no message
// alive. The caller holds p.mu.
func (p *Pipeline) dropItems(b *batch) {
	clear(b.items)
	p.spares.items = push(p.spares.items, b.items[:0])
	b.items = nil
}

func pop[T any](stack []T) (top T, rest []T) {
	if len(stack) == 0 {
		return top, stack
	}
	return stack[len(stack)-1], stack[:len(stack)-1]
}

func push[T any](stack []T, top T) []T {
	if len(stack) >= maxSpares {
		return stack
	}
	return append(stack, top)
}
