package durable

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// windowLen is how much of a file is mapped at once.
const windowLen = 64 << 20

// resident reports whether any page of the file is still in memory, or cannot
// be told not to be. On a tmpfs all of them always are.
func resident(f *os.File) bool {
	info, err := f.Stat()
	if err != nil {
		return true
	}
	for off := int64(0); off < info.Size(); off += windowLen {
		if residentWindow(f, off, int(min(windowLen, info.Size()-off))) {
			return true
		}
	}
	return false
}

func residentWindow(f *os.File, off int64, n int) bool {
	window, err := unix.Mmap(int(f.Fd()), off, n, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return true
	}
	defer unix.Munmap(window)
	pages := make([]byte, (n+os.Getpagesize()-1)/os.Getpagesize())
	_, _, errno := unix.Syscall(unix.SYS_MINCORE,
		uintptr(unsafe.Pointer(&window[0])), uintptr(n), uintptr(unsafe.Pointer(&pages[0])))
	if errno != 0 {
		return true
	}
	for _, p := range pages {
		if p&1 != 0 {
			return true
		}
	}
	return false
}
