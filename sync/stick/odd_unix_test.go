//go:build unix

package stick_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/stick"
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

// TestInTheWay: what others put where a bundle belongs, or a folder of ours,
// fails no visit, and is not lost.
func TestInTheWay(t *testing.T) {
	for name, obstruct := range map[string]func(file string) (kept string, err error){
		"a folder named like the bundle": func(file string) (string, error) {
			return filepath.Base(file) + ".odd1/x", os.MkdirAll(filepath.Join(file, "x"), 0o777)
		},
		"a file named like its folder": func(file string) (string, error) {
			dir := filepath.Dir(file)
			return "../" + filepath.Base(dir) + ".odd1", errors.Join(os.Remove(dir), os.WriteFile(dir, []byte("mine"), 0o666))
		},
		"files named like the other folders": func(file string) (string, error) {
			base := filepath.Join(filepath.Dir(file), "../..")
			return "../../have.odd1", errors.Join(
				os.RemoveAll(filepath.Join(base, "have")), os.WriteFile(filepath.Join(base, "have"), []byte("mine"), 0o666),
				os.RemoveAll(filepath.Join(base, "tmp")), os.Symlink("bundles", filepath.Join(base, "tmp")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
			a.post(11, 50)
			a.visit(m)
			file := m.files(".zst")[0]
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			kept, err := obstruct(file)
			if err != nil {
				t.Fatal(err)
			}
			a.post(12, 1) // or the have says nothing new
			a.export(m, stick.ExportOptions{Feed: func(f refs.Feed) bool { return f == feed(11) }})
			rep := a.visit(m)
			if _, err := os.Lstat(filepath.Join(filepath.Dir(file), kept)); err != nil {
				t.Errorf("%v: %+v", err, rep)
			}
			if rep := b.visit(m); rep.Import.New != 51 || rep.Partly() || !rep.Have {
				t.Errorf("another visit: %+v", rep)
			}
		})
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
