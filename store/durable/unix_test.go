//go:build unix

package durable_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ssbsync/ssbsync/store/durable"
)

// TestOpensNothingElse meets links, pipes, sockets and devices, and neither
// follows nor waits.
func TestOpensNothingElse(t *testing.T) {
	root := folder(t)
	outside := filepath.Join(t.TempDir(), "outside")
	err := errors.Join(
		os.WriteFile(outside, []byte("secret"), 0o600),
		root.WriteFile("file", []byte("x"), 0o644),
		root.Symlink("file", "inside"),
		root.Symlink(outside, "outside"),
		root.Symlink("missing", "dangling"),
		root.Symlink("/dev/zero", "device"),
		unix.Mkfifo(filepath.Join(root.Name(), "pipe"), 0o644),
	)
	if err != nil {
		t.Fatal(err)
	}
	socket, err := net.Listen("unix", filepath.Join(root.Name(), "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	for _, name := range []string{"inside", "outside", "dangling", "device", "pipe", "socket"} {
		_, _, err := durable.OpenRegular(root, name, -1)
		isErr(t, name, err, durable.ErrNotRegular)
	}
}

// TestOpensFoldersOnly holds that a folder that became something else is
// neither followed nor waited for, whoever opens it.
func TestOpensFoldersOnly(t *testing.T) {
	root := folder(t)
	err := errors.Join(
		root.Mkdir("folder", 0o755),
		root.Symlink("folder", "link"),
		root.WriteFile("file", []byte("x"), 0o644),
		unix.Mkfifo(filepath.Join(root.Name(), "pipe"), 0o644),
	)
	if err != nil {
		t.Fatal(err)
	}
	f, err := durable.OpenDir(root, "folder")
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	for _, name := range []string{"link", "file", "pipe"} {
		if _, err := durable.OpenDir(root, name); err == nil {
			t.Errorf("opened %s as a folder", name)
		}
		if err := durable.SyncDir(root, name); err == nil {
			t.Errorf("synced %s as a folder", name)
		}
	}
	if err := durable.Rename(root, "file", "pipe/file", false); err == nil {
		t.Error("renamed into a pipe")
	}
}
