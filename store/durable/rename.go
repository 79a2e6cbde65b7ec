package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Rename renames a file below root and makes sure that the new name is on the
// medium. Unless replace is set, an existing file of the new name is left
// alone and fs.ErrExist returned.
func Rename(root *os.Root, from, to string, replace bool) error {
	if err := rename(root, from, to, replace); err != nil {
		return fmt.Errorf("renaming %s to %s: %w", from, to, err)
	}
	if err := syncDirs(root, from, to); err != nil {
		return fmt.Errorf("renaming %s to %s: %w", from, to, err)
	}
	return nil
}

func rename(root *os.Root, from, to string, replace bool) error {
	if replace {
		return root.Rename(from, to)
	}
	err := renameNew(root, from, to)
	if errors.Is(err, errors.ErrUnsupported) {
		return renameByLink(root, from, to)
	}
	return err
}

// renameByLink renames without overwriting where no system call does: it gives
// the file a second name, which fails when that is taken, and removes the first.
func renameByLink(root *os.Root, from, to string) error {
	err := root.Link(from, to)
	if err == nil {
		return root.Remove(from)
	}
	if errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// FAT through FUSE, for one, has no links either. Names of our files are unique,
	// so looking first is good enough.
	if _, err := root.Lstat(to); err == nil {
		return fs.ErrExist
	}
	return root.Rename(from, to)
}

// syncDirs syncs the folders of both names.
func syncDirs(root *os.Root, from, to string) error {
	dir := filepath.Dir(to)
	if err := SyncDir(root, dir); err != nil {
		return err
	}
	if other := filepath.Dir(from); other != dir {
		return SyncDir(root, other)
	}
	return nil
}

// SyncDir makes sure that the names in a folder below root are on the medium.
// Systems that cannot sync a folder are not an error.
func SyncDir(root *os.Root, dir string) error {
	f, err := OpenDir(root, dir)
	if err != nil {
		return fmt.Errorf("syncing folder %s: %w", dir, err)
	}
	defer f.Close()
	if err := syncFolder(f); err != nil && !notSupported(err) {
		return fmt.Errorf("syncing folder %s: %w", dir, err)
	}
	return nil
}

// notSupported reports whether the file system does not know an operation, as
// opposed to having failed at it.
func notSupported(err error) bool {
	return errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL)
}
