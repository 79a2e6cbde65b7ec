//go:build linux && ci

package faultfs_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"

	"github.com/ssbsync/ssbsync/sync/stick/internal/faultfs"
)

// keep writes a file and syncs what it is told to.
func keep(t *testing.T, root *os.Root, name string, data []byte, file, folder bool) {
	t.Helper()
	f, err := root.Create(name)
	if err == nil {
		_, err = f.Write(data)
	}
	if err == nil && file {
		err = f.Sync()
	}
	if err == nil {
		err = f.Close()
	}
	if err == nil && folder {
		err = syncDir(root, ".")
	}
	if err != nil {
		t.Fatal(err)
	}
}

func syncDir(root *os.Root, name string) error {
	d, err := root.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// TestWhatSurvives pulls the plug with all the luck and bad luck there is.
func TestWhatSurvives(t *testing.T) {
	port := faultfs.NewPort(t)
	data := bytes.Repeat([]byte("0123456789abcdef"), 1024)
	lost := map[string]int{}
	const rounds = 60
	for seed := range uint64(rounds) {
		d := faultfs.New(0, false)
		port.With(d, func(root *os.Root) {
			keep(t, root, "whole", data, true, true)
			keep(t, root, "empty or torn", data, false, true)
			keep(t, root, "renamed away", data, true, true)
			keep(t, root, "nameless", data, true, false)
			if err := errors.Join(root.Rename("renamed away", "renamed"), root.Mkdir("folder", 0o777)); err != nil {
				t.Fatal(err)
			}
			keep(t, root, "folder/file", data, true, false)
			if err := syncDir(root, "folder"); err != nil {
				t.Fatal(err)
			}
		})
		d.Crash(rand.New(rand.NewPCG(seed, 0)))
		files := d.Files()
		if !bytes.Equal(files["whole"], data) {
			t.Fatalf("seed %d: what was synced is lost: %d bytes", seed, len(files["whole"]))
		}
		if _, ok := files["empty or torn"]; !ok {
			t.Fatalf("seed %d: a synced name is lost", seed)
		}
		for name, data := range files {
			if len(data) > 0 && !bytes.Equal(data, files["whole"]) {
				lost[name+" torn"]++
			}
		}
		for _, name := range []string{"nameless", "renamed away", "renamed", "folder/file"} {
			if _, ok := files[name]; !ok {
				lost[name]++
			}
		}
	}
	for _, name := range []string{"empty or torn torn", "nameless", "renamed away", "renamed", "folder/file"} {
		if n := lost[name]; n == 0 || n == rounds {
			t.Errorf("%s: lost in %d of %d", name, n, rounds)
		}
	}
	t.Logf("lost in %d cases: %v", rounds, lost)
}

// TestFaults makes operations fail before and after they happened.
func TestFaults(t *testing.T) {
	port := faultfs.NewPort(t)
	d := faultfs.New(1<<20, true)
	d.Put("dir/File", []byte("content"))
	d.Put("dir/Other", []byte("content"))
	port.With(d, func(root *os.Root) {
		if b, err := root.ReadFile("DIR/fILE"); err != nil || string(b) != "content" {
			t.Errorf("by another case: %q %v", b, err)
		}
		d.Fault(func(op faultfs.Op) faultfs.Outcome {
			switch op.Kind {
			case faultfs.Mkdir:
				return faultfs.Outcome{Err: syscall.EIO, Done: true}
			case faultfs.Read:
				return faultfs.Outcome{Err: syscall.EIO}
			}
			return faultfs.Outcome{}
		})
		if err := root.Mkdir("done", 0o777); !errors.Is(err, syscall.EIO) {
			t.Errorf("mkdir: %v", err)
		}
		if _, err := root.ReadFile("dir/Other"); !errors.Is(err, syscall.EIO) {
			t.Errorf("read: %v", err)
		}
		d.Fault(nil)
		if info, err := root.Lstat("done"); err != nil || !info.IsDir() {
			t.Errorf("a folder that was made in spite of the error: %v", err)
		}
		if err := root.WriteFile("large", make([]byte, 2<<20), 0o666); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("more than there is room for: %v", err)
		}
		if err := root.Remove("large"); err != nil || d.Used() != 2*4096 {
			t.Errorf("%v: %d bytes used", err, d.Used())
		}
		d.Fault(func(faultfs.Op) faultfs.Outcome { return faultfs.Outcome{Pull: true} })
		if err := root.Remove("dir/File"); !errors.Is(err, syscall.EIO) {
			t.Errorf("without a plug: %v", err)
		}
	})
	d.Crash(rand.New(rand.NewPCG(1, 1)))
	if got := string(d.Files()["dir/File"]); got != "content" {
		t.Errorf("after the pull: %q", got)
	}
}
