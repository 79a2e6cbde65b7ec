//go:build !unix

package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// replace gives the new file the name of the store and goes on with it. Open
// files cannot be renamed here: both are closed for a moment, in which nobody
// can begin a transaction. Another process that takes the store in this moment
// makes the rename fail, or this Store of no use; nothing is lost. The caller
// holds the writer's lock.
func (s *Store) replace(c *compaction, made *database) (old *database, err error) {
	if err := errors.Join(c.step("rename"), made.Close()); err != nil {
		return nil, errors.Join(err, made.Close(), remove(c.temp))
	}
	s.swap.Lock()
	defer s.swap.Unlock()
	err = s.db.Close()
	if err == nil {
		err = os.Rename(c.temp, c.path)
	}
	if err != nil {
		err = errors.Join(err, remove(c.temp))
	}
	db, again := openDB(s.path, s.options)
	if again != nil {
		s.mu.Lock()
		s.broken = true
		s.mu.Unlock()
		return nil, fmt.Errorf("%w: %w", ErrBroken, errors.Join(err, again))
	}
	s.db = db
	return nil, err
}

// chown does nothing: a file belongs to whoever owns its folder.
func chown(*os.File, fs.FileInfo) error { return nil }
