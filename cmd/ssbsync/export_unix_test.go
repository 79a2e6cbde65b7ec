//go:build unix

package main

import (
	"bytes"
	"fmt"
	"syscall"
	"testing"
)

// TestFileOnFullDisk: who exports a file onto a full disk is told what to do.
func TestFileOnFullDisk(t *testing.T) {
	var stderr bytes.Buffer
	reportError(&stderr, notWritten("x.ssb.zst", fmt.Errorf("write: %w", syscall.ENOSPC)))
	contains(t, stderr.String(), "ssbsync: writing x.ssb.zst: ", "hint: make room")
	stderr.Reset()
	reportError(&stderr, notWritten("x.ssb.zst", syscall.EACCES))
	lacks(t, stderr.String(), "hint")
}
