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

// TestInTheWayOfAHave: whatever lies under the names of our next haves fails no
// visit.
func TestInTheWayOfAHave(t *testing.T) {
	for name, obstruct := range map[string]func(file string) error{
		"a link":       func(file string) error { return os.Symlink("nowhere", file) },
		"a file":       func(file string) error { return os.WriteFile(file, []byte("mine"), 0o666) },
		"a folder":     func(file string) error { return os.MkdirAll(filepath.Join(file, "x"), 0o777) },
		"a named pipe": func(file string) error { return syscall.Mkfifo(file, 0o666) },
	} {
		t.Run(name, func(t *testing.T) {
			a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
			a.post(1, 1)
			a.visit(m)
			for i := uint64(2); i < 5; i++ {
				if err := obstruct(filepath.Join(m.dir, stick.HaveName(a.store.ID(), i))); err != nil {
					t.Fatal(err)
				}
			}
			for range 5 {
				a.post(1, 1)
				if rep := a.visit(m); !rep.Have {
					t.Errorf("%+v", rep)
				}
			}
			b.visit(m)
			if rep := a.visit(m); rep.Export.Messages != 0 {
				t.Errorf("what b holds is written again: %+v", rep.Export)
			}
			if s, err := b.peer.Survey(t.Context(), m.open()); err != nil || len(s.Visitors) != 2 {
				t.Errorf("%v: visitors %+v", err, s.Visitors)
			}
		})
	}
}

// TestInPlaceOfAnOldHave: what has the name of an older have of ours, and is none,
// fails no visit and is left.
func TestInPlaceOfAnOldHave(t *testing.T) {
	a, m := newNode(t, 1), newMedium(t)
	a.post(1, 1)
	a.visit(m)
	full, empty := filepath.Join(m.dir, stick.HaveName(a.store.ID(), 1)), filepath.Join(m.dir, stick.HaveName(a.store.ID(), 2))
	a.post(1, 1)
	a.visit(m)
	if err := errors.Join(os.Remove(full), os.Remove(empty), os.MkdirAll(filepath.Join(full, "x"), 0o777), os.Mkdir(empty, 0o777)); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		a.post(1, 1)
		if rep := a.visit(m); !rep.Have {
			t.Errorf("%+v", rep)
		}
	}
	for _, dir := range []string{full, empty} {
		if _, err := os.Stat(dir); err != nil {
			t.Error(err)
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
