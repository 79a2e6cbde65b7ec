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
