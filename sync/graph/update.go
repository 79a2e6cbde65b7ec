package graph

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
)

const (
	tableName = "graph"
	// cursorName carries the version of what parse reads: with another the
	// graph is built anew.
	cursorName = "graph/1"

	// maxBatch is how many messages are read for one transaction.
	maxBatch = 50_000
	// maxLag is how far the cursor in the store may stay behind when there
	// is no edge to write: a transaction for every message would be waste.
	maxLag = 10_000
	// maxRecent is how many changes are remembered for Since.
	maxRecent = 1000
)

// errRow says that a row of the table is not one of ours.
var errRow = errors.New("follow graph: damaged row")

// Open reads the graph that the last Update of the store saved. It does not
// look for new messages: call Update.
func Open(s *store.Store) (*Graph, error) {
	g := &Graph{store: s, table: s.Table(tableName), changed: make(chan struct{})}
	err := g.load()
	if errors.Is(err, errRow) {
		err = g.Rebuild()
	}
	if err != nil {
		return nil, fmt.Errorf("opening the follow graph: %w", err)
	}
	return g, nil
}

// load reads cursor and edges from the store.
func (g *Graph) load() error {
	g.reset()
	return g.table.View(func(tx *store.TableTx) error {
		cursor, err := tx.Cursor(cursorName)
		if err != nil {
			return err
		}
		g.cursor, g.saved = cursor, cursor
		bad := error(nil)
		err = tx.Each(nil, nil, func(key, value []byte) bool {
			var edge Edge
			if edge, bad = decodeEdge(key, value); bad == nil {
				g.append(edge)
			}
			return bad == nil
		})
		for _, arcs := range g.out {
			slices.SortFunc(arcs, func(a, b arc) int { return cmp.Compare(a.to, b.to) })
		}
		return errors.Join(err, bad)
	})
}

// append puts an edge that is not there behind the others of its feed, where it
// stays until they are sorted: looking for its place would be most of a start.
func (g *Graph) append(e Edge) {
	from, to := g.number(e.From), g.number(e.To)
	g.out[from] = append(g.out[from], arc{e.Seq, to, e.Relation})
}

// Rebuild forgets the graph; the next Update reads all messages again.
func (g *Graph) Rebuild() error {
	g.updating.Lock()
	defer g.updating.Unlock()
	err := g.table.Update(func(tx *store.TableTx) error {
		if err := tx.Clear(); err != nil {
			return err
		}
		return tx.SetCursor(cursorName, 0)
	})
	if err != nil {
		return fmt.Errorf("clearing the follow graph: %w", err)
	}
	g.cursor, g.saved = 0, 0
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reset()
	g.recent = nil // nobody can catch up by changes
	g.version++
	g.announce()
	return nil
}

// Update reads the messages that the store received since the last Update.
// When it returns nil the graph shows all that was in the store when it was
// called.
func (g *Graph) Update(ctx context.Context) error {
	g.updating.Lock()
	defer g.updating.Unlock()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		more, err := g.step()
		if err != nil {
			return fmt.Errorf("updating the follow graph: %w", err)
		}
		if !more {
			return nil
		}
	}
}

// step reads one batch of messages and commits it; more says whether there
// may be further ones.
func (g *Graph) step() (more bool, err error) {
	var edges []Edge
	cursor := g.cursor
	for cursor-g.cursor < maxBatch {
		page, err := g.store.LogPage(cursor, 0, 0, false)
		if err != nil {
			return false, err
		}
		for i := range page {
			if edge, ok := parse(&page[i]); ok {
				edges = append(edges, edge)
			}
			cursor = page[i].Rx
		}
		if more = len(page) == store.MaxPage; !more {
			break
		}
	}
	if err := g.save(cursor, edges); err != nil {
		return false, err
	}
	g.cursor = cursor
	g.apply(edges)
	return more, nil
}

// save writes edges and cursor to the store, if that is worth it.
func (g *Graph) save(cursor uint64, edges []Edge) error {
	if len(edges) == 0 && cursor-g.saved < maxLag {
		return nil
	}
	// In the order of their keys, which is by far the fastest.
	rows := sorted(slices.Clone(edges))
	err := g.table.Update(func(tx *store.TableTx) error {
		for _, edge := range rows {
			key, value := encodeEdge(edge)
			if err := tx.Put(key, value); err != nil {
				return err
			}
		}
		return tx.SetCursor(cursorName, cursor)
	})
	if err == nil {
		g.saved = cursor
	}
	return err
}

// apply shows committed edges to readers.
func (g *Graph) apply(edges []Edge) {
	g.mu.Lock()
	defer g.mu.Unlock()
	before := g.version
	for _, edge := range edges {
		if g.set(edge) {
			g.remember(edge)
		}
	}
	if g.version != before {
		g.announce()
	}
}

// encodeEdge returns the row of an edge: both feeds are the key; the relation
// as one byte and the sequence as a uvarint are the value.
func encodeEdge(e Edge) (key, value []byte) {
	key = append(e.From[:], e.To[:]...)
	return key, binary.AppendUvarint([]byte{byte(e.Relation)}, uint64(e.Seq))
}

func decodeEdge(key, value []byte) (e Edge, err error) {
	if len(key) != 2*len(e.From) || len(value) < 2 {
		return Edge{}, errRow
	}
	seq, n := binary.Uvarint(value[1:])
	e = Edge{refs.Feed(key[:len(e.From)]), refs.Feed(key[len(e.From):]), Relation(int8(value[0])), int64(seq)}
	if n != len(value)-1 || e.Relation != Following && e.Relation != Blocking && e.Relation != Neutral {
		return Edge{}, errRow
	}
	return e, nil
}
