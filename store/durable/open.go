package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// OpenRegular opens a file for reading in a folder that nobody vouches for. It
// refuses everything but a regular file (ErrNotRegular), symbolic links
// included, without following or waiting, and files larger than maxSize bytes
// (ErrTooLarge; negative means no bound).
func OpenRegular(root *os.Root, name string, maxSize int64) (*os.File, fs.FileInfo, error) {
	seen, err := root.Lstat(name)
	if err != nil {
		return nil, nil, fmt.Errorf("opening %s: %w", name, err)
	}
	if !seen.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("opening %s: %w", name, ErrNotRegular)
	}
	f, err := root.OpenFile(name, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("opening %s: %w", name, err)
	}
	info, err := checkOpened(f, seen, maxSize)
	if err != nil {
		f.Close()
		return nil, nil, fmt.Errorf("opening %s: %w", name, err)
	}
	return f, info, nil
}

// OpenDir opens a folder, to list or to sync it, in a place that nobody vouches
// for. It refuses everything else, symbolic links included, without following
// or waiting, also when the folder is exchanged for a pipe at this very moment.
func OpenDir(root *os.Root, name string) (*os.File, error) {
	seen, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !seen.IsDir() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.ENOTDIR}
	}
	f, err := root.OpenFile(name, os.O_RDONLY|dirFlags, 0)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !os.SameFile(seen, info) {
		f.Close()
		return nil, errors.Join(err, fmt.Errorf("%s was exchanged while it was opened", name))
	}
	return f, nil
}

// checkOpened makes sure that the opened file is the one that was looked at:
// it may have been exchanged for a pipe or a link in between.
func checkOpened(f *os.File, seen fs.FileInfo, maxSize int64) (fs.FileInfo, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || !os.SameFile(seen, info) {
		return nil, ErrNotRegular
	}
	if maxSize >= 0 && info.Size() > maxSize {
		return nil, fmt.Errorf("%w: %d bytes of at most %d", ErrTooLarge, info.Size(), maxSize)
	}
	return info, nil
}

// ReadFile reads a whole file that OpenRegular opens. A file that grows beyond
// maxSize while it is read is ErrTooLarge as well.
func ReadFile(root *os.Root, name string, maxSize int64) ([]byte, error) {
	f, info, err := OpenRegular(root, name, maxSize)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := readAll(f, info.Size(), maxSize)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return data, nil
}

func readAll(f *os.File, size, maxSize int64) ([]byte, error) {
	if maxSize < 0 {
		return io.ReadAll(f)
	}
	data := make([]byte, 0, size+1)
	for {
		n, err := f.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if int64(len(data)) > maxSize {
			return nil, ErrTooLarge
		}
		if err == io.EOF {
			return data, nil
		}
		if err != nil {
			return nil, err
		}
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
	}
}
