package history

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// ErrForeign says that a peer that was asked for one feed sent something of
// another, or that is no message at all.
var ErrForeign = errors.New("peer sent what it was not asked for")

// Caller is a peer that can be asked; a *muxrpc.Session is one.
type Caller interface {
	Source(ctx context.Context, method string, args ...any) (*muxrpc.Stream, error)
}

// Fetcher asks a peer for feeds.
type Fetcher struct {
	Peer Caller

	// Head returns how far we hold a feed: it is asked for what follows.
	Head func(refs.Feed) (int64, error)

	// Take gets each message of the feed, unverified, in the order in which the
	// peer sends them, from one goroutine for each feed. It may block, and keep
	// the message. Its error ends everything.
	Take func(ctx context.Context, feed refs.Feed, raw []byte) error

	// Parallel is how many feeds are asked for at a time by Fetch; 0 means 16.
	Parallel int

	// Idle is after how long without a message or an end a feed is given up;
	// 0 means never.
	Idle time.Duration
}

// request is the argument of our calls.
type request struct {
	ID   refs.Feed `json:"id"`
	Seq  int64     `json:"seq"`
	Live bool      `json:"live,omitempty"`
	Keys bool      `json:"keys"`
}

// Fetch asks for what the peer has of the feeds beyond what we hold, and
// returns when all was handed over, with the first error. A feed that the peer
// answers with an error is given up without one.
func (f *Fetcher) Fetch(ctx context.Context, feeds []refs.Feed) error {
	workers := f.Parallel
	if workers <= 0 {
		workers = 16
	}
	return f.each(ctx, feeds, min(workers, len(feeds)), false)
}

// Follow asks for what the peer has of the feeds beyond what we hold, and for
// what comes, all feeds at the same time, until ctx ends, the connection does,
// or the peer has ended each of the streams.
func (f *Fetcher) Follow(ctx context.Context, feeds []refs.Feed) error {
	return f.each(ctx, feeds, len(feeds), true)
}

// each asks for the feeds, so many at a time.
func (f *Fetcher) each(ctx context.Context, feeds []refs.Feed, workers int, live bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan refs.Feed)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for feed := range queue {
				if err := f.one(ctx, feed, live); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, feed := range feeds {
		select {
		case queue <- feed:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(queue)
	group.Wait()
	return context.Cause(ctx)
}

// one asks for one feed.
func (f *Fetcher) one(ctx context.Context, feed refs.Feed, live bool) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	have, err := f.Head(feed)
	if err != nil {
		return err
	}
	st, err := f.Peer.Source(ctx, "createHistoryStream", request{ID: feed, Seq: have + 1, Live: live})
	if err != nil {
		return fmt.Errorf("asking for feed %s: %w", feed, err)
	}
	defer st.Close(nil)
	for {
		raw, err := f.next(ctx, st)
		if raw == nil || err != nil {
			return err
		}
		if author(raw) != feed {
			return fmt.Errorf("feed %s: %w", feed, ErrForeign)
		}
		if err := f.Take(ctx, feed, raw); err != nil {
			return err
		}
	}
}

// next returns the next message of a stream, nil at its end.
func (f *Fetcher) next(ctx context.Context, st *muxrpc.Stream) ([]byte, error) {
	if f.Idle > 0 {
		defer time.AfterFunc(f.Idle, func() { st.Close(nil) }).Stop()
	}
	item, err := st.Recv(ctx)
	var refusal *muxrpc.RemoteError
	switch {
	case err == nil:
		return Value(item.Body), nil
	case err == io.EOF, errors.As(err, &refusal), errors.Is(err, muxrpc.ErrStreamClosed):
		return nil, nil
	}
	return nil, fmt.Errorf("receiving by createHistoryStream: %w", err)
}

// Value returns the message of an item in either shape: with its key, or bare.
// What is neither comes back as it is.
func Value(item []byte) []byte {
	trimmed := bytes.TrimLeft(item, " \t\r\n{")
	if !bytes.HasPrefix(trimmed, []byte(`"key"`)) {
		return item
	}
	var kvt struct{ Value json.RawMessage }
	if json.Unmarshal(item, &kvt) != nil || len(kvt.Value) == 0 {
		return item
	}
	return kvt.Value
}

// author returns whose message it claims to be.
func author(raw []byte) refs.Feed {
	feed, _ := message.Whose(raw)
	return feed
}
