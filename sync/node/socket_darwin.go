package node

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// checksModes says that the permissions of a folder mean something here.
const checksModes = true

// shortPath returns the folder itself: there is no shorter name for it.
func shortPath(dir string) (short string, release func(), err error) { return dir, func() {}, nil }

// checkUser refuses whoever is neither our own user nor root.
func checkUser(conn net.Conn) error {
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return err
	}
	var cred *unix.Xucred
	var credErr error
	if err := raw.Control(func(fd uintptr) { cred, credErr = unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED) }); err != nil {
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
