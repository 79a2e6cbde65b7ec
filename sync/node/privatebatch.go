package node

import (
	"github.com/ssbsync/ssbsync/spec/envelope"
	"github.com/ssbsync/ssbsync/store"
)

// privateBatch is what one step changes in the store.
type privateBatch struct {
	after  uint64 // where the cursor will stand
	rows   []privateRow
	closed []uint64        // envelopes that did not open
	late   map[uint64]bool // of those, and of earlier ones, the ones that opened after all
	index  []indexRow      // rows of other indexes for them
	groups []groupRow
	notes  []groupNote
	fresh  []envelope.Key // of groups that were not known before

	members bool // who is in a group may have changed
}

type privateRow struct {
	rx  uint64
	key []byte
}

type indexRow struct {
	table string
	key   []byte
}

// commit writes the batch.
func (b *privateBatch) commit(tx *store.TableTx) error {
	closed := tx.Table(tableClosed)
	for _, rx := range b.closed {
		if !b.late[rx] {
			if err := closed.Put(rxKey(nil, rx), nil); err != nil {
				return err
			}
		}
	}
	for rx := range b.late {
		if err := closed.Delete(rxKey(nil, rx)); err != nil {
			return err
		}
	}
	for _, row := range b.rows {
		if err := tx.Put(rxKey(nil, row.rx), row.key); err != nil {
			return err
		}
	}
	for _, row := range b.index {
		if err := tx.Table(row.table).Put(row.key, nil); err != nil {
			return err
		}
	}
	for _, row := range b.groups {
		if err := row.put(tx); err != nil {
			return err
		}
	}
	for _, note := range b.notes {
		if err := note.put(tx); err != nil {
			return err
		}
	}
	return tx.SetCursor(tableOpened, b.after)
}
