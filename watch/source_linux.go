package watch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// mountinfo is polled as a plain descriptor: through an os.File the runtime's
// poller takes the events before anybody looks.
const mountinfo = "/proc/self/mountinfo"

// How often the list is made again because it changed while it was made, and
// how long to wait for the storm to pass before that.
const (
	steadyTries = 50
	steadyPause = time.Millisecond
)

// linuxSource lists the mounts of this process's mount namespace.
type linuxSource struct {
	root    string            // before /sys, /run and /dev: empty outside tests
	devices map[string]device // of the mounts listed last, by id
}

func openSource() (source, error) { return &linuxSource{}, nil }

// list reads and identifies until nothing changed meanwhile: mountinfo comes in
// pieces, between which a mount may slip through, and uniqueIDs come apart. A
// list that was not steady is no list: it could give a new mount the name of
// the old one, and then the new one would never be told.
func (s *linuxSource) list() ([]mount, error) {
	for range steadyTries {
		mounts, devices, steady, err := s.listOnce()
		if err != nil {
			return nil, err
		}
		if steady {
			s.devices = devices
			return mounts, nil
		}
		time.Sleep(steadyPause)
	}
	return nil, fmt.Errorf("%s changed each of %d times that it was read", mountinfo, steadyTries)
}

func (s *linuxSource) listOnce() (mounts []mount, devices map[string]device, steady bool, err error) {
	fd, err := openMountinfo()
	if err != nil {
		return nil, nil, false, fmt.Errorf("opening %s: %v", mountinfo, err)
	}
	defer unix.Close(fd)
	data, err := readAll(fd)
	if err != nil {
		return nil, nil, false, fmt.Errorf("reading %s: %v", mountinfo, err)
	}
	lines, bad := parseMountinfo(data)
	if len(lines) == 0 {
		return nil, nil, false, fmt.Errorf("%s: none of %d lines understood", mountinfo, bad)
	}
	mounts, devices = s.mounts(visible(lines), uniqueIDs())
	events, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLPRI}}, 0)
	return mounts, devices, err == nil && events == 0, nil
}

// mounts finds out what the mounts are, the new ones only.
func (s *linuxSource) mounts(lines []mountLine, unique map[uint64]uint64) ([]mount, map[string]device) {
	devices := make(map[string]device, len(lines))
	mounts := make([]mount, 0, len(lines))
	for _, l := range lines {
		m := mount{medium: Medium{Path: l.path, Device: l.source, FSType: l.fstype, ReadOnly: l.readOnly}}
		m.id = fmt.Sprintf("mount %d %d %d:%d %q", l.id, unique[l.id], l.major, l.minor, l.root)
		m.skip = pseudo(l.fstype)
		if !m.skip {
			s.identify(&m, l, devices)
		}
		mounts = append(mounts, m)
	}
	return mounts, devices
}

// identify fills in the device of a mount, and skips it when it is a fixed
// part of the system or its device was pulled.
func (s *linuxSource) identify(m *mount, l mountLine, devices map[string]device) {
	major, minor, block := blockDevice(l)
	if !block {
		m.skip = systemPath(l.path)
		return
	}
	d, known := s.devices[m.id]
	if !known {
		d = describe(s.root, major, minor)
	}
	devices[m.id] = d
	if d.name != "" {
		m.medium.Device = d.name
	}
	m.medium.Label, m.medium.UUID = d.label, d.uuid
	m.medium.Removable, m.medium.Loop = d.removable, d.loop
	pulled := d.name != "" && sysfsDir(s.root, major, minor) == ""
	m.skip = pulled || !d.removable && systemPath(l.path)
}

// blockDevice returns the number of the block device under a mount. File
// systems with numbers of their own (btrfs) name it only as their source.
func blockDevice(l mountLine) (major, minor uint32, ok bool) {
	if l.major != 0 {
		return l.major, l.minor, true
	}
	var st unix.Stat_t
	if !strings.HasPrefix(l.source, "/dev/") || unix.Stat(l.source, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFBLK {
		return 0, 0, false
	}
	return unix.Major(uint64(st.Rdev)), unix.Minor(uint64(st.Rdev)), true
}

func readAll(fd int) (data []byte, err error) {
	buf := make([]byte, 64<<10)
	for {
		n, err := unix.Read(fd, buf)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, err
		case n == 0:
			return data, nil
		case len(data)+n > maxMountinfo:
			return nil, fmt.Errorf("longer than %d bytes", maxMountinfo)
		}
		data = append(data, buf[:n]...)
	}
}

func openMountinfo() (int, error) {
	for {
		fd, err := unix.Open(mountinfo, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

// wait polls the mounts of the namespace, and the kernel's news of devices
// where it may listen to them.
func (s *linuxSource) wait(ctx context.Context, changed func()) error {
	mounts, err := openMountinfo()
	if err != nil {
		return fmt.Errorf("opening %s: %v", mountinfo, err)
	}
	defer unix.Close(mounts)
	stop, err := newStopper(ctx)
	if err != nil {
		return err
	}
	defer stop.close()
	fds := []unix.PollFd{
		{Fd: int32(mounts), Events: unix.POLLPRI},
		{Fd: int32(stop.fd), Events: unix.POLLIN},
	}
	if news, err := openUevents(); err == nil {
		defer unix.Close(news)
		fds = append(fds, unix.PollFd{Fd: int32(news), Events: unix.POLLIN})
	}
	changed() // what happened before the file was opened
	for {
		if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("polling %s: %v", mountinfo, err)
		}
		if ctx.Err() != nil {
			return nil
		}
		heard := fds[0].Revents != 0
		if len(fds) > 2 && fds[2].Revents != 0 {
			heard = drainUevents(int(fds[2].Fd)) || heard
		}
		if heard {
			changed()
		}
	}
}

// A stopper wakes a poll when a context ends.
type stopper struct {
	fd      int
	release func() bool
	written chan struct{}
}

func newStopper(ctx context.Context) (*stopper, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("making an eventfd: %v", err)
	}
	s := &stopper{fd: fd, written: make(chan struct{})}
	s.release = context.AfterFunc(ctx, func() {
		defer close(s.written)
		_, _ = unix.Write(fd, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // cannot fail on an eventfd at 0
	})
	return s, nil
}

func (s *stopper) close() {
	if !s.release() {
		<-s.written // else it could write to what has the number next
	}
	unix.Close(s.fd)
}
