//go:build !linux

package durable

import (
	"errors"
	"os"
)

// renameNew has no equivalent here that works below an os.Root.
func renameNew(*os.Root, string, string) error { return errors.ErrUnsupported }

// SyncFS makes sure that everything written to the file system that root is on
// has reached its medium, where the system has such a call. Here it has none:
// every file that WriteFile wrote has been synced by itself.
func SyncFS(*os.Root) error { return nil }

// DropCache makes the system forget what it remembers of a file, so that the
// next read comes from the medium, and reports whether that succeeded. This
// system has no way to ask for it.
func DropCache(*os.File) bool { return false }
