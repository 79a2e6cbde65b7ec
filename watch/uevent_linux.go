package watch

import (
	"bytes"
	"errors"

	"golang.org/x/sys/unix"
)

// ueventsByKernel is the multicast group in which the kernel itself tells of
// devices; the other one is udev's.
const ueventsByKernel = 1

// openUevents listens to the kernel's news of devices: a stick that is pulled
// stays mounted until somebody unmounts it, so mountinfo does not tell. It
// fails in some containers.
func openUevents() (int, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: ueventsByKernel}); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// drainUevents reads what has come, and reports whether it may concern a block
// device. It is only a hint to look, so nothing else in it is believed.
func drainUevents(fd int) bool {
	buf := make([]byte, 16<<10)
	heard := false
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		switch {
		case err == nil:
			heard = heard || bytes.Contains(buf[:n], []byte("\x00SUBSYSTEM=block\x00"))
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ENOBUFS):
			heard = true // some were lost
		default:
			return heard
		}
	}
}
