//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package lan

import (
	"errors"
	"syscall"
)

// share lets several sockets have the same port; each of them hears every
// broadcast.
func share(fd uintptr) error {
	return errors.Join(
		syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1),
		syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEPORT, 1))
}
