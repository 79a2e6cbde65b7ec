//go:build ci && linux

package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/store/durable"
)

// TestFullDisk fills a small file system: an append that does not fit stores
// nothing, and the store stays usable, also when there is room again.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatalf("mounting a small tmpfs (needs root): %v", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	s, err := store.Open(filepath.Join(dir, "store.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := feed(t, 900, author(1))
	long := chain(t, author(2), message.Head{}, 900, strings.Repeat("long ", 300))
	stored := 0
	for err == nil && stored < len(long) {
		if _, err = s.Append(long[stored : stored+10]); err == nil {
			stored += 10
		}
	}
	isErr(t, 0, err, unix.ENOSPC)
	if errors.Is(err, store.ErrBroken) || s.Last() != uint64(stored) {
		t.Errorf("%d stored, last is %d: %v", stored, s.Last(), err)
	}
	readFeed(t, s, long[:stored])
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "size=16m"); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, store.Stored, f...)
	mustAppend(t, s, store.Stored, long[stored:]...)
	readFeed(t, s, long)
	closeChecked(t, s)
	t.Logf("%d messages fit", stored)
}

// TestCompactFullDisk compacts on a disk that has no room for a copy, and on
// one that is filled up by somebody else on the way: the store is what it was,
// takes messages, and is compacted when there is room.
func TestCompactFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=40m"); err != nil {
		t.Fatalf("mounting a small tmpfs (needs root): %v", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	path := filepath.Join(dir, "store.db")
	wasteful(t, path, 4<<20)
	s, err := store.Open(path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Table("kept").Update(func(tx *store.TableTx) error {
		for n := range byte(12) {
			if err := tx.Put([]byte{n}, make([]byte, 1<<20)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Table("kept").Delete([]byte{0}); err != nil {
		t.Fatal(err)
	}
	before := content(t, s)
	filler := filepath.Join(dir, "filler")
	fail := func(when string) {
		t.Helper()
		if _, err := s.Compact(background, store.CompactOptions{}); !durable.IsFull(err) {
			t.Errorf("%s: %v", when, err)
		}
		if left, _ := filepath.Glob(path + "?*"); len(left) > 0 {
			t.Errorf("%s: left %q", when, left)
		}
		if content(t, s) != before {
			t.Errorf("%s: content changed", when)
		}
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
	}
	fillUp := func() {
		free, _, err := durable.FreeSpace(dir)
		if err == nil {
			err = os.WriteFile(filler, make([]byte, free-1<<20), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	fillUp()
	fail("at the start")
	for _, at := range []string{"create", "copy"} {
		filled := false
		s.OnCompactStep(func(step string) error {
			if step == at && !filled {
				filled = true
				fillUp()
			}
			return nil
		})
		fail("from step " + at)
	}
	s.OnCompactStep(nil)
	if r, err := s.Compact(background, store.CompactOptions{}); err != nil || r.After >= r.Before {
		t.Errorf("%+v, %v", r, err)
	}
	if content(t, s) != before {
		t.Error("content changed")
	}
	mustAppend(t, s, store.Stored, feed(t, 3, author(8))...)
	closeChecked(t, s)
}
