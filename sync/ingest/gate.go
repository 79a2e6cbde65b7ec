package ingest

import (
	"container/list"
	"context"
	"sync"
)

// gate bounds the bytes that are on their way: who wants to add more waits, in
// the order of asking, until others have left.
type gate struct {
	shut <-chan struct{} // closed when the pipeline stops taking

	mu      sync.Mutex
	free    int64
	waiters list.List // of *waiter
}

type waiter struct {
	n     int64
	ready chan struct{} // closed once n bytes are the waiter's
}

// acquire takes n bytes, which must not be more than the gate ever has. It
// reports false when the pipeline stopped first.
func (g *gate) acquire(ctx context.Context, n int64) (bool, error) {
	g.mu.Lock()
	if g.free >= n && g.waiters.Len() == 0 {
		g.free -= n
		g.mu.Unlock()
		return true, nil
	}
	w := &waiter{n: n, ready: make(chan struct{})}
	place := g.waiters.PushBack(w)
	g.mu.Unlock()

	select {
	case <-w.ready:
		return true, nil
	case <-g.shut:
		g.leave(place)
		return false, nil
	case <-ctx.Done():
		g.leave(place)
		return false, context.Cause(ctx)
	}
}

// leave gives up a place in the queue and whatever was granted meanwhile.
func (g *gate) leave(place *list.Element) {
	w := place.Value.(*waiter)
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-w.ready:
		g.free += w.n
	default:
		g.waiters.Remove(place)
	}
	g.grant()
}

// release gives n bytes back.
func (g *gate) release(n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.free += n
	g.grant()
}

// grant lets in those at the front for whom there is room. The caller holds
// g.mu.
func (g *gate) grant() {
	for front := g.waiters.Front(); front != nil; front = g.waiters.Front() {
		w := front.Value.(*waiter)
		if g.free < w.n {
			return
		}
		g.free -= w.n
		g.waiters.Remove(front)
		close(w.ready)
	}
}
