package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// Table is a small ordered key-value table for whatever is derived from the
// messages: cursors, indexes, the follow graph, ledgers, settings. A table
// comes into being with the first Put. Keys are 1 to 32,768 bytes, ordered
// bytewise. Every write is a transaction with an fsync: put what belongs
// together into one Update.
type Table struct {
	s    *Store
	name string
}

// Entry is one row of a Table; both slices are copies.
type Entry struct {
	Key, Value []byte
}

// Table returns the table with a name.
func (s *Store) Table(name string) *Table { return &Table{s: s, name: name} }

// Get returns a copy of the value of key, or ErrNotFound.
func (t *Table) Get(key []byte) (value []byte, err error) {
	err = t.View(func(tx *TableTx) error {
		value, err = tx.Get(key)
		return err
	})
	return value, err
}

// Put sets the value of key.
func (t *Table) Put(key, value []byte) error {
	return t.Update(func(tx *TableTx) error { return tx.Put(key, value) })
}

// Delete removes key; it is no error if it is not there.
func (t *Table) Delete(key []byte) error {
	return t.Update(func(tx *TableTx) error { return tx.Delete(key) })
}

// Scan returns the rows whose key begins with prefix and is not below from, in
// order, at most limit and at most MaxPage; limit ≤ 0 means MaxPage. To go on,
// append a zero byte to the last key and pass it as from.
func (t *Table) Scan(prefix, from []byte, limit int) (rows []Entry, err error) {
	err = t.View(func(tx *TableTx) error {
		rows, err = tx.Scan(prefix, from, limit)
		return err
	})
	return rows, err
}

// Clear removes all rows.
func (t *Table) Clear() error {
	return t.Update(func(tx *TableTx) error { return tx.Clear() })
}

// View runs fn on a snapshot. fn must not wait for anything nor call methods
// of the Store: an open snapshot can hold up the writer.
func (t *Table) View(fn func(*TableTx) error) error {
	return t.s.view(func(tx *bolt.Tx) error { return fn(&TableTx{tx: tx, name: t.name}) })
}

// Update runs fn in a transaction that is durable when Update returns nil; if
// fn returns an error nothing of it counts. fn must not call methods of the
// Store. The changes may reach several tables, see TableTx.Table.
func (t *Table) Update(fn func(*TableTx) error) error {
	return t.s.update(func(tx *bolt.Tx) (bool, error) {
		w := &TableTx{tx: tx, name: t.name, changed: new(bool)}
		err := fn(w)
		return *w.changed, err
	})
}

// TableTx is a Table inside a transaction. It ends with the function it was
// handed to.
type TableTx struct {
	tx      *bolt.Tx
	name    string
	changed *bool // nil in a View
}

// Table returns another table in the same transaction.
func (t *TableTx) Table(name string) *TableTx {
	return &TableTx{tx: t.tx, name: name, changed: t.changed}
}

// bucket returns the table's bucket, nil if there is none.
func (t *TableTx) bucket() *bolt.Bucket {
	return t.tx.Bucket(bucketTables).Bucket([]byte(t.name))
}

// Get returns a copy of the value of key, or ErrNotFound.
func (t *TableTx) Get(key []byte) ([]byte, error) {
	b := t.bucket()
	if b == nil {
		return nil, fmt.Errorf("table %s: key %.40q: %w", t.name, key, ErrNotFound)
	}
	v := b.Get(key)
	if v == nil {
		return nil, fmt.Errorf("table %s: key %.40q: %w", t.name, key, ErrNotFound)
	}
	return append([]byte{}, v...), nil
}

// errReadOnly is what writing in a View gives.
var errReadOnly = errors.New("writing in a view")

// Put sets the value of key. The slices may be reused afterwards.
func (t *TableTx) Put(key, value []byte) error {
	if t.changed == nil {
		return fmt.Errorf("table %s: %w", t.name, errReadOnly)
	}
	b, err := t.tx.Bucket(bucketTables).CreateBucketIfNotExists([]byte(t.name))
	if err == nil {
		b.FillPercent = indexFill
		err = b.Put(key, bytes.Clone(value))
	}
	if err != nil {
		return fmt.Errorf("table %s: key %.40q: %w", t.name, key, err)
	}
	*t.changed = true
	return nil
}

// Delete removes key; it is no error if it is not there.
func (t *TableTx) Delete(key []byte) error {
	if t.changed == nil {
		return fmt.Errorf("table %s: %w", t.name, errReadOnly)
	}
	b := t.bucket()
	if b == nil || b.Get(key) == nil {
		return nil
	}
	*t.changed = true
	return b.Delete(key)
}

// Clear removes all rows.
func (t *TableTx) Clear() error {
	if t.changed == nil {
		return fmt.Errorf("table %s: %w", t.name, errReadOnly)
	}
	if t.bucket() == nil {
		return nil
	}
	*t.changed = true
	return t.tx.Bucket(bucketTables).DeleteBucket([]byte(t.name))
}

// Scan is Table.Scan inside the transaction.
func (t *TableTx) Scan(prefix, from []byte, limit int) ([]Entry, error) {
	var rows []Entry
	err := t.Each(prefix, from, func(key, value []byte) bool {
		rows = append(rows, Entry{Key: bytes.Clone(key), Value: append([]byte{}, value...)})
		return len(rows) < pageLimit(limit)
	})
	return rows, err
}

// Each calls fn with every row whose key begins with prefix and is not below
// from, in order, until fn returns false. The slices are valid only during the
// call, and fn must not write to the table.
func (t *TableTx) Each(prefix, from []byte, fn func(key, value []byte) bool) error {
	b := t.bucket()
	if b == nil {
		return nil
	}
	if bytes.Compare(from, prefix) < 0 {
		from = prefix
	}
	c := b.Cursor()
	for k, v := c.Seek(from); k != nil && bytes.HasPrefix(k, prefix); k, v = c.Next() {
		if !fn(k, v) {
			break
		}
	}
	return nil
}

// cursorTable is where Cursor and SetCursor keep their numbers.
const cursorTable = "cursors"

// Cursor returns the receive number that SetCursor set under this name, 0 if
// none: how far a follower of the receive log has come.
func (s *Store) Cursor(name string) (rx uint64, err error) {
	err = s.Table(cursorTable).View(func(tx *TableTx) error {
		rx, err = tx.Cursor(name)
		return err
	})
	return rx, err
}

// SetCursor remembers how far a follower of the receive log has come.
func (s *Store) SetCursor(name string, rx uint64) error {
	return s.Table(cursorTable).Update(func(tx *TableTx) error { return tx.SetCursor(name, rx) })
}

// Cursor is Store.Cursor inside the transaction.
func (t *TableTx) Cursor(name string) (uint64, error) {
	v, err := t.Table(cursorTable).Get([]byte(name))
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	if err == nil && len(v) != 8 {
		err = fmt.Errorf("%w: cursor %q", ErrDamaged, name)
	}
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(v), nil
}

// SetCursor is Store.SetCursor inside the transaction, so that a cursor moves
// together with what was derived.
func (t *TableTx) SetCursor(name string, rx uint64) error {
	return t.Table(cursorTable).Put([]byte(name), binary.BigEndian.AppendUint64(nil, rx))
}
