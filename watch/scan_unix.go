//go:build unix

package watch

import (
	"os"
	"syscall"
)

// openDir opens a folder to list it. It neither follows a link nor waits for
// the other end of a pipe put in the folder's place.
func openDir(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
}
