package stick_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ssbsync/ssbsync/sync/stick"
)

// withoutRights runs fn on a thread for which file permissions count, even if
// the test runs as root.
func withoutRights(t *testing.T, fn func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		fn()
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const nobody = 65534
	if err := unix.Setfsuid(nobody); err != nil {
		t.Fatal(err)
	}
	defer unix.Setfsuid(0)
	fn()
}

// TestUnreadableFolder: a folder of bundles that cannot be read keeps nobody
// from the others. It is named, and what lies in it is not counted as there.
func TestUnreadableFolder(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.post(11, 20)
	a.export(m, stick.ExportOptions{NoHave: true})
	a.post(12, 20)
	a.export(m, stick.ExportOptions{NoHave: true})
	files := m.files(".zst")
	if len(files) != 2 || filepath.Dir(files[0]) == filepath.Dir(files[1]) {
		t.Fatal(files)
	}
	closed := filepath.Dir(files[0])
	if err := os.Chmod(closed, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(closed, 0o777) })
	st := m.open()
	withoutRights(t, func() {
		rep, err := b.peer.Import(t.Context(), st, stick.ImportOptions{})
		if err != nil || rep.New != 20 || len(rep.Skipped) != 1 || !rep.Partly() {
			t.Errorf("%v %+v", err, rep)
			return
		}
		t.Log(rep.Skipped)
	})
	os.Chmod(closed, 0o777)
	if rep := b.importAll(m); rep.New != 20 || rep.Partly() {
		t.Errorf("after it was opened: %+v", rep)
	}
}
