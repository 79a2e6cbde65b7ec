//go:build ci && linux

package store_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/store"
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
