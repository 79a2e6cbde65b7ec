//go:build !linux && !darwin

package node

import "net"

// checksModes says that the permissions of a folder mean something here.
const checksModes = false

// shortPath returns the folder itself: there is no shorter name for it.
func shortPath(dir string) (short string, release func(), err error) { return dir, func() {}, nil }

// checkUser trusts the permissions of the home folder: the system does not tell
// who connects.
func checkUser(net.Conn) error { return nil }
