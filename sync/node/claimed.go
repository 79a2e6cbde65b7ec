package node

import (
	"context"
	"encoding/binary"
	"math"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/store"
)

// claimedTable indexes messages by the time they resolve to: the time their
// author claims or, where that is earlier, that of their arrival. Its keys are
// that time, as 8 bytes that sort like the number, and the receive number; it
// has no values. It follows the receive log from a cursor of the same name.
const claimedTable = "node.claimed"

// indexPages is how many pages of messages one transaction of the index takes.
const indexPages = 8

// createFeedStream sends all messages by resolved time, each with that time as
// rts; gt, gte, lt and lte are resolved times.
func (n *Node) createFeedStream(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	q, err := queryOf(c)
	if err != nil {
		return err
	}
	s := newSender(st, &q)
	last := n.store.Last()
	if q.Old || !q.Live {
		if err := n.catchUp(ctx); err != nil {
			return ended(err)
		}
		if err := n.oldByTime(ctx, s, last); err != nil {
			return ended(err)
		}
	}
	if err := s.synced(ctx); err != nil || !q.Live {
		return ended(err)
	}
	return ended(n.liveByTime(ctx, s, last))
}

// oldByTime sends what is indexed, up to the receive number last.
func (n *Node) oldByTime(ctx context.Context, s *sender, last uint64) error {
	from := timeKey(lowerBound(s.query), 0)
	if s.query.Reverse {
		return n.backByTime(ctx, s, last)
	}
	for !s.done() {
		rows, err := n.store.Table(claimedTable).Scan(nil, from, 0)
		if err != nil || len(rows) == 0 {
			return err
		}
		more, err := n.sendRows(ctx, s, rows, last)
		if err != nil || !more {
			return err
		}
		from = append(rows[len(rows)-1].Key, 0)
	}
	return nil
}

// backByTime sends what is indexed, newest first. The table scans forward
// only, so the keys, 16 bytes each, are collected first.
func (n *Node) backByTime(ctx context.Context, s *sender, last uint64) error {
	var keys []store.Entry
	err := n.store.Table(claimedTable).View(func(tx *store.TableTx) error {
		keys = keys[:0]
		return tx.Each(nil, timeKey(lowerBound(s.query), 0), func(key, _ []byte) bool {
			if !s.query.selects(keyTime(key)) && keyTime(key) > upperBound(s.query) {
				return false
			}
			keys = append(keys, store.Entry{Key: append([]byte(nil), key...)})
			return true
		})
	})
	if err != nil {
		return err
	}
	for i, j := 0, len(keys)-1; i < j; i, j = i+1, j-1 {
		keys[i], keys[j] = keys[j], keys[i]
	}
	_, err = n.sendRows(ctx, s, keys, last)
	return err
}

// sendRows sends the messages of index rows. It reports false when the rest
// is beyond the query.
func (n *Node) sendRows(ctx context.Context, s *sender, rows []store.Entry, last uint64) (more bool, err error) {
	for _, row := range rows {
		resolved, rx := keyTime(row.Key), binary.BigEndian.Uint64(row.Key[8:])
		if s.done() || !s.query.Reverse && resolved > upperBound(s.query) {
			return false, nil
		}
		if rx > last || !s.query.selects(resolved) {
			continue
		}
		rec, err := n.store.Rx(rx)
		if err != nil {
			return false, err
		}
		if err := s.resolved(ctx, rec, resolved); err != nil {
			return false, err
		}
	}
	return true, nil
}

// resolved sends a record with its resolved time.
func (s *sender) resolved(ctx context.Context, rec store.Record, resolved float64) error {
	item := s.query.shape(rec)
	if s.query.Keys && s.query.Values {
		item = append(item[:len(item)-1], `,"rts":`...)
		item = append(appendNumber(item, resolved), '}')
	}
	return s.raw(ctx, item)
}

// liveByTime sends what arrives from now on, in the order of its arrival.
func (n *Node) liveByTime(ctx context.Context, s *sender, after uint64) error {
	for !s.done() {
		if err := n.store.Wait(ctx, after); err != nil {
			return err
		}
		page, err := n.store.LogPage(after, 0, s.page(), false)
		if err != nil {
			return err
		}
		for _, rec := range page {
			after = rec.Rx
			if resolved := resolvedTime(rec); s.query.selects(resolved) && !s.done() {
				if err := s.resolved(ctx, rec, resolved); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// catchUp indexes what was received since the last time. A kill in between
// costs only the pages under way.
func (n *Node) catchUp(ctx context.Context) error {
	n.reindex.Lock()
	defer n.reindex.Unlock()
	after, err := n.store.Cursor(claimedTable)
	for err == nil && ctx.Err() == nil && after < n.store.Last() {
		after, err = n.indexFrom(after)
	}
	if err == nil {
		err = ctx.Err()
	}
	return err
}

// indexFrom indexes some pages and returns the cursor behind them.
func (n *Node) indexFrom(after uint64) (uint64, error) {
	var rows [][]byte
	for range indexPages {
		page, err := n.store.LogPage(after, 0, 0, false)
		if err != nil {
			return after, err
		}
		for _, rec := range page {
			rows = append(rows, timeKey(resolvedTime(rec), rec.Rx))
			after = rec.Rx
		}
	}
	err := n.store.Table(claimedTable).Update(func(tx *store.TableTx) error {
		for _, key := range rows {
			if err := tx.Put(key, nil); err != nil {
				return err
			}
		}
		return tx.SetCursor(claimedTable, after)
	})
	return after, err
}

// resolvedTime is the claimed time, or the arrival where that is earlier.
func resolvedTime(rec store.Record) float64 { return min(claimedTime(rec), rec.Received) }

// timeKey returns the key of a message in the index.
func timeKey(t float64, rx uint64) []byte {
	bits := math.Float64bits(t)
	if bits>>63 == 1 {
		bits = ^bits
	} else {
		bits |= 1 << 63
	}
	key := binary.BigEndian.AppendUint64(make([]byte, 0, 16), bits)
	return binary.BigEndian.AppendUint64(key, rx)
}

// keyTime is the time of a key of the index.
func keyTime(key []byte) float64 {
	bits := binary.BigEndian.Uint64(key)
	if bits>>63 == 1 {
		return math.Float64frombits(bits &^ (1 << 63))
	}
	return math.Float64frombits(^bits)
}

// lowerBound and upperBound are a closed interval around what the query
// selects; selects decides at the ends.
func lowerBound(q *query) float64 {
	low := math.Inf(-1)
	for _, bound := range []*float64{q.GT, q.GTE} {
		if bound != nil {
			low = max(low, *bound)
		}
	}
	return low
}

func upperBound(q *query) float64 {
	high := math.Inf(1)
	for _, bound := range []*float64{q.LT, q.LTE} {
		if bound != nil {
			high = min(high, *bound)
		}
	}
	return high
}
