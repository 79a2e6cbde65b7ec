package watch

import "golang.org/x/sys/unix"

// Mounts returns what the Linux source makes of a text of /proc/self/mountinfo,
// with /sys, /run and /dev below root, and the number of lines that it did not
// understand. Later calls of the returned function are later looks.
func Mounts(root string) func(mountinfo string) (mounts []FakeMount, bad int) {
	s := &linuxSource{root: root}
	return func(text string) ([]FakeMount, int) {
		lines, bad := parseMountinfo([]byte(text))
		var found []FakeMount
		mounts, devices := s.mounts(visible(lines), nil)
		s.devices = devices
		for _, m := range mounts {
			found = append(found, FakeMount{m.medium, m.id, m.skip})
		}
		return found, bad
	}
}

// ParseMountinfo returns path, type, source and ro of each mount of a text.
func ParseMountinfo(text string) (mounts [][4]string, bad int) {
	lines, bad := parseMountinfo([]byte(text))
	for _, l := range lines {
		mode := "rw"
		if l.readOnly {
			mode = "ro"
		}
		mounts = append(mounts, [4]string{l.path, l.fstype, l.source, mode})
	}
	return mounts, bad
}

// UeventHeard reports whether the kernel tells of a block device when do adds
// one.
func UeventHeard(do func() error) (bool, error) {
	fd, err := openUevents()
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	if drainUevents(fd) {
		drainUevents(fd)
	}
	if err := do(); err != nil {
		return false, err
	}
	_, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 5_000)
	return drainUevents(fd), err
}
