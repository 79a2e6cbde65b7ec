//go:build unix

package node

import (
	"os"

	"golang.org/x/sys/unix"
)

// lockFolder locks an open folder until it is closed, and reports whether it
// could: not when another process has.
func lockFolder(dir *os.File) bool {
	return unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
}
