package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	bolt "go.etcd.io/bbolt"

	"github.com/ssbsync/ssbsync/store/durable"
)

// CompactPhase is what Compact is doing.
type CompactPhase string

// The phases of Compact, in their order.
const (
	CompactChecking  CompactPhase = "checking"  // the pages of the store
	CompactCopying   CompactPhase = "copying"   // into a new file
	CompactComparing CompactPhase = "comparing" // the new file with the old one
)

// CompactOptions are the settings of Compact. The zero value is useful.
type CompactOptions struct {
	// Reserve is how many bytes must stay free on the disk. An error that
	// durable.IsFull recognises says that they would not.
	Reserve int64

	// Progress, if set, is told how many of how many bytes a phase has done.
	Progress func(phase CompactPhase, done, total int64)
}

// CompactReport tells what Compact did: the size of the file before and after.
// They are equal when there was nothing to gain and the file was left alone.
type CompactReport struct {
	Before, After int64

	// Verified says that the new file was compared with the old one as it is
	// on the medium, not as the system remembers it.
	Verified bool
}

// compactSuffix is what the new file is called until it takes the place of the
// store.
const compactSuffix = ".compact"

// Compact gives space that the store no longer needs back to the disk, by
// copying all there is into a new file, which takes the place of the old one
// when it is complete, on the medium and compared with it: whatever happens
// meanwhile, the store is the old one or the new one. It keeps everything, the
// store id as well, and the owner and the mode of the file.
//
// Writers wait until it is done; readers and those that wait for changes do
// not notice it. The file that it replaces goes when the last reader has left
// it, for which Compact waits at the end.
//
// An error leaves the store as it was and usable, but for ErrBroken.
func (s *Store) Compact(ctx context.Context, o CompactOptions) (report CompactReport, err error) {
	c := &compaction{s: s, ctx: ctx, options: o}
	old, err := c.run()
	if err == nil && old != nil {
		err = old.Close()
	}
	if err != nil {
		return CompactReport{}, fmt.Errorf("compacting the store: %w", err)
	}
	return c.report, nil
}

// compaction is one Compact.
type compaction struct {
	s       *Store
	ctx     context.Context
	options CompactOptions
	report  CompactReport

	path, temp string // of the store, which path may only lead to, and of the new file
	total      int64  // bytes of all pages in use
	done       int64
	steps      int
}

// run does all of it but close the old database, which it returns when it was
// replaced.
func (c *compaction) run() (old *database, err error) {
	s := c.s
	s.writer.Lock()
	defer s.writer.Unlock()
	if s.isBroken() {
		return nil, ErrBroken
	}
	if err := c.locate(); err != nil {
		return nil, err
	}
	made, err := c.make()
	if err != nil || made == nil {
		return nil, err
	}
	if old, err = s.replace(c, made); err != nil {
		return nil, err
	}
	return old, nil
}

// locate finds out where the file is and what it is like, and makes sure that
// it is still the one that was opened.
func (c *compaction) locate() (err error) {
	if c.path, err = filepath.EvalSymlinks(c.s.path); err != nil {
		return err
	}
	c.temp = c.path + compactSuffix
	if same, err := isFile(c.path, c.s.db.file); err != nil || !same {
		return errors.Join(err, fmt.Errorf("%s is no longer the file that was opened", c.path))
	}
	info, err := os.Stat(c.path)
	if err != nil {
		return err
	}
	c.report.Before, c.report.After = info.Size(), info.Size()
	return nil
}

// make makes the new database. It returns nil when that would gain nothing.
func (c *compaction) make() (made *database, err error) {
	if err := os.Remove(c.temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	err = c.s.view(func(tx *bolt.Tx) (err error) {
		made, err = c.copyFrom(tx)
		return err
	})
	if err == nil && made != nil {
		if c.report.After, err = made.size(); err == nil && c.report.After < c.report.Before {
			return made, nil
		}
		err = errors.Join(err, made.Close())
		c.report.After = c.report.Before
	}
	return nil, errors.Join(err, remove(c.temp))
}

// copyFrom makes the new file from a snapshot, and opens it.
func (c *compaction) copyFrom(tx *bolt.Tx) (*database, error) {
	if err := c.step("check"); err != nil {
		return nil, err
	}
	c.begin(CompactChecking, tx.Size())
	if err := c.readThrough(c.s.db.file); err != nil {
		return nil, err
	}
	// Copying follows the pages: none may be missing.
	if err := checkFile(c.path, tx, uint64(tx.ID()), true); err != nil {
		return nil, err
	}
	space, err := spaceOf(c.s.db.file, tx)
	if err != nil {
		return nil, err
	}
	c.total = tx.Size() - space
	if err := c.room(); err != nil {
		return nil, err
	}
	if err := c.write(tx); err != nil {
		return nil, err
	}
	return c.reopen(tx)
}

// room makes sure that the disk has room for the copy.
func (c *compaction) room() error {
	free, _, err := durable.FreeSpace(filepath.Dir(c.path))
	if err != nil {
		return nil // a system that does not tell will say so by ENOSPC
	}
	if need := c.total + c.total/16 + c.options.Reserve; free < uint64(need) {
		return fmt.Errorf("the copy takes up to %d MiB beside the store for a while, and %d MiB are free: %w", need>>20, free>>20, syscall.ENOSPC)
	}
	return nil
}

// reopen opens the new file as a store that it will be, locked, and compares it
// with the old one.
func (c *compaction) reopen(tx *bolt.Tx) (db *database, err error) {
	if err := c.step("reopen"); err != nil {
		return nil, err
	}
	if db, err = openDB(c.temp, c.s.options); err != nil {
		return nil, err
	}
	c.begin(CompactComparing, c.total)
	if err = c.readThrough(db.file); err == nil {
		err = c.compare(tx, db)
	}
	if err == nil {
		err = c.step("compared")
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// readThrough reads a file from its beginning to its end. The database is
// mapped for reading here and there, one page at a time, which takes minutes
// where nothing of it is in memory and seconds where this was done before.
func (c *compaction) readThrough(file *os.File) error {
	buf := make([]byte, 1<<20)
	for at := int64(0); ; at += int64(len(buf)) {
		if err := context.Cause(c.ctx); err != nil {
			return err
		}
		switch _, err := file.ReadAt(buf, at); {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// begin begins a phase.
func (c *compaction) begin(phase CompactPhase, total int64) {
	c.done = 0
	c.tell(phase, 0, total)
}

func (c *compaction) tell(phase CompactPhase, done, total int64) {
	if c.options.Progress != nil {
		c.options.Progress(phase, done, total)
	}
}

// count is called with the size of every row. It ends the work with its context
// or when the store is closed.
func (c *compaction) count(phase CompactPhase, bytes int) error {
	c.done += int64(bytes)
	if c.steps++; c.steps%1024 != 0 {
		return nil
	}
	c.tell(phase, min(c.done, c.total), c.total)
	if c.s.isClosed() {
		return ErrClosed
	}
	return context.Cause(c.ctx)
}

// step is called between things that change the disk; tests fail there.
func (c *compaction) step(name string) error {
	if err := context.Cause(c.ctx); err != nil {
		return err
	}
	if c.s.fault == nil {
		return nil
	}
	return c.s.fault(name)
}

// removeLeftover removes what a compaction left beside the store that was
// killed. It is called by whoever holds the store's lock, so that none is under
// way. What cannot be removed is tried again by the next one.
func removeLeftover(path string) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		_ = os.Remove(real + compactSuffix)
	}
}

// rescue gives the copy that a compaction left its name, if it is complete and
// there is no store: some file systems, after a power cut, have lost the name
// that was just given to another file.
func rescue(path string, o Options) error {
	info, err := os.Lstat(path + compactSuffix)
	if err != nil || !info.Mode().IsRegular() {
		return fs.ErrNotExist
	}
	if err := identify(path+compactSuffix, o, true); err != nil {
		return err
	}
	return install(path+compactSuffix, path)
}

// isFile reports whether the name leads to the open file.
func isFile(path string, file *os.File) (bool, error) {
	named, err := os.Stat(path)
	if err != nil {
		return false, err
	}
	opened, err := file.Stat()
	return err == nil && os.SameFile(named, opened), err
}

// remove removes a file that need not be there.
func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
