package durable

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// maxMountInfo bounds what is read of the list of mounts.
const maxMountInfo = 64 << 20

// dropBacking drops the cache of what lies below a file system in user space:
// its program reads a block device, or the image of one, through that cache. It
// reports whether that succeeded, which needs the right to read the device.
func dropBacking(fd int) bool {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return false
	}
	source, ok := mountSource(uint64(st.Dev))
	if !ok {
		return false
	}
	f, ok := openBacking(source, uint64(st.Dev))
	if !ok {
		return false
	}
	defer f.Close()
	return dropBelow(f)
}

// mountSource returns what the file system with a device number was mounted
// from, if that is a path: for a file system without a block device, its program
// may name anything.
func mountSource(dev uint64) (path string, ok bool) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return "", false
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxMountInfo))
	if err != nil {
		return "", false
	}
	return sourceOf(string(text), dev)
}

// sourceOf finds the source of a mount in the text of mountinfo
// (proc_pid_mountinfo(5)): it is the second field after the hyphen.
func sourceOf(mountinfo string, dev uint64) (path string, ok bool) {
	number := fmt.Sprintf("%d:%d", unix.Major(dev), unix.Minor(dev))
	for line := range strings.Lines(mountinfo) {
		before, after, found := strings.Cut(line, " - ")
		fields := strings.Fields(before)
		if !found || len(fields) < 3 || fields[2] != number {
			continue
		}
		if rest := strings.Fields(after); len(rest) >= 2 && strings.HasPrefix(rest[1], "/") {
			return unescape(rest[1]), true
		}
	}
	return "", false
}

// unescape undoes what the kernel does to blanks, line feeds and backslashes.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace

// openBacking opens a block device or a plain file for reading, and nothing
// else. Where dev is the number of a block device, it must be that one.
func openBacking(path string, dev uint64) (*os.File, bool) {
	var seen, st unix.Stat_t
	if unix.Stat(path, &seen) != nil || !backing(&seen, dev) {
		return nil, false
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, false
	}
	if unix.Fstat(fd, &st) != nil || st.Dev != seen.Dev || st.Ino != seen.Ino || !backing(&st, dev) {
		unix.Close(fd)
		return nil, false
	}
	return os.NewFile(uintptr(fd), path), true
}

// backing reports whether a file system can lie on what st tells of. Device
// numbers with major 0 are those of file systems without a device.
func backing(st *unix.Stat_t, dev uint64) bool {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFBLK:
		return unix.Major(dev) == 0 || uint64(st.Rdev) == dev
	case unix.S_IFREG:
		return unix.Major(dev) == 0
	}
	return false
}

// dropBelow writes back and drops the cache of a block device or an image.
func dropBelow(f *os.File) bool {
	fd := int(f.Fd())
	if unix.Fsync(fd) != nil || unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED) != nil {
		return false
	}
	info, err := f.Stat()
	// What the file system itself keeps of a device may stay.
	return err == nil && (!info.Mode().IsRegular() || !resident(f))
}
