package node

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// checksModes says that the permissions of a folder mean something here.
const checksModes = true

// maxSocketPath is the longest path that a socket's address holds with its
// file name, in bytes.
const maxSocketPath = 90

// shortPath returns a path of a folder that fits into the address of a socket,
// valid until release.
func shortPath(dir string) (short string, release func(), err error) {
	if len(dir) <= maxSocketPath {
		return dir, func() {}, nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d", f.Fd()), func() { f.Close() }, nil
}

// checkUser refuses whoever is neither our own user nor root.
func checkUser(conn net.Conn) error {
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) { cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return err
	}
	if credErr != nil {
		return credErr
	}
	if cred.Uid != 0 && int(cred.Uid) != os.Getuid() {
		return fmt.Errorf("user %d is neither the owner nor root", cred.Uid)
	}
	return nil
}
