package node

import (
	"context"
	"sync"
)

// askCount counts what was asked of us that a folder is to hear of, though no
// message tells of it: that a blob is wanted or offered.
type askCount struct {
	mu      sync.Mutex // guards what follows
	count   uint64
	changed chan struct{} // closed by the next; nil if nobody waits
}

// add counts one more.
func (a *askCount) add() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.count++
	if a.changed != nil {
		close(a.changed)
		a.changed = nil
	}
}

// last is how many there were.
func (a *askCount) last() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.count
}

// wait returns when there are more than after, or with the cause of the end of
// ctx.
func (a *askCount) wait(ctx context.Context, after uint64) error {
	for {
		a.mu.Lock()
		if a.count > after {
			a.mu.Unlock()
			return nil
		}
		if a.changed == nil {
			a.changed = make(chan struct{})
		}
		changed := a.changed
		a.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
