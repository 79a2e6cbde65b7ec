package lan

import "syscall"

// share lets several sockets have the same port; each of them hears every
// broadcast.
func share(fd uintptr) error {
	return syscall.SetsockoptInt(syscall.Handle(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
}
