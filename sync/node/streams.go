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

	numbered bool // items are {seq, value}
}

func newSender(st *muxrpc.Stream, q *query) *sender {
	return &sender{stream: st, query: q, left: q.Limit}
}

// done reports whether the limit is reached.
func (s *sender) done() bool { return s.left == 0 }

// goLive begins with what arrives. The limit is one of what is there, as in
// ssb-db, so that no live stream ends by itself.
func (s *sender) goLive() { s.left = -1 }

// send sends one record in the shape the query asks for.
func (s *sender) send(ctx context.Context, rec store.Record) error {
	if s.numbered {
		return s.raw(ctx, appendNumbered(nil, rec))
	}
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
	q, err := streamQuery(c)
	if err != nil {
		return err
	}
	if q.Raw {
		return n.createRawLogStream(ctx, c, st)
	}
	after, before, err := n.logBounds(&q)
	if err != nil {
		return err
	}
	n.privately(&q)
	return ended(n.streamLog(ctx, newSender(st, &q), after, before))
}

// createRawLogStream sends all messages in receive order as {seq, value}; gt,
// gte, lt and lte are such numbers, which count from 0.
func (n *Node) createRawLogStream(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	q, err := streamQuery(c)
	if err != nil {
		return err
	}
	first, last := q.bounds(0, math.MaxInt64-2)
	s := newSender(st, &q)
	s.numbered = true
	q.Sync = false
	return ended(n.streamLog(ctx, s, uint64(max(first, 0)), uint64(max(last, -1)+2)))
}

// createSequenceStream sends the number of the newest message in receive order,
// counted from 0, -1 when there is none, and then each new one.
func (n *Node) createSequenceStream(ctx context.Context, _ *muxrpc.Call, st *muxrpc.Stream) error {
	for {
		last := n.store.Last()
		if err := st.Send(ctx, int64(last)-1); err != nil {
			return ended(err)
		}
		if err := n.store.Wait(ctx, last); err != nil {
			return ended(err)
		}
	}
}

// streamLog sends what lies between after and before in receive order, both
// excluded; before 0 is open. Of what arrives the times count, since before may
// stand for one that is still to come. In npm flumelog-offset, which numbers
// come from, limit and bounds do end a live stream.
func (n *Node) streamLog(ctx context.Context, s *sender, after, before uint64) error {
	last := n.store.Last()
	if s.query.Old {
		end := last + 1
		if before > 0 {
			end = min(end, before)
		}
		if err := n.oldLog(ctx, s, after, end); err != nil {
			return err
		}
		if err := s.synced(ctx); err != nil {
			return err
		}
	}
	if !s.query.Live {
		return nil
	}
	if !s.numbered {
		s.goLive()
		before = 0
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

// spans reports whether a time of arrival lies between the bounds of the query.
func (q *query) spans(t float64) bool {
	return q.isLate(t) && (q.LT == nil || t < *q.LT) && (q.LTE == nil || t <= *q.LTE)
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
			after = rec.Rx
			if !s.numbered && !s.query.spans(rec.Received) {
				continue
			}
			if err := s.send(ctx, rec); err != nil {
				return err
			}
		}
	}
	return nil
}

// createUserStream sends one feed by sequence; gt, gte, lt and lte are
// sequences.
func (n *Node) createUserStream(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	q, feed, err := userQuery(c)
	if err != nil {
		return err
	}
	n.privately(&q)
	s := newSender(st, &q)
	first, last := q.bounds(1, math.MaxInt32)
	return ended(n.streamFeed(ctx, s, feed, first, last))
}

// userQuery reads the argument of createUserStream.
func userQuery(c *muxrpc.Call) (q query, feed refs.Feed, err error) {
	raw := argument(c, 0)
	if falsy(raw) {
		return q, feed, missing(0)
	}
	if err := checkStream(raw, "createUserStreamOpts"); err != nil {
		return q, feed, err
	}
	if q, err = parseQuery(raw); err != nil {
		return q, feed, err
	}
	if feed, err = refs.ParseFeed(q.ID); err != nil {
		return q, feed, missingAttr("id", "feedId")
	}
	return q, feed, nil
}

// streamFeed sends a feed from first to last.
func (n *Node) streamFeed(ctx context.Context, s *sender, feed refs.Feed, first, last int64) error {
	head, err := n.store.Head(feed)
	if err != nil {
		return err
	}
	if s.query.Old {
		if err := n.oldFeed(ctx, s, feed, first, min(last, head.Seq)); err != nil {
			return err
		}
		if err := s.synced(ctx); err != nil {
			return err
		}
	}
	if !s.query.Live {
		return nil
	}
	return n.liveFeed(ctx, s, feed, max(first, head.Seq+1), last)
}

// oldFeed sends what is stored between the bounds.
func (n *Node) oldFeed(ctx context.Context, s *sender, feed refs.Feed, first, last int64) error {
	for !s.done() && first <= last {
		page, err := n.store.FeedPage(feed, first, last, s.page(), s.query.Reverse)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, rec := range page {
			if err := s.send(ctx, rec); err != nil {
				return err
			}
		}
		if edge := page[len(page)-1].Seq; s.query.Reverse {
			last = edge - 1
		} else {
			first = edge + 1
		}
	}
	return nil
}

// liveFeed sends what comes from next on, up to last. It does not end there.
func (n *Node) liveFeed(ctx context.Context, s *sender, feed refs.Feed, next, last int64) error {
	s.goLive()
	for seen := n.store.Last(); ; seen = n.store.Last() {
		for next <= last {
			page, err := n.store.FeedPage(feed, next, last, s.page(), false)
			if err != nil {
				return err
			}
			if len(page) == 0 {
				break
			}
			for _, rec := range page {
				if err := s.send(ctx, rec); err != nil {
					return err
				}
				next = rec.Seq + 1
			}
		}
		if err := n.store.Wait(ctx, seen); err != nil {
			return err
		}
	}
}

// ended maps the errors of a reader that has had enough to a clean end.
func ended(err error) error {
	if err == nil || isEnd(err) {
		return nil
	}
	return fmt.Errorf("reading messages: %w", err)
}
