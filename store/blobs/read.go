package blobs

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store/durable"
)

// File is an open blob. It reads, seeks, and reads at offsets; Size is that of
// the blob in bytes. It stays readable when the blob is removed (not on
// Windows, where it cannot be removed then).
type File struct {
	*io.SectionReader
	f *os.File // nil for the empty blob
}

// Close closes the file.
func (f *File) Close() error {
	if f.f == nil {
		return nil
	}
	return f.f.Close()
}

// Open opens a blob for reading, or returns ErrNotFound.
func (s *Store) Open(id refs.Blob) (*File, error) {
	if id == empty {
		return &File{SectionReader: io.NewSectionReader(bytes.NewReader(nil), 0, 0)}, nil
	}
	f, info, err := durable.OpenRegular(s.root, pathOf(id), -1)
	if err == nil && !isBlob(id, info) {
		f.Close()
		err = durable.ErrNotRegular
	}
	if err != nil {
		return nil, notFound(id, err)
	}
	return &File{SectionReader: io.NewSectionReader(f, 0, info.Size()), f: f}, nil
}

// ReadAll reads a blob of at most limit bytes and compares it with its id:
// ErrNotFound, ErrTooLarge or ErrDamaged. Limit 0 means Max.
func (s *Store) ReadAll(id refs.Blob, limit int64) ([]byte, error) {
	f, err := s.Open(id)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if limit == 0 {
		limit = s.max
	}
	if f.Size() > limit {
		return nil, fmt.Errorf("blob %s: %d bytes, more than %d: %w", id, f.Size(), limit, ErrTooLarge)
	}
	data := make([]byte, f.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, fmt.Errorf("blob %s: %v", id, err)
	}
	if refs.SumBlob(data) != id {
		return nil, fmt.Errorf("blob %s: %w", id, ErrDamaged)
	}
	return data, nil
}

// Verify reads a blob of any size and compares it with its id.
func (s *Store) Verify(id refs.Blob) error {
	f, err := s.Open(id)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return fmt.Errorf("blob %s: %v", id, err)
	}
	if refs.Blob(sum.Sum(nil)) != id {
		return fmt.Errorf("blob %s: %w", id, ErrDamaged)
	}
	return nil
}

// sortedEntries reads all entries of a folder, by name.
func sortedEntries(f *os.File) ([]fs.DirEntry, error) {
	entries, err := f.ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, err
}
