package ingest

import (
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
)

// raw returns the bytes of an item as they were handed over.
func (b *batch) raw(it *item) []byte { return b.buf[it.start:it.end] }

// add copies a message into the batch.
func (b *batch) add(raw []byte, pos int64, f fate) {
	start := len(b.buf)
	b.buf = append(b.buf, raw...)
	b.items = append(b.items, item{start: start, end: len(b.buf), pos: pos, fate: f})
	b.charge += cost(len(raw))
}

// full reports whether the batch has no room for n more bytes.
func (b *batch) full(n, messages int) bool {
	return len(b.items) >= messages || len(b.items) > 0 && len(b.buf)+n > batchBytes
}

// cost is what a message of n bytes takes from the gate.
func cost(n int) int64 { return int64(n) + overhead }

// newBatch returns an empty batch, with the buffers of one that has gone.
func (p *Pipeline) newBatch(i *Intake, number int64) *batch {
	b, _ := p.spare.Get().(*batch)
	if b == nil {
		b = new(batch)
	}
	b.intake, b.number = i, number
	return b
}

// recycle keeps the buffers of a settled batch for the next.
func (p *Pipeline) recycle(b *batch) {
	clear(b.items) // so that they keep no message alive
	*b = batch{buf: b.buf[:0], items: b.items[:0]}
	p.spare.Put(b)
}
