package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// view runs fn on a snapshot. fn must copy what it returns and must not wait
// for anything.
func (s *Store) view(fn func(*bolt.Tx) error) error {
	return s.viewFile(func(tx *bolt.Tx, _ *os.File) error { return fn(tx) })
}

// viewFile is view for who needs the file that the snapshot is of as well.
func (s *Store) viewFile(fn func(*bolt.Tx, *os.File) error) (err error) {
	s.swap.RLock()
	db := s.db
	tx, err := db.Begin(false)
	s.swap.RUnlock()
	if err != nil {
		return mapError(err)
	}
	defer tx.Rollback()
	defer guard(&err)()
	return fn(tx, db.file)
}

// update runs fn in a write transaction and commits it when fn reports a
// change.
func (s *Store) update(fn func(*bolt.Tx) (changed bool, err error)) (err error) {
	s.writer.Lock()
	defer s.writer.Unlock()
	tx, err := s.db.Begin(true)
	if err != nil {
		return mapError(err)
	}
	defer tx.Rollback()
	defer guard(&err)()
	if s.isBroken() {
		return ErrBroken
	}
	changed, err := fn(tx)
	if err != nil || !changed {
		return err
	}
	return s.finish(tx)
}

// finish commits. When that fails, it finds out whether the transaction may
// have taken place nevertheless: bbolt writes the page that makes it visible
// last, so if that page does not show the transaction nothing of it counts.
func (s *Store) finish(tx *bolt.Tx) error {
	txid := tx.ID()
	err := s.tryCommit(tx)
	if err == nil {
		return nil
	}
	tx.Rollback() // lets go of the writer's lock if commit did not
	seen, lookErr := s.lastTx()
	if lookErr == nil && seen < txid {
		return fmt.Errorf("committing: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = true
	return fmt.Errorf("%w: committing: %w", ErrBroken, err)
}

// lastTx returns the number of the last visible transaction, to a writer.
func (s *Store) lastTx() (int, error) {
	tx, err := s.db.Begin(false)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	return tx.ID(), nil
}

func (s *Store) isBroken() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken
}

// tryCommit commits; a panic is an error of the commit.
func (s *Store) tryCommit(tx *bolt.Tx) (err error) {
	defer guard(&err)()
	return s.commit(tx)
}

// guard turns a panic into ErrDamaged. bbolt panics on pages that cannot be
// right, and memory faults when a failing medium does not give up a page of
// the mapped file.
func guard(err *error) func() {
	before := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(before)
		if r := recover(); r != nil {
			*err = fmt.Errorf("%w: %v", ErrDamaged, r)
		}
	}
}

// mapError turns the errors of bbolt's Begin into ours.
func mapError(err error) error {
	switch {
	case errors.Is(err, berrors.ErrDatabaseNotOpen):
		return ErrClosed
	case errors.Is(err, berrors.ErrInvalidMapping):
		return ErrBroken
	}
	return err
}

// WriteTo writes a consistent copy of the store, as a file that Open takes, to
// w. Readers are not disturbed; a writer that must grow the file waits until
// the copy is done, so w should be fast.
func (s *Store) WriteTo(w io.Writer) (n int64, err error) {
	err = s.view(func(tx *bolt.Tx) (err error) {
		n, err = tx.WriteTo(w)
		return err
	})
	if err != nil {
		return n, fmt.Errorf("copying the store: %w", err)
	}
	return n, nil
}
