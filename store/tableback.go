package store

import (
	"bytes"

	bolt "go.etcd.io/bbolt"
)

// ScanBack returns the rows whose key is not below low and is below high, the
// greatest first, at most limit and at most MaxPage; limit ≤ 0 means MaxPage,
// an empty high means no bound. To go on, pass the last key as high.
func (t *Table) ScanBack(low, high []byte, limit int) (rows []Entry, err error) {
	err = t.View(func(tx *TableTx) error {
		b := tx.bucket()
		if b == nil {
			return nil
		}
		c := b.Cursor()
		for k, v := below(c, high); k != nil && bytes.Compare(k, low) >= 0; k, v = c.Prev() {
			rows = append(rows, Entry{Key: bytes.Clone(k), Value: append([]byte{}, v...)})
			if len(rows) == pageLimit(limit) {
				return nil
			}
		}
		return nil
	})
	return rows, err
}

// below moves the cursor to the last key below high.
func below(c *bolt.Cursor, high []byte) (k, v []byte) {
	if len(high) == 0 {
		return c.Last()
	}
	if k, _ := c.Seek(high); k == nil {
		return c.Last()
	}
	return c.Prev()
}
