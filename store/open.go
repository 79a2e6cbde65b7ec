package store

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/ssbsync/ssbsync/store/durable"
)

// Open opens the store in the file path and makes it, with mode 0600, if there
// is none; the folder must exist. It returns ErrLocked when another process
// holds the file, ErrNotStore for a file that is something else (which is left
// as it is), ErrNewer for one of a later format.
func Open(path string, o Options) (*Store, error) {
	if err := ensure(path, o); err != nil {
		return nil, fmt.Errorf("opening store %s: %w", path, err)
	}
	s, err := open(path, o)
	if err != nil {
		return nil, fmt.Errorf("opening store %s: %w", path, err)
	}
	return s, nil
}

// open opens a file that is known to be there.
func open(path string, o Options) (*Store, error) {
	db, err := openLatest(path, o)
	if err != nil {
		return nil, err
	}
	removeLeftover(path)
	s := &Store{
		path:    path,
		options: o,
		db:      db,
		now:     o.Now,
		commit:  (*bolt.Tx).Commit,
		idLen:   len(shortID{}),
		changed: make(chan struct{}),
	}
	if s.now == nil {
		s.now = time.Now
	}
	if err := s.load(); err != nil {
		db.Close()
		return nil, err
	}
	return s, nil
}

// openLatest opens the file that has the name when it is locked: whoever waits
// for a store may get the lock of a file that a compaction has replaced.
func openLatest(path string, o Options) (*database, error) {
	for {
		if err := identify(path, o, false); err != nil {
			return nil, err
		}
		db, err := openDB(path, o)
		if err != nil {
			return nil, err
		}
		latest, err := isFile(path, db.file)
		if err == nil && latest {
			return db, nil
		}
		if err := errors.Join(err, db.Close()); err != nil {
			return nil, err
		}
	}
}

// ensure makes an empty store if there is no file at path. It is made under
// another name and renamed when it is complete, so that a process killed in
// the middle leaves nothing that cannot be opened.
func ensure(path string, o Options) error {
	for {
		info, err := os.Stat(path)
		switch {
		case err == nil && !info.Mode().IsRegular():
			return fmt.Errorf("%w: not a regular file", ErrNotStore)
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
		if _, err := os.Lstat(path); err == nil {
			return errors.New("it is a link to nothing")
		}
		if rescue(path, o) == nil {
			continue
		}
		if err := create(path+".new", o); err != nil {
			return err
		}
		err = install(path+".new", path)
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		// Another process renamed or removed it: look again.
	}
}

// create makes an empty store at path. What a killed process left there is
// used if it is complete, and made anew otherwise.
func create(path string, o Options) error {
	db, err := openDB(path, o)
	if errors.Is(err, ErrNotStore) {
		if err := os.Remove(path); err != nil {
			return err
		}
		db, err = openDB(path, o)
	}
	if err != nil {
		return err
	}
	err = db.Update(initialize)
	return errors.Join(err, db.Close())
}

// install gives the new store at made its name, unless another process was
// faster.
func install(made, path string) error {
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer root.Close()
	err = durable.Rename(root, filepath.Base(made), filepath.Base(path), false)
	if errors.Is(err, fs.ErrExist) {
		return root.Remove(filepath.Base(made))
	}
	return err
}

// initialize fills an empty database.
func initialize(tx *bolt.Tx) error {
	for _, name := range buckets() {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	meta := tx.Bucket(bucketMeta)
	if meta.Get(keyFormat) != nil {
		return nil
	}
	var id [16]byte
	rand.Read(id[:])
	if err := meta.Put(keyStoreID, id[:]); err != nil {
		return err
	}
	return meta.Put(keyFormat, binary.BigEndian.AppendUint32(nil, formatVersion))
}

// identify refuses a file that is no store, without writing to it. For thorough
// see pageTree.
func identify(path string, o Options, thorough bool) (err error) {
	defer guard(&err)()
	b := boltOptions(o)
	b.ReadOnly = true
	var file *os.File // the name may be another file's by the time this one is locked
	b.OpenFile = func(name string, flag int, mode fs.FileMode) (_ *os.File, err error) {
		file, err = os.OpenFile(name, flag, mode)
		return file, err
	}
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
	if err := checkOpened(file, tx, uint64(tx.ID()), thorough); err != nil {
		return err
	}
	return checkFormat(tx)
}

// checkFile looks whether the file is whole and its pages are in order.
func checkFile(path string, tx *bolt.Tx, txid uint64, thorough bool) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return checkOpened(file, tx, txid, thorough)
}

// checkOpened is checkFile for a file that is open.
func checkOpened(file *os.File, tx *bolt.Tx, txid uint64, thorough bool) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Size() < tx.Size() {
		return fmt.Errorf("%w: file has %d of %d bytes", ErrDamaged, info.Size(), tx.Size())
	}
	return checkPages(file, tx, txid, thorough)
}

// checkFormat looks whether the database is a store of this version.
func checkFormat(tx *bolt.Tx) error {
	meta := tx.Bucket(bucketMeta)
	if meta == nil {
		return fmt.Errorf("%w: another bbolt database", ErrNotStore)
	}
	format := meta.Get(keyFormat)
	if len(format) != 4 || len(meta.Get(keyStoreID)) != 16 {
		return fmt.Errorf("%w: another bbolt database", ErrNotStore)
	}
	if v := binary.BigEndian.Uint32(format); v != formatVersion {
		return fmt.Errorf("%w (format %d; this one reads %d)", ErrNewer, v, formatVersion)
	}
	for _, name := range buckets() {
		if tx.Bucket(name) == nil {
			return fmt.Errorf("%w: bucket %q is missing", ErrDamaged, name)
		}
	}
	return nil
}

// boltOptions are the settings of the database. The freelist is stored: a
// store of a million messages then opens in milliseconds.
func boltOptions(o Options) *bolt.Options {
	return &bolt.Options{
		Timeout:      max(o.Timeout, time.Nanosecond),
		FreelistType: bolt.FreelistMapType,
		PageSize:     pageSize,
		MaxSize:      int(min(o.MaxSize, math.MaxInt)),
		NoStatistics: true,
	}
}

// mapSize is how much address space the file gets at once, where there is
// plenty. As long as the file is smaller, bbolt need not map it anew when it
// grows, for which it would wait until no reader is left and copy all that the
// transaction holds.
const mapSize int64 = 64 << 30

// growStep is by how much bbolt lengthens the file. Its default of 16 MiB makes
// the store of somebody who just begins look large.
const growStep = 1 << 20

// database is an open database and its file.
type database struct {
	*bolt.DB
	file *os.File
}

// size returns the length of the file.
func (db *database) size() (int64, error) {
	info, err := db.file.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// openDB opens the database for writing.
func openDB(path string, o Options) (db *database, err error) {
	defer guard(&err)()
	db = new(database)
	b := boltOptions(o)
	b.OpenFile = func(name string, flag int, mode fs.FileMode) (file *os.File, err error) {
		db.file, err = os.OpenFile(name, flag, mode)
		return db.file, err
	}
	// Windows makes the file as long as its mapping.
	if strconv.IntSize == 64 && runtime.GOOS != "windows" && o.MaxSize == 0 {
		size := mapSize
		b.InitialMmapSize = int(size)
	}
	db.DB, err = bolt.Open(path, 0o600, b)
	if errors.Is(err, syscall.ENOMEM) { // address space is limited (ulimit -v)
		b.InitialMmapSize = 0
		db.DB, err = bolt.Open(path, 0o600, b)
	}
	if err != nil {
		return nil, mapOpenError(path, err)
	}
	db.AllocSize = growStep
	return db, nil
}

// mapOpenError turns the errors of bbolt's Open into ours.
func mapOpenError(path string, err error) error {
	var system *fs.PathError
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return ErrLocked
	case errors.As(err, &system) && system.Path == path && system.Op == "open":
		return err
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrVersionMismatch), errors.Is(err, berrors.ErrChecksum):
		return fmt.Errorf("%w: %v", ErrNotStore, err)
	}
	// A new database has four pages.
	if info, e := os.Stat(path); e == nil && info.Size() < 4*pageSize {
		return fmt.Errorf("%w: %d bytes are too few", ErrNotStore, info.Size())
	}
	return err
}

// load reads what the Store keeps in memory.
func (s *Store) load() error {
	return s.view(func(tx *bolt.Tx) error {
		key, _ := tx.Bucket(bucketMessages).Cursor().Last()
		s.last = parseRxKey(key)
		copy(s.id[:], tx.Bucket(bucketMeta).Get(keyStoreID))
		return nil
	})
}

// RenewID gives the store a new random id, for a store that found out that it
// is a restored copy.
func (s *Store) RenewID() error {
	var id [16]byte
	rand.Read(id[:])
	err := s.update(func(tx *bolt.Tx) (bool, error) {
		return true, tx.Bucket(bucketMeta).Put(keyStoreID, id[:])
	})
	if err != nil {
		return fmt.Errorf("renewing the store id: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.id = id
	return nil
}
