// Package store keeps messages in one bbolt file: the messages themselves in
// the order in which they were received, the head of every feed, indexes by
// feed and sequence and by id, the evidence of forks, messages that wait for
// the ones before them, and small ordered tables for whoever derives something
// from the messages.
//
// Messages get in only through Append, which takes what message.Verify or
// message.Create made and applies message.Head.Next again inside the
// transaction. They come out as Records, never as Messages. A message, its
// feed's head, its place in the receive order and its index entries are one
// transaction, and that transaction is on disk when Append returns: commit is
// the only truth. Whatever else is derived from the messages follows the
// receive log from a cursor of its own (Wait, LogPage, Table) and can be
// rebuilt.
//
// The format of the file is described in layout.go. One process at a time
// holds it. All methods may be called from many goroutines; writers take
// turns, readers work on snapshots that they leave before they return, so a
// slow consumer never holds up the writer.
package store

import (
	"errors"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
)

var (
	// ErrLocked says that another process (or another Store of this one)
	// holds the file.
	ErrLocked = errors.New("store is in use by another process")

	// ErrNotFound says that the store holds no such thing.
	ErrNotFound = errors.New("not found in the store")

	// ErrClosed says that the Store was closed.
	ErrClosed = errors.New("store is closed")

	// ErrBroken says that a commit failed in a way that leaves open whether
	// it took place: this Store takes nothing more and must be opened anew.
	// A commit that certainly did not take place (disk full, for one) gives
	// another error and leaves the Store usable.
	ErrBroken = errors.New("store can no longer be trusted and must be reopened")

	// ErrNotStore says that the file is no store of ours.
	ErrNotStore = errors.New("not a message store")

	// ErrNewer says that the file was made by a newer version of the program.
	ErrNewer = errors.New("store was made by a newer version of this program")

	// ErrDamaged says that what was read from the file cannot be right.
	ErrDamaged = errors.New("store is damaged")
)

// Options are the settings of Open. The zero value is useful.
type Options struct {
	// Timeout is how long Open waits for another process to leave the
	// store. Zero means not at all.
	Timeout time.Duration

	// Now is the clock of the receive timestamps; nil means time.Now.
	Now func() time.Time

	// MaxSize bounds the file, in bytes; an Append that would need more
	// fails and leaves the store as it was. Zero means no bound.
	MaxSize int64
}

// Store is an open message store.
type Store struct {
	path    string
	options Options
	now     func() time.Time

	commit func(*bolt.Tx) error    // ends a write transaction; tests make it fail
	fault  func(step string) error // called between the steps of Compact if set, for tests
	idLen  int                     // bytes of an id in the index; tests make it less

	writer sync.Mutex   // held by who writes, or replaces db
	swap   sync.RWMutex // guards db for who has not writer, while it begins a transaction
	db     *database

	slabs sync.Pool // of *[slabLen]byte, for Append

	mu      sync.Mutex    // guards what follows
	id      [16]byte      // store id
	last    uint64        // newest committed receive number
	changed chan struct{} // closed and replaced when last moves
	closed  bool
	broken  bool
}

// ID returns the store id: 16 random bytes made with the store, so that two
// stores of one identity, or a store and its restored copy, can be told apart.
func (s *Store) ID() [16]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.id
}

// Path returns the name of the file as it was given to Open.
func (s *Store) Path() string { return s.path }

// Close waits for running calls and closes the file. Goroutines in Wait return
// ErrClosed. Closing twice does nothing.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.changed)
	s.mu.Unlock()
	s.writer.Lock()
	defer s.writer.Unlock()
	return s.db.Close()
}

func (s *Store) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}
