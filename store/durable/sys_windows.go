package durable

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/windows"
)

const openFlags, dirFlags = 0, 0

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}

// syncFolder does nothing: Windows keeps names with the files' own metadata
// and offers no sync of a folder.
func syncFolder(*os.File) error { return errors.ErrUnsupported }

// lockDir locks nothing: folders cannot be locked here.
func lockDir(*os.File) error { return errors.ErrUnsupported }

// FreeSpace returns how many bytes this user can still write to the volume
// that holds path, and its size.
func FreeSpace(path string) (free, total uint64, err error) {
	name, err := windows.UTF16PtrFromString(path)
	if err == nil {
		err = windows.GetDiskFreeSpaceEx(name, &free, &total, nil)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("free space of %s: %w", path, err)
	}
	return free, total, nil
}
