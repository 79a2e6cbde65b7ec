package blobs

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store/durable"
)

// damagedDir is where SetAside puts files.
const damagedDir = "damaged"

// Bad is a file that does not hold the blob it is named after.
type Bad struct {
	Info          // as the file says
	Reason string // what is wrong with it

	file fs.FileInfo
}

// Check reads every file that is named after a blob and compares it with its
// name. It calls good for each that is what it says and bad for each that is
// not, or cannot be read; an error of theirs ends it. What is not named after a
// blob is passed over. Blobs may come and go meanwhile.
func (s *Store) Check(ctx context.Context, good func(Info) error, bad func(Bad) error) error {
	for file, err := range s.named() {
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		info, reason, err := s.examine(ctx, file.id)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue // removed meanwhile
		case err != nil:
			return err
		case reason == "":
			err = good(infoOf(file.id, info))
		default:
			err = bad(Bad{infoOf(file.id, info), reason, info})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// examine reads a file and says what is wrong with it. The error is of ctx, or
// says that it is not there.
func (s *Store) examine(ctx context.Context, id refs.Blob) (info fs.FileInfo, reason string, err error) {
	f, info, err := durable.OpenRegular(s.root, pathOf(id), -1)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", err
	}
	if err != nil {
		if info, statErr := s.root.Lstat(pathOf(id)); statErr == nil {
			return info, fmt.Sprintf("it cannot be read: %v", err), nil
		}
		return nil, "", fs.ErrNotExist
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, &readerWithin{ctx, f})
	switch {
	case ctx.Err() != nil:
		return nil, "", context.Cause(ctx)
	case err != nil:
		return info, fmt.Sprintf("it cannot be read: %v", err), nil
	case refs.Blob(sum.Sum(nil)) == id:
		return info, "", nil
	case n == 0:
		return info, "it is empty", nil
	}
	return info, fmt.Sprintf("its %d bytes are something else", n), nil
}

// readerWithin reads until ctx ends.
type readerWithin struct {
	ctx context.Context
	f   *os.File
}

func (r *readerWithin) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.f.Read(p)
}

// SetAside moves a bad file to damaged/, under its hash in hexadecimal, and
// reports whether it did: not when something else has taken its place
// meanwhile. What was put there before under that name is replaced.
func (s *Store) SetAside(b Bad) (bool, error) {
	if err := s.root.Mkdir(damagedDir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return false, fmt.Errorf("setting blob %s aside: %w", b.ID, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now, err := s.root.Lstat(pathOf(b.ID))
	if err != nil || !os.SameFile(now, b.file) || now.Size() != b.file.Size() || !now.ModTime().Equal(b.file.ModTime()) {
		return false, nil
	}
	if err := s.root.Rename(pathOf(b.ID), damagedDir+"/"+hexOf(b.ID)); err != nil {
		return false, fmt.Errorf("setting blob %s aside: %w", b.ID, err)
	}
	if s.counted && isBlob(b.ID, now) {
		s.count--
		s.bytes -= now.Size()
	}
	return true, nil
}
