package durable

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// renameNew renames without overwriting.
func renameNew(root *os.Root, from, to string) error {
	src, err := OpenDir(root, filepath.Dir(from))
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := OpenDir(root, filepath.Dir(to))
	if err != nil {
		return err
	}
	defer dst.Close()
	err = unix.Renameat2(int(src.Fd()), filepath.Base(from), int(dst.Fd()), filepath.Base(to), unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return errors.ErrUnsupported
	}
	return err
}

// SyncFS makes sure that everything written to the file system that root is on
// has reached its medium.
func SyncFS(root *os.Root) error {
	f, err := OpenDir(root, ".")
	if err != nil {
		return fmt.Errorf("syncing the file system: %w", err)
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil && !notSupported(err) {
		return fmt.Errorf("syncing the file system: %w", err)
	}
	return nil
}

// DropCache makes the system forget what it remembers of a file whose content
// has been synced, so that the next read comes from the medium, and reports
// whether that succeeded. The cache of the medium's own controller is beyond
// its reach.
func DropCache(f *os.File) bool {
	fd := int(f.Fd())
	if unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED) != nil || resident(f) {
		return false
	}
	var st unix.Statfs_t
	if unix.Fstatfs(fd, &st) != nil {
		return false
	}
	if st.Type != unix.FUSE_SUPER_MAGIC {
		return true
	}
	return dropBacking(fd)
}
