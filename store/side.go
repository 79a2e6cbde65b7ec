package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	bolt "go.etcd.io/bbolt"
)

// Side is a file of tables beside a store, for what follows from its messages
// and is made anew when it is lost. It keeps large indexes out of the store:
// writing to it neither holds up whoever appends messages nor makes the store's
// own file grow, and the file may be deleted while it is closed. Its methods
// may be called from many goroutines.
type Side struct {
	mu     sync.RWMutex // held for writing by Close, for reading while db is in use
	db     *database
	closed bool
}

// OpenSide opens the file path and makes it, with mode 0600, if there is none.
// Errors wrap ErrLocked when another process holds it, ErrDamaged or
// ErrNotStore when it is to be deleted and made anew.
func OpenSide(path string, o Options) (*Side, error) {
	db, err := openSide(path, o)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	return &Side{db: db}, nil
}

func openSide(path string, o Options) (*database, error) {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: not a regular file", ErrNotStore)
	} else if err == nil && info.Size() > 0 {
		if err := inspectSide(path, o); err != nil {
			return nil, err
		}
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	db, err := openDB(path, o)
	if err != nil {
		return nil, err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucketTables)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// inspectSide looks whether the pages of the file are in order.
func inspectSide(path string, o Options) (err error) {
	defer guard(&err)()
	b := boltOptions(o)
	b.ReadOnly = true
	db, err := bolt.Open(path, 0o600, b)
	if err != nil {
		return mapOpenError(path, err)
	}
	defer db.Close()
	tx, err := db.Begin(false)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := checkFile(path, tx, uint64(tx.ID()), false); err != nil {
		return err
	}
	if tx.Bucket(bucketTables) == nil {
		return fmt.Errorf("%w: another bbolt database", ErrNotStore)
	}
	return nil
}

// View runs fn on a snapshot of the table with a name. fn must not wait for
// anything, nor call methods of the Side.
func (f *Side) View(name string, fn func(*TableTx) error) (err error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.closed {
		return ErrClosed
	}
	tx, err := f.db.Begin(false)
	if err != nil {
		return mapError(err)
	}
	defer tx.Rollback()
	defer guard(&err)()
	return fn(&TableTx{tx: tx, name: name})
}

// Update runs fn in a transaction that is durable when Update returns nil; if
// fn returns an error nothing of it counts. fn must not call methods of the
// Side. After any other error the file is best closed and opened again.
func (f *Side) Update(name string, fn func(*TableTx) error) (err error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.closed {
		return ErrClosed
	}
	tx, err := f.db.Begin(true)
	if err != nil {
		return mapError(err)
	}
	defer tx.Rollback()
	defer guard(&err)()
	w := &TableTx{tx: tx, name: name, changed: new(bool)}
	if err := fn(w); err != nil || !*w.changed {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("committing: %w", mapError(err))
	}
	return nil
}

// Close waits until nobody uses the file any more and closes it.
func (f *Side) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil
	}
	f.closed = true
	return f.db.Close()
}
