package blobs

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
)

// The tables of the store: what is asked for and what is pushed, by blob id.
// The values of the former are when it was first asked for, in milliseconds
// since 1970.
const (
	wantTable = "blobs.want"
	pushTable = "blobs.push"
)

// load reads the tables.
func (e *Exchange) load() error {
	err := e.each(wantTable, func(id refs.Blob) { e.book.add(id, -1, Asked) })
	if err == nil {
		err = e.each(pushTable, func(id refs.Blob) { e.addPush(id) })
	}
	return err
}

// each calls fn with the blobs of a table.
func (e *Exchange) each(table string, fn func(refs.Blob)) error {
	for from := []byte(nil); ; {
		rows, err := e.cfg.Store.Table(table).Scan(nil, from, 0)
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, row := range rows {
			if len(row.Key) == len(refs.Blob{}) {
				fn(refs.Blob(row.Key))
			}
		}
		from = append(rows[len(rows)-1].Key, 0)
	}
}

// remember keeps that a blob is asked for.
func (e *Exchange) remember(id refs.Blob) error {
	now := binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixMilli()))
	if err := e.cfg.Store.Table(wantTable).Put(id[:], now); err != nil {
		return fmt.Errorf("wanting blob %s: %w", id, err)
	}
	return nil
}

// forget ends that.
func (e *Exchange) forget(ids []refs.Blob) error { return e.deleteAll(wantTable, ids) }

func (e *Exchange) deleteAll(table string, ids []refs.Blob) error {
	if len(ids) == 0 {
		return nil
	}
	return e.cfg.Store.Table(table).Update(func(tx *store.TableTx) error {
		for _, id := range ids {
			if err := tx.Delete(id[:]); err != nil {
				return err
			}
		}
		return nil
	})
}

// Push offers a blob to peers until enough of them have it, also after a
// restart. The blob may come later.
func (e *Exchange) Push(id refs.Blob) error {
	if err := e.cfg.Store.Table(pushTable).Put(id[:], nil); err != nil {
		return fmt.Errorf("pushing blob %s: %w", id, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.addPush(id)
	e.wakeAll()
	return nil
}

// addPush announces a blob that is pushed. The caller holds e.mu.
func (e *Exchange) addPush(id refs.Blob) {
	p := e.book.pushes[id]
	if p == nil {
		p = &push{taken: make(map[refs.Feed]struct{})}
		e.book.pushes[id] = p
	}
	p.number = e.book.announce(id)
}

// Pushing lists what is pushed, in no order.
func (e *Exchange) Pushing() []refs.Blob {
	e.mu.Lock()
	defer e.mu.Unlock()
	ids := make([]refs.Blob, 0, len(e.book.pushes))
	for id := range e.book.pushes {
		ids = append(ids, id)
	}
	return ids
}

// taken notes that a peer has a blob. The caller holds e.mu.
func (e *Exchange) taken(remote refs.Feed, id refs.Blob) {
	p := e.book.pushes[id]
	if p == nil {
		return
	}
	p.taken[remote] = struct{}{}
	if len(p.taken) < e.cfg.Pushy {
		return
	}
	delete(e.book.pushes, id)
	e.finished = append(e.finished, id)
}

// forgetPushes no longer keeps the pushes that are done.
func (e *Exchange) forgetPushes() error {
	e.mu.Lock()
	done := e.finished
	e.finished = nil
	e.mu.Unlock()
	return e.deleteAll(pushTable, done)
}
