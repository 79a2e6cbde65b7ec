package history

import (
	"context"
	"sync"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
)

// growthPage is how many messages are looked at under one read transaction.
const growthPage = 16384

// growth wakes live streams when their feed grows. One goroutine follows the
// store for all of them, and only while there are any: thousands of streams of
// a peer cost a commit nothing but those whose feed is in it.
type growth struct {
	store *store.Store

	mu       sync.Mutex
	watchers map[refs.Feed][]*watcher
	count    int
	stop     context.CancelFunc // ends the goroutine; nil when there is none
	done     chan struct{}      // closed when it has returned
	err      error              // why the store cannot be followed
}

// watcher is one live stream.
type watcher struct {
	feed refs.Feed
	more chan struct{} // capacity 1: the feed grew, or growth.err
}

// watch returns a watcher of a feed: whatever is committed from now on wakes
// it.
func (g *growth) watch(feed refs.Feed) *watcher {
	w := &watcher{feed, make(chan struct{}, 1)}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.watchers == nil {
		g.watchers = make(map[refs.Feed][]*watcher)
	}
	g.watchers[feed] = append(g.watchers[feed], w)
	if g.count++; g.count == 1 {
		ctx, cancel := context.WithCancel(context.Background())
		g.stop, g.done, g.err = cancel, make(chan struct{}), nil
		go g.follow(ctx, g.store.Last(), g.done)
	}
	if g.err != nil {
		w.wake()
	}
	return w
}

// unwatch forgets a watcher. With the last one it waits for the end of the
// goroutine.
func (g *growth) unwatch(w *watcher) {
	g.mu.Lock()
	list := g.watchers[w.feed]
	for i := range list {
		if list[i] == w {
			list[i] = list[len(list)-1]
			list = list[:len(list)-1]
			break
		}
	}
	if g.watchers[w.feed] = list; len(list) == 0 {
		delete(g.watchers, w.feed)
	}
	g.count--
	done := g.done
	last := g.count == 0
	if last {
		g.stop()
	}
	g.mu.Unlock()
	if last {
		<-done
	}
}

// wait returns when the feed may have grown, or with the reason why there is no
// point in waiting.
func (g *growth) wait(ctx context.Context, w *watcher) error {
	select {
	case <-w.more:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// follow wakes watchers until ctx ends.
func (g *growth) follow(ctx context.Context, after uint64, done chan struct{}) {
	defer close(done)
	for {
		err := g.store.Wait(ctx, after)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			after, err = g.pass(after)
		}
		if err != nil {
			g.fail(ctx, err)
			return
		}
	}
}

// pass wakes the watchers of the feeds that grew after a receive number.
func (g *growth) pass(after uint64) (uint64, error) {
	grown, last, err := g.store.Growth(after, growthPage)
	if err != nil {
		return after, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, e := range grown {
		for _, w := range g.watchers[e.Feed] {
			w.wake()
		}
	}
	return last, nil
}

// fail tells all watchers of this goroutine's time.
func (g *growth) fail(ctx context.Context, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if ctx.Err() != nil { // another goroutine follows already
		return
	}
	g.err = err
	for _, list := range g.watchers {
		for _, w := range list {
			w.wake()
		}
	}
}

func (w *watcher) wake() {
	select {
	case w.more <- struct{}{}:
	default:
	}
}
