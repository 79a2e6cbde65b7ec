package node

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/store"
)

// index is an order of the messages beside that of their arrival: a table of
// the store whose keys end in the receive number of a message, and which has no
// values. It follows the receive log from a cursor of the same name and can be
// rebuilt: a change of its form is a change of its name.
type index struct {
	name  string
	title string   // what ssb-server calls it
	was   []string // names of earlier forms, which are dropped

	reveals bool // private messages have the rows of what they say, if they are for us

	// rows calls add with each key of a message, without the receive number.
	// The key is copied.
	rows func(rec *store.Record, add func(key []byte))

	mu sync.Mutex // held while the index catches up with the receive log
}

const (
	// indexPages is how many pages of messages one transaction of an index
	// takes.
	indexPages = 8

	// indexPause is how long the indexes of a running server wait while more
	// messages come in: an import goes first.
	indexPause = 2 * time.Second

	// indexPatience bounds that.
	indexPatience = 30 * time.Second
)

// rxLen is the length of the receive number at the end of a key, in bytes.
const rxLen = 8

// dropEarlier removes what earlier forms of an index left in the store.
func (n *Node) dropEarlier(ix *index) error {
	for _, name := range ix.was {
		rows, err := n.store.Table(name).Scan(nil, nil, 1)
		if err == nil && len(rows) > 0 {
			n.options.Log.Info("an index has a new form and is made anew", "index", ix.title)
			err = n.store.Table(name).Update(func(tx *store.TableTx) error {
				return errors.Join(tx.Clear(), tx.SetCursor(name, 0)) // an earlier program begins anew
			})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// catchUp indexes what was received since the last time. A kill in between
// costs only the pages under way.
func (n *Node) catchUp(ctx context.Context, ix *index) error {
	if err := n.private.catchUp(ctx); err != nil {
		return err
	}
	ix.mu.Lock()
	defer ix.mu.Unlock()
	after, err := n.store.Cursor(ix.name)
	for err == nil && ctx.Err() == nil && after < n.store.Last() {
		after, err = n.indexFrom(ix, after)
	}
	if err == nil {
		err = ctx.Err()
	}
	return err
}

// indexFrom indexes some pages and returns the cursor behind them.
func (n *Node) indexFrom(ix *index, after uint64) (uint64, error) {
	var keys [][]byte
	for range indexPages {
		page, err := n.store.LogPage(after, 0, 0, false)
		if err != nil {
			return after, err
		}
		for i := range page {
			rx := page[i].Rx
			ix.rows(&page[i], func(key []byte) { keys = append(keys, rxKey(key, rx)) })
			after = rx
		}
	}
	err := n.store.Table(ix.name).Update(func(tx *store.TableTx) error {
		for _, key := range keys {
			if err := tx.Put(key, nil); err != nil {
				return err
			}
		}
		return tx.SetCursor(ix.name, after)
	})
	return after, err
}

// rxKey returns a copy of the key with a receive number behind it.
func rxKey(key []byte, rx uint64) []byte {
	return binary.BigEndian.AppendUint64(append(make([]byte, 0, len(key)+rxLen), key...), rx)
}

// keyRx is the receive number at the end of a key.
func keyRx(key []byte) uint64 { return binary.BigEndian.Uint64(key[len(key)-rxLen:]) }

// followIndexes keeps all indexes up to date until ctx ends, so that nobody has
// to wait for them. While messages pour in it stands aside.
func (n *Node) followIndexes(ctx context.Context) error {
	for done := uint64(0); ; {
		if err := n.store.Wait(ctx, done); err != nil {
			return err
		}
		if err := n.waitForQuiet(ctx); err != nil {
			return err
		}
		done = n.store.Last()
		for _, ix := range n.indexes {
			if err := n.catchUp(ctx, ix); err != nil {
				return err
			}
		}
	}
}

// waitForQuiet returns when few messages come in, or patience is at its end.
func (n *Node) waitForQuiet(ctx context.Context) error {
	for began := time.Now(); time.Since(began) < indexPatience; {
		before := n.store.Last()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(indexPause):
		}
		if n.store.Last()-before < store.MaxPage {
			return nil
		}
	}
	return nil
}

// span selects what a stream reads of an index: keys from low to below high,
// of each of which items makes what is sent: one item, none, or several.
type span struct {
	index     *index
	low, high []byte // without receive number where that does not matter; an empty high is open
	items     func(key []byte, rec *store.Record, yield func(item []byte))

	// old, when set, sends what is stored up to a receive number, and the
	// index is not read.
	old func(ctx context.Context, s *sender, last uint64) error

	// live, when set, is the span of what arrives.
	live *span
}

func (sp *span) has(key []byte) bool {
	return bytes.Compare(key, sp.low) >= 0 && (len(sp.high) == 0 || bytes.Compare(key, sp.high) < 0)
}

// streamIndex serves a read stream of an index: what is stored in its order,
// then, of a live stream, what arrives, as it arrives.
func (n *Node) streamIndex(ctx context.Context, st *muxrpc.Stream, q *query, sp *span) error {
	s := newSender(st, q)
	last := n.store.Last()
	if q.Old {
		if err := n.oldSpan(ctx, s, sp, last); err != nil {
			return ended(err)
		}
		if err := s.synced(ctx); err != nil {
			return ended(err)
		}
	}
	if !q.Live {
		return nil
	}
	return ended(n.liveIndex(ctx, s, sp, last))
}

func (n *Node) oldSpan(ctx context.Context, s *sender, sp *span, last uint64) error {
	if sp.old != nil {
		return sp.old(ctx, s, last)
	}
	if err := n.catchUp(ctx, sp.index); err != nil {
		return err
	}
	return n.oldIndex(ctx, s, sp, last)
}

// oldIndex sends what is indexed, up to the receive number last.
func (n *Node) oldIndex(ctx context.Context, s *sender, sp *span, last uint64) error {
	low, high := sp.low, sp.high
	for !s.done() {
		rows, err := n.indexPage(sp.index, low, high, s.query.Reverse)
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, row := range rows {
			if rx := keyRx(row.Key); rx <= last && !s.done() {
				if err := n.sendRow(ctx, s, sp, row.Key, rx); err != nil {
					return err
				}
			}
		}
		if edge := rows[len(rows)-1].Key; s.query.Reverse {
			high = edge
		} else {
			low = append(edge, 0)
		}
	}
	return nil
}

// indexPage reads some rows from low to below high, or backwards.
func (n *Node) indexPage(ix *index, low, high []byte, reverse bool) ([]store.Entry, error) {
	table := n.store.Table(ix.name)
	if reverse {
		return table.ScanBack(low, high, 0)
	}
	rows, err := table.Scan(nil, low, 0)
	if len(high) > 0 {
		for i, row := range rows {
			if bytes.Compare(row.Key, high) >= 0 {
				return rows[:i], err
			}
		}
	}
	return rows, err
}

func (n *Node) sendRow(ctx context.Context, s *sender, sp *span, key []byte, rx uint64) error {
	rec, err := n.store.Rx(rx)
	if err != nil {
		return err
	}
	return s.row(ctx, sp, key, &rec)
}

// liveIndex sends what arrives from now on, in the order of its arrival.
func (n *Node) liveIndex(ctx context.Context, s *sender, sp *span, after uint64) error {
	s.goLive()
	if sp.live != nil {
		sp = sp.live
	}
	for {
		if err := n.store.Wait(ctx, after); err != nil {
			return err
		}
		page, err := n.store.LogPage(after, 0, 0, false)
		if err != nil {
			return err
		}
		for i := range page {
			after = page[i].Rx
			if err := s.rows(ctx, sp, &page[i]); err != nil {
				return err
			}
		}
	}
}

// rows sends the rows of a new message that the span has.
func (s *sender) rows(ctx context.Context, sp *span, rec *store.Record) error {
	var keys [][]byte
	sp.index.rows(rec, func(key []byte) { keys = append(keys, rxKey(key, rec.Rx)) })
	slices.SortFunc(keys, bytes.Compare)
	for _, key := range slices.CompactFunc(keys, bytes.Equal) {
		if !sp.has(key) {
			continue
		}
		if err := s.row(ctx, sp, key, rec); err != nil {
			return err
		}
	}
	return nil
}

// row sends what a row of an index makes, as far as the limit allows.
func (s *sender) row(ctx context.Context, sp *span, key []byte, rec *store.Record) (err error) {
	sp.items(key, rec, func(item []byte) {
		if err == nil && !s.done() {
			err = s.raw(ctx, item)
		}
	})
	return err
}
