package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os/user"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
)

// folderError explains why a folder cannot be opened. A server may run as
// another user, or see other mounts, than who asks.
func (n *Node) folderError(path string, err error) error {
	missing, denied := errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission)
	if n.server.Load() == nil || !missing && !denied {
		if missing {
			return fmt.Errorf("%s: no such folder: not mounted?", path)
		}
		return err
	}
	who := "another user"
	if u, err := user.Current(); err == nil {
		who = u.Username
	}
	text := fmt.Sprintf("the server runs as %s and cannot read %s", who, path)
	if missing {
		text = fmt.Sprintf("%s: no such folder: not mounted? (the server runs as %s)", path, who)
	}
	return &muxrpc.RemoteError{Name: ErrorFolder, Message: text}
}
