package node

import (
	"runtime"
	"sync"

	"github.com/ssbsync/ssbsync/spec/envelope"
	"github.com/ssbsync/ssbsync/store"
)

// letter is what is found out about a message by itself.
type letter struct {
	private      bool
	m            boxed
	row, content []byte // of a box that is for us, see open
}

// unsealedAtOnce is how many messages of a page one goroutine looks at, at least.
const unsealedAtOnce = 64

// unseal tells the private messages of a page and opens the boxes, on all
// processors: the key agreement for each box takes longer than anything else
// that is done with a message.
func (p *privates) unseal(page []store.Record) []letter {
	letters := make([]letter, len(page))
	size := max(unsealedAtOnce, (len(page)+runtime.GOMAXPROCS(0)-1)/runtime.GOMAXPROCS(0))
	var running sync.WaitGroup
	for from := 0; from < len(page); from += size {
		part := func() {
			for i := from; i < min(from+size, len(page)); i++ {
				letters[i] = p.letter(&page[i])
			}
		}
		if len(page) <= size {
			part()
			break
		}
		running.Go(part)
	}
	running.Wait()
	return letters
}

func (p *privates) letter(rec *store.Record) (l letter) {
	if l.m, l.private = boxedOf(rec); l.private && !l.m.isEnvelope() {
		l.row, l.content = p.open(l.m)
	}
	return l
}

// privateBatch is what one step changes in the store.
type privateBatch struct {
	after  uint64 // where the cursor will stand
	rows   []privateRow
	closed []uint64        // envelopes that did not open
	late   map[uint64]bool // of those, and of earlier ones, the ones that opened after all
	index  []indexRow      // rows of other indexes for them
	blobs  []reference     // to which they refer
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
	for i := range b.blobs {
		if err := b.blobs[i].putLate(tx); err != nil {
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
