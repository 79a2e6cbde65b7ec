//go:build unix

package durable

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// openFlags keep an open from waiting for a pipe's other end and from
// following a link that appeared after the check.
const openFlags = unix.O_NONBLOCK | unix.O_NOFOLLOW

// dirFlags do the same for a folder, and open nothing else.
const dirFlags = openFlags | unix.O_DIRECTORY

func isFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

func syncFolder(f *os.File) error { return f.Sync() }

// lockDir locks an open folder until it is closed: errLocked when somebody else
// has.
func lockDir(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return errLocked
	}
	return err
}

// FreeSpace returns how many bytes an ordinary user can still write to the
// file system that holds path, and its size.
func FreeSpace(path string) (free, total uint64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, 0, fmt.Errorf("free space of %s: %w", path, err)
	}
	return uint64(st.Bavail) * uint64(st.Bsize), uint64(st.Blocks) * uint64(st.Bsize), nil
}
