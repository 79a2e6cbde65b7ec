//go:build unix

package stick_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// oddities puts things under the names of bundles, haves and directories that
// must be neither followed nor waited for.
func oddities(t *testing.T, m *medium, name, outside string) {
	t.Helper()
	dir, base := filepath.Dir(name), filepath.Base(name)
	sibling := func(last string) string { return filepath.Join(dir, base[:25]+last+".ssb.zst") }
	have := filepath.Join(m.dir, "ssbsync/have")
	store := strings.Repeat("ab", 16)
	folders := slices.DeleteFunc([]string{"xx", "yy", "zz"}, func(folder string) bool { return folder == filepath.Base(dir) })
	for _, err := range []error{
		os.Symlink(outside, sibling("a")),
		os.Symlink("../../stick.json", sibling("b")),
		syscall.Mkfifo(sibling("c"), 0o666),
		os.Mkdir(sibling("d"), 0o777),
		os.Symlink(dir, filepath.Join(m.dir, "ssbsync/bundles", folders[0])),
		syscall.Mkfifo(filepath.Join(m.dir, "ssbsync/bundles", folders[1]), 0o666),
		syscall.Mkfifo(filepath.Join(have, store+"-1.have"), 0o666),
		os.Mkdir(filepath.Join(have, store+"-2.have"), 0o777),
		os.Symlink(outside, filepath.Join(have, store+"-3.have")),
		os.WriteFile(filepath.Join(dir, "README.ssb.zst"), []byte("junk"), 0o666),
		os.WriteFile(filepath.Join(m.dir, "ssbsync/bundles/"+base), []byte("junk"), 0o666),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestOddFiles(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.post(11, 50)
	a.visit(m)
	good := m.files(".zst")[0]
	outside := filepath.Join(t.TempDir(), "outside.ssb.zst")
	data, _ := os.ReadFile(good)
	os.WriteFile(outside, data, 0o666)
	os.Remove(good)
	oddities(t, m, good, outside)
	rep := b.visit(m)
	if rep.Import.New != 0 || len(rep.Import.Skipped) < 4 || !rep.Import.Partly() {
		t.Errorf("odd files: %+v", rep.Import)
	}
	t.Logf("%d skipped: %v", len(rep.Import.Skipped), rep.Import.Skipped)
}
