//go:build ci && linux

package durable_test

import (
	"crypto/rand"
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ssbsync/ssbsync/store/durable"
)

// TestFullDisk fills a small file system: it says so, and leaves nothing.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=10m"); err != nil {
		t.Fatalf("mounting a small tmpfs (needs root): %v", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if _, err := durable.WriteBytes(root, "small", []byte("fits"), durable.Options{}); err != nil {
		t.Fatal(err)
	}
	for _, replace := range []bool{false, true} {
		name := map[bool]string{false: "big", true: "small"}[replace]
		_, err := durable.WriteFile(root, name, durable.Options{Replace: replace}, func(w io.Writer) error {
			_, err := io.CopyN(w, rand.Reader, 20<<20)
			return err
		})
		isErr(t, name, err, unix.ENOSPC)
		if !durable.IsFull(err) {
			t.Errorf("%s: not known as a full disk: %v", name, err)
		}
		holds(t, root, "small", "fits")
	}
}
