//go:build ci && linux

package durable_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ssbsync/ssbsync/store/durable"
)

// mountExFAT mounts an exFAT image on a loop device through FUSE, and returns the
// image.
func mountExFAT(t *testing.T, dir string) (image string) {
	t.Helper()
	image = filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 64<<20); err != nil {
		t.Fatal(err)
	}
	run(t, "mkfs.exfat", image)
	out, err := exec.Command("losetup", "--find", "--show", image).CombinedOutput()
	if err != nil {
		t.Fatalf("losetup (needs root): %v\n%s", err, out)
	}
	device := strings.TrimSpace(string(out))
	t.Cleanup(func() { run(t, "losetup", "--detach", device) })
	run(t, "mount.exfat-fuse", device, dir)
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmounting: %v", err)
		}
	})
	return image
}

// noise is content that is found again in an image.
func noise() []byte {
	data := make([]byte, 9<<20)
	x := uint32(1)
	for i := range data {
		x = x*1664525 + 1013904223
		data[i] = byte(x >> 24)
	}
	return data
}

// TestVerifyThroughFUSE: what is read back comes from the medium, although two
// caches lie in between.
func TestVerifyThroughFUSE(t *testing.T) {
	dir := t.TempDir()
	mountExFAT(t, dir)
	res, err := durable.WriteBytes(openRoot(t, dir), "file", noise(), durable.Options{Verify: true})
	if err != nil || !res.Verified {
		t.Errorf("%+v %v", res, err)
	}
}

// TestMediumThatForgets changes the medium behind the back of the file system,
// after the file was synced and before it is read back.
func TestMediumThatForgets(t *testing.T) {
	data, dir := noise(), t.TempDir()
	image := mountExFAT(t, dir)
	root := openRoot(t, dir)
	o := durable.Options{Verify: true}
	o.Fault(func(step string, _ *os.File) error {
		if step != "verify" {
			return nil
		}
		return spoil(image, data[5<<20:5<<20+4096])
	})
	res, err := durable.WriteBytes(root, "file", data, o)
	isErr(t, "changed on the medium", err, durable.ErrDiffers)
	if res.Verified {
		t.Errorf("verified: %+v", res)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 0 {
		t.Errorf("left: %v %v", entries, err)
	}
}

// spoil flips a bit of a piece of an image.
func spoil(image string, piece []byte) error {
	f, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	all, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	at := bytes.Index(all, piece)
	if at < 0 {
		return os.ErrNotExist
	}
	_, err = f.WriteAt([]byte{piece[0] ^ 1}, int64(at))
	return err
}
