//go:build unix

package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/ssbsync/ssbsync/store/durable"
)

// replace gives the new file the name of the store and goes on with it. Both
// are locked all the time: whoever waits for the old one finds out that its
// name is another's (see open). The caller holds the writer's lock, and closes
// the old one.
func (s *Store) replace(c *compaction, made *database) (old *database, err error) {
	root, err := os.OpenRoot(filepath.Dir(c.path))
	if err == nil {
		defer root.Close()
		err = c.step("rename")
	}
	if err == nil {
		err = root.Rename(filepath.Base(c.temp), filepath.Base(c.path))
	}
	if err != nil {
		return nil, errors.Join(err, made.Close(), remove(c.temp))
	}
	s.swap.Lock()
	old, s.db = s.db, made
	s.swap.Unlock()
	if err = c.step("syncdir"); err == nil {
		err = durable.SyncDir(root, ".")
	}
	if err != nil {
		// Nobody knows which file has the name after a power cut: what was
		// written from now on could be lost.
		s.mu.Lock()
		s.broken = true
		s.mu.Unlock()
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrBroken, err), old.Close())
	}
	return old, nil
}

// chown gives a file the owner of another, if it has not.
func chown(file *os.File, like fs.FileInfo) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	has, want := info.Sys().(*syscall.Stat_t), like.Sys().(*syscall.Stat_t)
	if has.Uid == want.Uid && has.Gid == want.Gid {
		return nil
	}
	return file.Chown(int(want.Uid), int(want.Gid))
}
