package node

import (
	"context"
	"encoding/json"
	"fmt"
	"math"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
)

// sender sends records to the reader of a stream until its limit is reached.
type sender struct {
	stream *muxrpc.Stream
	query  *query
	left   int64 // how many more; -1 = no limit
}

func newSender(st *muxrpc.Stream, q *query) *sender {
	return &sender{stream: st, query: q, left: q.Limit}
}

// done reports whether the limit is reached.
func (s *sender) done() bool { return s.left == 0 }

// send sends one record in the shape the query asks for.
func (s *sender) send(ctx context.Context, rec store.Record) error {
	return s.raw(ctx, s.query.shape(rec))
}

func (s *sender) raw(ctx context.Context, item []byte) error {
	if s.left > 0 {
		s.left--
	}
	return s.stream.Send(ctx, json.RawMessage(item))
}

// page is how many records the sender can still use of one page.
func (s *sender) page() int {
	if s.left < 0 || s.left > store.MaxPage {
		return store.MaxPage
	}
	return int(s.left)
}

// synced tells the reader of a live stream that the old part is over.
func (s *sender) synced(ctx context.Context) error {
	if !s.query.Live || !s.query.Sync {
		return nil
	}
	return s.stream.Send(ctx, json.RawMessage(`{"sync":true}`))
}

// createLogStream sends all messages in receive order; gt, gte, lt and lte are
// receive times.
func (n *Node) createLogStream(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	q, err := queryOf(c)
	if err != nil {
		return err
	}
	return ended(n.streamLog(ctx, newSender(st, &q)))
}

func (n *Node) streamLog(ctx context.Context, s *sender) error {
	after, before, err := n.logBounds(s.query)
	if err != nil {
		return err
	}
	last := n.store.Last()
	if s.query.Old || !s.query.Live {
		if err := n.oldLog(ctx, s, after, before); err != nil {
			return err
		}
	}
	if err := s.synced(ctx); err != nil || !s.query.Live {
		return err
	}
	return n.liveLog(ctx, s, max(last, after), before)
}

// logBounds turns receive times into receive numbers: what lies between after
// and before, both excluded; before 0 is open.
func (n *Node) logBounds(q *query) (after, before uint64, err error) {
	if q.GT != nil {
		after, err = n.store.After(math.Nextafter(*q.GT, math.Inf(1)))
	}
	if q.GTE != nil && err == nil {
		var other uint64
		other, err = n.store.After(*q.GTE)
		after = max(after, other)
	}
	upper := math.Inf(1)
	if q.LT != nil {
		upper = *q.LT
	}
	if q.LTE != nil {
		upper = min(upper, math.Nextafter(*q.LTE, math.Inf(1)))
	}
	if !math.IsInf(upper, 1) && err == nil {
		before, err = n.store.After(upper)
		before++
	}
	return after, before, err
}

// oldLog sends what is stored between the bounds.
func (n *Node) oldLog(ctx context.Context, s *sender, after, before uint64) error {
	if before == 0 {
		before = n.store.Last() + 1
	}
	for !s.done() && after+1 < before {
		page, err := n.store.LogPage(after, before, s.page(), s.query.Reverse)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, rec := range page {
			if err := s.send(ctx, rec); err != nil {
				return err
			}
		}
		if edge := page[len(page)-1].Rx; s.query.Reverse {
			before = edge
		} else {
			after = edge
		}
	}
	return nil
}

// liveLog sends what comes after the bound, until the reader has had enough.
func (n *Node) liveLog(ctx context.Context, s *sender, after, before uint64) error {
	for !s.done() && (before == 0 || after+1 < before) {
		if err := n.store.Wait(ctx, after); err != nil {
			return err
		}
		page, err := n.store.LogPage(after, before, s.page(), false)
		if err != nil {
			return err
		}
		for _, rec := range page {
			if err := s.send(ctx, rec); err != nil {
				return err
			}
			after = rec.Rx
		}
	}
	return nil
}

// createUserStream sends one feed by sequence; gt, gte, lt and lte are
// sequences. Without id it is the own feed.
func (n *Node) createUserStream(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	q, err := queryOf(c)
	if err != nil {
		return err
	}
	return n.streamFeed(ctx, q, st)
}

// createHistoryStream sends one feed from the sequence seq (or sequence) on.
func (n *Node) createHistoryStream(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	q, err := queryOf(c)
	if err != nil {
		return err
	}
	if q.Seq == nil {
		q.Seq = q.Sequence
	}
	if q.Seq != nil {
		q.GTE = q.Seq
	}
	q.Sync = false
	return n.streamFeed(ctx, q, st)
}

func (n *Node) streamFeed(ctx context.Context, q query, st *muxrpc.Stream) error {
	feed := n.keys.Feed()
	if q.ID != "" {
		var err error
		if feed, err = refs.ParseFeed(q.ID); err != nil {
			return usage("%v", err)
		}
	}
	s := newSender(st, &q)
	first, last := q.bounds(1, math.MaxInt32)
	if q.Reverse {
		return ended(n.reverseFeed(ctx, s, feed, first, last))
	}
	return ended(n.forwardFeed(ctx, s, feed, first, last))
}

func (n *Node) reverseFeed(ctx context.Context, s *sender, feed refs.Feed, first, last int64) error {
	for !s.done() && first <= last {
		page, err := n.store.FeedPage(feed, first, last, s.page(), true)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, rec := range page {
			if err := s.send(ctx, rec); err != nil {
				return err
			}
			last = rec.Seq - 1
		}
	}
	return nil
}

func (n *Node) forwardFeed(ctx context.Context, s *sender, feed refs.Feed, first, last int64) error {
	next := first
	if !s.query.Old && s.query.Live {
		head, err := n.store.Head(feed)
		if err != nil {
			return err
		}
		next = max(first, head.Seq+1)
	}
	synced := false
	for !s.done() && next <= last {
		seen := n.store.Last()
		page, err := n.store.FeedPage(feed, next, last, s.page(), false)
		if err != nil {
			return err
		}
		for _, rec := range page {
			if err := s.send(ctx, rec); err != nil {
				return err
			}
			next = rec.Seq + 1
		}
		if len(page) > 0 {
			continue
		}
		if !s.query.Live {
			return nil
		}
		if !synced {
			synced = true
			if err := s.synced(ctx); err != nil {
				return err
			}
		}
		if err := n.store.Wait(ctx, seen); err != nil {
			return err
		}
	}
	return nil
}

// ended maps the errors of a reader that has had enough to a clean end.
func ended(err error) error {
	if err == nil || isEnd(err) {
		return nil
	}
	return fmt.Errorf("reading messages: %w", err)
}
