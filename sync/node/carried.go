package node

import (
	"context"
	"sync"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
)

const (
	// carriedTable holds the feeds that an explicit import brought and that
	// nothing else makes wanted: sticks keep them up to date. Its keys are
	// feeds, its values are empty.
	carriedTable = "node.carried"

	// carryCursor is 1 + the newest message before the explicit imports that
	// are under way, 0 when none is: what one that was killed has brought is
	// carried by the next start.
	carryCursor = "node.carrying"
)

// arrivals counts the explicit imports that are under way.
type arrivals struct {
	mu    sync.Mutex
	count int
}

// expect is called before an explicit import.
func (n *Node) expect() error {
	n.arrivals.mu.Lock()
	defer n.arrivals.mu.Unlock()
	n.arrivals.count++
	if n.arrivals.count > 1 {
		return nil
	}
	at, err := n.store.Cursor(carryCursor)
	if err != nil || at != 0 {
		return err
	}
	return n.store.SetCursor(carryCursor, n.store.Last()+1)
}

// arrived is called after an explicit import with the feeds that it brought.
func (n *Node) arrived(ctx context.Context, feeds []refs.Feed) error {
	if err := n.carry(ctx, feeds); err != nil {
		return err
	}
	n.arrivals.mu.Lock()
	defer n.arrivals.mu.Unlock()
	if n.arrivals.count--; n.arrivals.count > 0 {
		return nil
	}
	return n.store.SetCursor(carryCursor, 0)
}

// carry notes the feeds that nothing else makes wanted.
func (n *Node) carry(ctx context.Context, feeds []refs.Feed) error {
	if err := n.policy.refresh(ctx); err != nil {
		return err
	}
	feeds = n.policy.unwanted(feeds)
	if len(feeds) == 0 {
		return nil
	}
	err := n.store.Table(carriedTable).Update(func(tx *store.TableTx) error {
		for _, feed := range feeds {
			if err := tx.Put(feed[:], nil); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return n.policy.refresh(ctx)
}

// resumeCarrying carries what explicit imports brought that never came to
// their end.
func (n *Node) resumeCarrying(ctx context.Context) error {
	at, err := n.store.Cursor(carryCursor)
	if err != nil || at == 0 {
		return err
	}
	var feeds []refs.Feed
	for after := at - 1; ; {
		page, err := n.store.LogPage(after, 0, 0, false)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		for _, rec := range page {
			if after = rec.Rx; rec.Seq == 1 {
				feeds = append(feeds, rec.Feed)
			}
		}
	}
	if err := n.carry(ctx, feeds); err != nil {
		return err
	}
	return n.store.SetCursor(carryCursor, 0)
}
