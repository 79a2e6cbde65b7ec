//go:build unix

package store_test

import (
	"os"
	"syscall"
	"testing"
)

// diskUse is what a file takes on the disk: bbolt makes it longer than what it
// has written.
func diskUse(t testing.TB, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Blocks * 512
}
