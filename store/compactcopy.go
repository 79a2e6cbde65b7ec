package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"

	bolt "go.etcd.io/bbolt"

	"github.com/ssbsync/ssbsync/store/durable"
)

// compactBatch is how many bytes of rows the copy holds in memory at once.
const compactBatch = 8 << 20

// compactFill is how full the copy makes pages whose rows grow or come between
// others later: full ones would all be split by the next messages.
const compactFill = 0.9

// write writes the copy, with the owner and mode of the store, and makes sure
// that it is on the medium.
func (c *compaction) write(tx *bolt.Tx) (err error) {
	if err := c.step("create"); err != nil {
		return err
	}
	db, err := createDB(c.temp, c.s.options)
	if err != nil {
		return err
	}
	db.NoSync = true // until it is complete
	db.AllocSize = 0 // no longer than it must be
	c.begin(CompactCopying, c.total)
	w := &copier{c: c, db: db}
	if err = keepOwner(c.s.db.file, db.file); err == nil {
		err = w.copy(tx)
	}
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	return c.sync()
}

// sync makes sure that the copy is on the medium, and has the system forget
// what it remembers of it.
func (c *compaction) sync() error {
	if err := c.step("sync"); err != nil {
		return err
	}
	file, err := os.OpenFile(c.temp, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := file.Sync(); err != nil {
		return err
	}
	c.report.Verified = durable.DropCache(file)
	return nil
}

// createDB makes a new database.
func createDB(path string, o Options) (*database, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	return openDB(path, o)
}

// keepOwner gives a new file the owner and mode of the old one.
func keepOwner(old, made *os.File) error {
	info, err := old.Stat()
	if err != nil {
		return err
	}
	if err := chown(made, info); err != nil {
		return fmt.Errorf("keeping the owner of the file: %w", err)
	}
	return made.Chmod(info.Mode() & fs.ModePerm)
}

// copier copies rows into the new database.
type copier struct {
	c       *compaction
	db      *database
	tx      *bolt.Tx
	pending int // bytes put since the last commit
}

// copy copies everything. The version of the format comes last: what lacks it
// is no store.
func (w *copier) copy(from *bolt.Tx) (err error) {
	if w.tx, err = w.db.Begin(true); err != nil {
		return err
	}
	defer func() { w.tx.Rollback() }()
	err = from.ForEach(func(name []byte, b *bolt.Bucket) error {
		return w.bucket([][]byte{name}, b)
	})
	if err != nil {
		return err
	}
	format := from.Bucket(bucketMeta).Get(keyFormat)
	if err := w.tx.Bucket(bucketMeta).Put(keyFormat, format); err != nil {
		return err
	}
	if err := w.c.step("complete"); err != nil {
		return err
	}
	return w.tx.Commit()
}

// bucket copies one bucket and those in it.
func (w *copier) bucket(path [][]byte, from *bolt.Bucket) error {
	to, err := w.open(path)
	if err != nil {
		return err
	}
	if err := to.SetSequence(from.Sequence()); err != nil {
		return err
	}
	return from.ForEach(func(k, v []byte) error {
		if v == nil {
			if err := w.bucket(append(path[:len(path):len(path)], k), from.Bucket(k)); err != nil {
				return err
			}
			to, err = w.open(path)
			return err
		}
		if bytes.Equal(k, keyFormat) && len(path) == 1 && bytes.Equal(path[0], bucketMeta) {
			return nil
		}
		committed, err := w.flush(len(k) + len(v))
		if err != nil {
			return err
		}
		if committed {
			if to, err = w.open(path); err != nil {
				return err
			}
		}
		return to.Put(k, v) // v stays where it is until the commit: in from
	})
}

// open returns a bucket of the current transaction, which it makes if need be.
func (w *copier) open(path [][]byte) (b *bolt.Bucket, err error) {
	if b, err = w.tx.CreateBucketIfNotExists(path[0]); err != nil {
		return nil, err
	}
	for _, name := range path[1:] {
		if b, err = b.CreateBucketIfNotExists(name); err != nil {
			return nil, err
		}
	}
	b.FillPercent = compactFill
	if ascends(path) {
		b.FillPercent = 1
	}
	return b, nil
}

// ascends reports whether new rows of a bucket only ever follow the old ones,
// and those stay as they are.
func ascends(path [][]byte) bool {
	return len(path) == 1 && (bytes.Equal(path[0], bucketMessages) || bytes.Equal(path[0], bucketNumbers))
}

// flush commits when the next row would make the transaction too large, and
// reports whether it did.
func (w *copier) flush(next int) (committed bool, err error) {
	if err := w.c.count(CompactCopying, next); err != nil {
		return false, err
	}
	if w.pending += next; w.pending < compactBatch {
		return false, nil
	}
	w.pending = next
	if err := w.c.step("copy"); err != nil {
		return false, err
	}
	if err := w.tx.Commit(); err != nil {
		return false, err
	}
	w.tx, err = w.db.Begin(true)
	if err != nil {
		return false, err
	}
	return true, nil
}

// compare makes sure that the new database is sound and holds what the old one
// does.
func (c *compaction) compare(old *bolt.Tx, db *database) (err error) {
	defer guard(&err)()
	made, err := db.Begin(false)
	if err != nil {
		return err
	}
	defer made.Rollback()
	if err := checkFile(c.temp, made, uint64(made.ID()), true); err != nil {
		return fmt.Errorf("the copy: %w", err)
	}
	return c.compareRows(old.Cursor(), made.Cursor(), old.Bucket, made.Bucket)
}

// errDiffers says that the copy is not what was written.
var errDiffers = errors.New("the copy is not the same: the disk or its memory fails")

// compareRows compares two buckets, row by row; bucketOf return those in them.
func (c *compaction) compareRows(old, made *bolt.Cursor, oldBucket, madeBucket func([]byte) *bolt.Bucket) error {
	k, v := old.First()
	for mk, mv := made.First(); k != nil || mk != nil; mk, mv = made.Next() {
		if !bytes.Equal(k, mk) || (k == nil) != (mk == nil) || (v == nil) != (mv == nil) || !bytes.Equal(v, mv) {
			return errDiffers
		}
		if err := c.count(CompactComparing, len(k)+len(v)); err != nil {
			return err
		}
		if v == nil {
			a, b := oldBucket(k), madeBucket(k)
			if a == nil || b == nil || a.Sequence() != b.Sequence() {
				return errDiffers
			}
			if err := c.compareRows(a.Cursor(), b.Cursor(), a.Bucket, b.Bucket); err != nil {
				return err
			}
		}
		k, v = old.Next()
	}
	return nil
}
