//go:build ci && linux

package durable_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ssbsync/ssbsync/store/durable"
)

// TestCapacityOfDevice fills whole file systems, one after the other: ext4 on
// a loop device, whose cache can be dropped, and a tmpfs, whose cannot.
func TestCapacityOfDevice(t *testing.T) {
	for _, kind := range []string{"ext4", "tmpfs"} {
		dir := t.TempDir()
		mountSmall(t, kind, dir)
		root := openRoot(t, dir)
		r, err := durable.CheckCapacity(t.Context(), root, "ssbsync/tmp/test", durable.CapacityOptions{})
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		addsUp(t, r)
		t.Logf("%s: claimed %d, wrote %d, good %d, verified %v", kind, r.Claimed, r.Written, r.Good, r.Verified)
		if !r.OK() || !r.Complete || r.Verified != (kind == "ext4") || r.Written < 300<<20 {
			t.Errorf("%s: %+v", kind, r)
		}
		free, _, err := durable.FreeSpace(dir)
		if err != nil || int64(free) < r.Claimed-mebibyte {
			t.Errorf("%s: %d bytes are free, not %d, %v", kind, free, r.Claimed, err)
		}
	}
}

// mountSmall mounts a file system of 320 MiB, until the end of the test.
func mountSmall(t *testing.T, kind, dir string) {
	t.Helper()
	args := []string{"-t", "tmpfs", "-o", "size=320m", "tmpfs", dir}
	if kind == "ext4" {
		image := filepath.Join(t.TempDir(), "image")
		if err := os.WriteFile(image, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(image, 340<<20); err != nil {
			t.Fatal(err)
		}
		run(t, "mkfs.ext4", "-q", "-m", "0", image)
		args = []string{"-o", "loop", image, dir}
	}
	run(t, "mount", args...)
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s (needs root): %v\n%s", name, strings.Join(args, " "), err, out)
	}
}
