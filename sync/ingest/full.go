package ingest

import (
	"errors"
	"fmt"

	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/store/durable"
)

// isFull reports whether nothing was stored because there is no room: the store
// is none the worse.
func isFull(err error) bool {
	return (errors.Is(err, ErrNoRoom) || durable.IsFull(err)) && !errors.Is(err, store.ErrBroken)
}

// lose ends the intakes that brought messages for which there was no room.
// What goes through again waits in the store as before.
func (p *Pipeline) lose(g *group, err error) {
	if !errors.Is(err, ErrNoRoom) {
		err = fmt.Errorf("%w: %w", ErrNoRoom, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range g.entries {
		e.it.fate = lost
		if !e.b.retry() && e.b.intake.err == nil {
			e.b.intake.err = err
		}
	}
}

// lost reports whether there was no room for a message of the batch.
func (b *batch) lost() bool {
	for n := range b.items {
		if b.items[n].fate == lost {
			return true
		}
	}
	return false
}
