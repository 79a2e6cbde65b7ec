package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
)

// misplaced refuses folders that are never meant to be made a stick: what lies in
// one already, and our home.
func (n *Node) misplaced(path string) error {
	if path = filepath.Clean(path); filepath.Base(path) == "ssbsync" {
		if info, err := os.Lstat(filepath.Join(path, "stick.json")); err == nil && info.Mode().IsRegular() {
			return usage("%s is a folder on a stick, not the stick: did you mean %s?", path, filepath.Dir(path))
		}
	}
	folder, err := os.Stat(path)
	if err != nil {
		return nil // who opens it says why
	}
	for _, ours := range []string{n.options.Home, filepath.Join(n.options.Home, "ssbsync")} {
		if home, err := os.Stat(ours); err == nil && os.SameFile(home, folder) {
			return usage("%s holds the messages and the secret of this node: it cannot be a stick", path)
		}
	}
	return nil
}

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
