package gossip

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/history"
)

const (
	// liveFeeds is how many feeds are followed live by history at a time. The
	// others are asked for anew every historyRound.
	liveFeeds    = 500
	historyRound = time.Minute
	// historyIdle is how long a peer may leave us waiting within a feed.
	historyIdle = 30 * time.Second
)

// history fetches what the peer has by createHistoryStream until the session
// ends, or EBT begins. It returns an error when the session is to be ended.
func (x *exchange) history(ctx context.Context) error {
	ctx, stop := until(ctx, x.started)
	defer stop()
	x.speaks(History)
	for {
		err := x.historyPass(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, history.ErrForeign), errors.Is(err, errUnasked):
			return err
		case err != nil:
			return fmt.Errorf("fetching by createHistoryStream: %w", err)
		}
	}
}

// historyPass fetches what there is, and then follows what comes for a round.
func (x *exchange) historyPass(ctx context.Context) error {
	feeds := x.rep.claim(x)
	fetch := &history.Fetcher{Peer: x.s.mux, Head: x.head, Take: x.takeHistory, Idle: historyIdle}
	err := fetch.Fetch(ctx, feeds)
	x.rep.unclaim(x, feeds)
	if err != nil {
		return err
	}
	if err := x.settle(ctx); err != nil {
		return err
	}
	round, cancel := context.WithTimeout(ctx, historyRound)
	defer cancel()
	round, stop := until(round, x.renew)
	defer stop()
	fetch.Idle = 0
	err = fetch.Follow(round, x.followed(feeds))
	if err != nil && round.Err() == nil {
		return err
	}
	<-round.Done() // also when the peer follows nothing
	return nil
}

// followed chooses the feeds to follow live: the peer's own, then any.
func (x *exchange) followed(feeds []refs.Feed) []refs.Feed {
	if i := slices.Index(feeds, x.s.remote); i > 0 {
		feeds[0], feeds[i] = feeds[i], feeds[0]
	}
	return feeds[:min(len(feeds), liveFeeds)]
}

func (x *exchange) head(feed refs.Feed) (int64, error) {
	head, err := x.s.g.cfg.Store.Head(feed)
	return head.Seq, err
}

// takeHistory takes a message of a feed that the peer was asked for.
func (x *exchange) takeHistory(ctx context.Context, feed refs.Feed, raw []byte) error {
	if !x.s.g.cfg.Policy.Wants(feed) {
		return x.unasked()
	}
	return x.add(ctx, raw)
}

// until returns a context that also ends when there is something to receive
// from c. The function ends it and gives up what watches c.
func until(ctx context.Context, c <-chan struct{}) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() {
		select {
		case <-c:
			cancel()
		case <-ctx.Done():
		}
	})
	return ctx, func() {
		cancel()
		group.Wait()
	}
}
