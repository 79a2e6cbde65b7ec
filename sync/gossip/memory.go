package gossip

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/ebt"
)

// What is remembered of peers from one EBT session to the next is a table of
// the store:
//
//	"store"     → 16 bytes: the id of the store that the rest belongs to
//	32 feed id  → u64 big-endian: counts the savings; the ebt.Memory of the peer
//
// With another store id everything is forgotten: the store was replaced or
// restored.
const (
	memoryTable   = "gossip.ebt"
	maxMemories   = 1000
	maxMemory     = 8 << 20 // bytes of one
	maxFeedsKnown = 250_000 // feeds in one
	stampLen      = 8
)

var memoryStore = []byte("store")

// memories keeps what is remembered of peers. Losing it costs traffic only.
type memories struct {
	table *store.Table

	mu    sync.Mutex
	stamp uint64               // of the newest row
	rows  map[refs.Feed]uint64 // stamps
}

func openMemories(s *store.Store) (*memories, error) {
	m := &memories{table: s.Table(memoryTable), rows: make(map[refs.Feed]uint64)}
	id := s.ID()
	have, err := m.table.Get(memoryStore)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("reading what peers hold: %w", err)
	}
	if !bytes.Equal(have, id[:]) {
		return m, m.reset(id)
	}
	err = m.table.View(func(tx *store.TableTx) error {
		return tx.Each(nil, nil, func(key, value []byte) bool {
			if len(key) == len(refs.Feed{}) && len(value) > stampLen {
				stamp := binary.BigEndian.Uint64(value)
				m.rows[refs.Feed(key)] = stamp
				m.stamp = max(m.stamp, stamp)
			}
			return true
		})
	})
	if err != nil {
		return nil, fmt.Errorf("reading what peers hold: %w", err)
	}
	return m, nil
}

// reset forgets everything.
func (m *memories) reset(id [16]byte) error {
	err := m.table.Update(func(tx *store.TableTx) error {
		if err := tx.Clear(); err != nil {
			return err
		}
		return tx.Put(memoryStore, id[:])
	})
	if err != nil {
		return fmt.Errorf("forgetting what peers hold: %w", err)
	}
	return nil
}

// load returns what is remembered of a peer; nothing if that cannot be read.
func (m *memories) load(peer refs.Feed) ebt.Memory {
	row, err := m.table.Get(peer[:])
	if err != nil || len(row) < stampLen {
		return ebt.Memory{}
	}
	memory, err := ebt.DecodeMemory(row[stampLen:], maxFeedsKnown)
	if err != nil {
		return ebt.Memory{}
	}
	return memory
}

// save remembers a peer, and forgets the one that was saved the longest ago
// when there are too many.
func (m *memories) save(peer refs.Feed, memory ebt.Memory) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	row, err := memory.AppendBinary(make([]byte, stampLen))
	if err != nil {
		return err
	}
	if len(row) > maxMemory {
		row = make([]byte, stampLen)
	}
	old, err := m.table.Get(peer[:])
	if err == nil && len(old) >= stampLen && bytes.Equal(old[stampLen:], row[stampLen:]) {
		return nil
	}
	m.stamp++
	binary.BigEndian.PutUint64(row, m.stamp)
	m.rows[peer] = m.stamp
	drop := m.excess()
	return m.table.Update(func(tx *store.TableTx) error {
		for _, feed := range drop {
			if err := tx.Delete(feed[:]); err != nil {
				return err
			}
		}
		return tx.Put(peer[:], row)
	})
}

// excess takes the oldest rows off the list when there are too many.
func (m *memories) excess() (drop []refs.Feed) {
	if len(m.rows) <= maxMemories {
		return nil
	}
	for feed := range m.rows {
		drop = append(drop, feed)
	}
	slices.SortFunc(drop, func(a, b refs.Feed) int {
		if m.rows[a] < m.rows[b] {
			return -1
		}
		return 1
	})
	drop = drop[:len(m.rows)-maxMemories*9/10]
	for _, feed := range drop {
		delete(m.rows, feed)
	}
	return drop
}
