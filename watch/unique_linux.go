package watch

import (
	"encoding/binary"
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"
)

// uniqueIDs returns, for each mount id of mountinfo, the number of the mount
// that the kernel never gives to another one; nothing when it does not tell
// (before Linux 6.8, or in a sandbox). The ids in mountinfo are used again at
// once: without these a quick unmount and mount looks as if nothing happened.
//
// statx(2) tells the same by path, but whoever walks a path holds the mount for
// that moment, and an unmount just then fails as busy. listmount(2) and
// statmount(2) hold nothing.
func uniqueIDs() map[uint64]uint64 {
	unique := map[uint64]uint64{}
	var last uint64
	for len(unique) < maxMounts {
		var page [256]uint64
		n, err := mountCall(unix.SYS_LISTMOUNT, lsmtRoot, last, unsafe.Pointer(&page), uintptr(len(page)))
		if err != nil || n == 0 {
			break
		}
		for _, id := range page[:min(int(n), len(page))] {
			if old, ok := reusedID(id); ok {
				unique[old] = id
			}
		}
		last = page[n-1]
	}
	return unique
}

// From linux/mount.h.
const (
	lsmtRoot          = ^uint64(0) // LSMT_ROOT: all mounts of the namespace
	statmountMntBasic = 2          // STATMOUNT_MNT_BASIC
	statmountSize     = 512        // sizeof(struct statmount) without strings
	statmountMaskAt   = 8          // u64 mask
	statmountOldIDAt  = 56         // u32 mnt_id_old
)

// reusedID returns the id in mountinfo of a mount.
func reusedID(id uint64) (uint64, bool) {
	var buf [statmountSize]byte
	if _, err := mountCall(unix.SYS_STATMOUNT, id, statmountMntBasic, unsafe.Pointer(&buf), statmountSize); err != nil {
		return 0, false // unmounted meanwhile: the list is made again
	}
	if binary.NativeEndian.Uint64(buf[statmountMaskAt:])&statmountMntBasic == 0 {
		return 0, false
	}
	return uint64(binary.NativeEndian.Uint32(buf[statmountOldIDAt:])), true
}

// mountCall makes one of the two calls, which ask in the same form.
func mountCall(trap uintptr, id, param uint64, buf unsafe.Pointer, size uintptr) (uintptr, error) {
	// struct mnt_id_req, MNT_ID_REQ_SIZE_VER0
	req := struct {
		size, spare uint32
		id, param   uint64
	}{size: 24, id: id, param: param}
	for {
		n, _, errno := unix.Syscall6(trap, uintptr(unsafe.Pointer(&req)), uintptr(buf), size, 0, 0, 0)
		switch {
		case errno == 0:
			return n, nil
		case !errors.Is(errno, unix.EINTR):
			return 0, errno
		}
	}
}
