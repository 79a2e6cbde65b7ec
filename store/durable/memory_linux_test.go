package durable_test

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ssbsync/ssbsync/store/durable"
)

// TestMemoryIsNotVerified writes to a file system that is memory: there is no
// medium that anything could be read back from.
func TestMemoryIsNotVerified(t *testing.T) {
	dir, err := os.MkdirTemp("/dev/shm", "ssbsync-test")
	if err != nil {
		t.Logf("no memory file system to test with: %v", err)
		return
	}
	defer os.RemoveAll(dir)
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil || st.Type != unix.TMPFS_MAGIC {
		t.Logf("/dev/shm is of type %x, %v", st.Type, err)
		return
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	res, err := durable.WriteBytes(root, "a", make([]byte, 1<<20), durable.Options{Verify: true})
	if err != nil || res.Verified {
		t.Errorf("%+v, %v", res, err)
	}
}
