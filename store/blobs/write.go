package blobs

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store/durable"
)

// MismatchError says that bytes are not the blob they were said to be.
type MismatchError struct {
	Want, Got refs.Blob
}

// Error names both ids in the words of npm multiblob.
func (e *MismatchError) Error() string {
	return fmt.Sprintf("actual hash:%s did not match expected id:%s", e.Got, e.Want)
}

// Writer is a blob on its way in: bytes are hashed as they are written, to a
// file in tmp/. Commit stores it; Close before that leaves nothing. It is used
// by one goroutine.
type Writer struct {
	s     *Store
	limit int64
	size  int64
	sum   hash.Hash
	temp  string
	f     *os.File // nil once closed
}

// NewWriter starts a blob of at most limit bytes; 0 means Max, and more than
// that is no more than Max.
func (s *Store) NewWriter(limit int64) (*Writer, error) {
	if limit == 0 || limit > s.max {
		limit = s.max
	}
	var random [16]byte
	rand.Read(random[:])
	w := &Writer{s: s, limit: limit, sum: sha256.New(), temp: tmpDir + "/" + hex.EncodeToString(random[:])}
	err := s.check("create")
	if err == nil {
		_ = s.root.Mkdir(tmpDir, 0o700) // whoever cleans up may have removed it
		w.f, err = s.root.OpenFile(w.temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("storing a blob: %w", err)
	}
	return w, nil
}

// Size is how many bytes were written.
func (w *Writer) Size() int64 { return w.size }

// Write implements io.Writer. It returns ErrTooLarge when the blob grows beyond
// its limit.
func (w *Writer) Write(p []byte) (n int, err error) {
	if int64(len(p)) > w.limit-w.size {
		return 0, fmt.Errorf("storing a blob: more than %d bytes: %w", w.limit, ErrTooLarge)
	}
	if err = w.s.check("write"); err == nil {
		n, err = w.f.Write(p)
	}
	w.sum.Write(p[:n])
	w.size += int64(n)
	if err != nil {
		return n, fmt.Errorf("storing a blob: %w", err)
	}
	return n, nil
}

// Commit makes a blob of what was written. If want is not zero and not the id
// of it, the error is a *MismatchError and nothing is stored. When it returns
// nil the blob is on the medium.
func (w *Writer) Commit(want refs.Blob) (Info, error) {
	defer w.Close()
	id := refs.Blob(w.sum.Sum(nil))
	if !want.IsZero() && want != id {
		return Info{}, &MismatchError{want, id}
	}
	if err := w.publish(id); err != nil {
		return Info{}, fmt.Errorf("storing blob %s: %w", id, err)
	}
	info := Info{ID: id, Size: w.size, Time: w.s.now().UnixMilli()}
	w.s.added.add(info)
	return info, nil
}

// publish brings the file to the medium and gives it its name.
func (w *Writer) publish(id refs.Blob) error {
	err := w.s.check("sync")
	if err == nil {
		err = w.f.Sync()
	}
	if err == nil {
		err = w.f.Close()
	}
	if err != nil {
		return err
	}
	w.f = nil
	if err := w.s.place(w.temp, id, w.size); err != nil {
		w.s.root.Remove(w.temp)
		return err
	}
	return nil
}

// place renames a finished file. One that is there already is replaced: it may
// have rotted.
func (s *Store) place(temp string, id refs.Blob, size int64) error {
	path := pathOf(id)
	dir := path[:len(hashDir)+3]
	if err := s.makeDir(dir); err != nil {
		return err
	}
	if err := s.rename(temp, id, size); err != nil {
		return err
	}
	err := s.check("syncdir")
	if err == nil {
		err = durable.SyncDir(s.root, dir)
	}
	return err
}

// rename renames and counts. The names in tmp/ need not reach the medium.
func (s *Store) rename(temp string, id refs.Blob, size int64) error {
	path := pathOf(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	old, statErr := s.root.Lstat(path)
	err := s.check("rename")
	if err == nil {
		err = s.root.Rename(temp, path)
	}
	if err != nil && statErr == nil && old.Mode().IsRegular() && old.Size() == size {
		return s.root.Remove(temp) // a system that does not replace files that are open
	}
	if err != nil || !s.counted {
		return err
	}
	s.bytes += size
	if statErr == nil && isBlob(id, old) {
		s.bytes -= old.Size()
	} else {
		s.count++
	}
	return nil
}

// makeDir makes one of the folders of sha256/.
func (s *Store) makeDir(dir string) error {
	err := s.root.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrNotExist) {
		if err = s.root.Mkdir(hashDir, 0o700); err == nil {
			err = s.root.Mkdir(dir, 0o700)
		}
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return durable.SyncDir(s.root, hashDir)
}

// Close drops the blob unless it was committed.
func (w *Writer) Close() error {
	if w.f == nil {
		return nil
	}
	w.f.Close()
	w.f = nil
	return w.s.root.Remove(w.temp)
}

// Put stores what r gives until io.EOF, at most Max bytes. If want is not zero
// it must have that id, else nothing is stored (*MismatchError). An error of r
// is wrapped.
func (s *Store) Put(r io.Reader, want refs.Blob) (Info, error) {
	w, err := s.NewWriter(0)
	if err != nil {
		return Info{}, err
	}
	defer w.Close()
	if _, err := io.Copy(onlyWriter{w}, r); err != nil {
		return Info{}, err
	}
	return w.Commit(want)
}

// onlyWriter keeps io.Copy from asking for more than Write.
type onlyWriter struct{ io.Writer }

// PutBytes is Put with the blob in memory.
func (s *Store) PutBytes(data []byte, want refs.Blob) (Info, error) {
	if !want.IsZero() {
		if id := refs.SumBlob(data); id != want {
			return Info{}, &MismatchError{want, id}
		}
	}
	return s.Put(bytes.NewReader(data), want)
}

// check lets tests fail a step.
func (s *Store) check(step string) error {
	if s.fault == nil {
		return nil
	}
	return s.fault(step)
}
