package blobs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store/durable"
)

// DefaultMax is how large a blob may be unless Config.Max says otherwise: what
// ssb-blobs takes, in bytes.
const DefaultMax = 5 << 20

// The folders below that of the store.
const (
	hashDir = "sha256"
	tmpDir  = "tmp"
)

// Errors that callers tell apart.
var (
	// ErrNotFound says that a blob is not here.
	ErrNotFound = errors.New("blob not found")

	// ErrTooLarge says that a blob is larger than the limit.
	ErrTooLarge = errors.New("blob is too large")

	// ErrDamaged says that a file does not hold the blob it is named after.
	ErrDamaged = errors.New("blob is damaged")
)

// empty is the id of the blob without bytes.
var empty = refs.SumBlob(nil)

// Config are the settings of Open. The zero value is useful.
type Config struct {
	Max int64            // bytes of one blob; 0 means DefaultMax
	Now func() time.Time // of the times of additions; nil means time.Now
}

// Info describes a stored blob.
type Info struct {
	ID   refs.Blob
	Size int64 // bytes
	Time int64 // when it was stored, milliseconds since 1970
}

// Store is a folder of blobs. Its methods may be called from many goroutines.
type Store struct {
	root *os.Root
	max  int64
	now  func() time.Time

	added additions

	mu      sync.Mutex // guards what follows
	counted bool       // count and bytes are known
	count   int64
	bytes   int64

	fault func(step string) error // of tests: fails a step of a write
}

// Open opens a folder of blobs, makes it if it is not there, and removes what
// an earlier process left unfinished in tmp/. One process at a time may have
// it open. The folder itself may be reached by a link, those in it may not.
func Open(dir string, c Config) (*Store, error) {
	if c.Max == 0 {
		c.Max = DefaultMax
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening the blobs: %w", err)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the blobs: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the blobs: %w", err)
	}
	s := &Store{root: root, max: c.Max, now: c.Now}
	s.added.init()
	if err := s.prepare(); err != nil {
		root.Close()
		return nil, fmt.Errorf("opening the blobs: %w", err)
	}
	return s, nil
}

// prepare makes the folders and empties tmp/, as far as that can be done: a
// folder that is full or cannot be written to can still be read.
func (s *Store) prepare() error {
	for _, dir := range []string{hashDir, tmpDir} {
		_ = s.root.Mkdir(dir, 0o700)
		if info, err := s.root.Lstat(dir); err == nil && !info.IsDir() {
			return fmt.Errorf("%s is no folder (only %s itself may be a link)", filepath.Join(s.root.Name(), dir), s.root.Name())
		}
	}
	left, err := s.list(tmpDir)
	for _, entry := range left {
		_ = s.root.RemoveAll(tmpDir + "/" + entry.Name())
	}
	return err
}

// Close closes the folder. Open files stay readable.
func (s *Store) Close() error { return s.root.Close() }

// Max is how large a blob may be, in bytes.
func (s *Store) Max() int64 { return s.max }

// Has reports whether a blob is here.
func (s *Store) Has(id refs.Blob) bool {
	_, err := s.Info(id)
	return err == nil
}

// Size returns the size of a blob in bytes, or ErrNotFound.
func (s *Store) Size(id refs.Blob) (int64, error) {
	info, err := s.Info(id)
	return info.Size, err
}

// Info describes a blob that is here, or returns ErrNotFound.
func (s *Store) Info(id refs.Blob) (Info, error) {
	if id == empty {
		return Info{ID: id}, nil
	}
	file, err := os.Lstat(s.path(id))
	if err == nil && !isBlob(id, file) {
		err = durable.ErrNotRegular
	}
	if err != nil {
		return Info{}, notFound(id, err)
	}
	return infoOf(id, file), nil
}

// path is where a blob lies, for looking only: that is asked often, and going
// down from the root costs five times as much.
func (s *Store) path(id refs.Blob) string {
	return filepath.Join(s.root.Name(), filepath.FromSlash(pathOf(id)))
}

// isBlob reports whether a file may be the blob it is named after. An empty one
// is what a program leaves that was killed before its data reached the medium.
func isBlob(id refs.Blob, file fs.FileInfo) bool {
	return file.Mode().IsRegular() && (file.Size() > 0 || id == empty)
}

func infoOf(id refs.Blob, file fs.FileInfo) Info {
	return Info{ID: id, Size: file.Size(), Time: file.ModTime().UnixMilli()}
}

// notFound puts the error of a file in words; what is no file is no blob.
func notFound(id refs.Blob, err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, durable.ErrNotRegular) {
		return fmt.Errorf("blob %s: %w", id, ErrNotFound)
	}
	return fmt.Errorf("blob %s: %v", id, err)
}

// Remove removes a blob, or returns ErrNotFound. The empty blob stays.
func (s *Store) Remove(id refs.Blob) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	info, err := s.Info(id)
	if err != nil {
		return err
	}
	err = s.root.Remove(pathOf(id))
	if id == empty && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return notFound(id, err)
	}
	if s.counted {
		s.count--
		s.bytes -= info.Size
	}
	return nil
}

// Usage returns how many blobs are here and how many bytes they take. The first
// call lists the folder.
func (s *Store) Usage() (count, bytes int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counted {
		return s.count, s.bytes, nil
	}
	for info, err := range s.All() {
		if err != nil {
			return 0, 0, err
		}
		count++
		bytes += info.Size
	}
	s.counted, s.count, s.bytes = true, count, bytes
	return count, bytes, nil
}
