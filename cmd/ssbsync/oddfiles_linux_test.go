package main

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestUnreadableShard: a folder of bundles that cannot be read is named, and
// keeps nobody from the others.
func TestUnreadableShard(t *testing.T) {
	p := newPrograms(t)
	p.must("--path", "from", "--quiet", "import", p.data)
	medium := p.folder("medium")
	p.must("--path", "from", "--quiet", "export", medium)
	closed := filepath.Join(medium, "ssbsync", "bundles", "00")
	for _, err := range []error{os.Chmod(filepath.Dir(p.dir), 0o755), os.Mkdir(closed, 0)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, command := range []string{"verify", "inspect", "cat"} {
		r := unprivileged(t, command, medium)
		if r.code != exitPartly || r.stdout == "" {
			t.Errorf("%s: exit code %d, %d bytes", command, r.code, len(r.stdout))
		}
		contains(t, r.stderr, "bundles/00", "permission denied")
	}
}

// unprivileged runs the program in this process, on a thread for which file
// permissions count even if the test runs as root.
func unprivileged(t *testing.T, args ...string) result {
	t.Helper()
	if os.Geteuid() == 0 {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		const nobody = 65534
		if err := unix.Setfsuid(nobody); err != nil {
			t.Fatal(err)
		}
		defer unix.Setfsuid(0)
	}
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), append([]string{"ssbsync"}, args...), new(bytes.Buffer), &stdout, &stderr)
	return result{stdout.String(), stderr.String(), code}
}
