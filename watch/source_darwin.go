package watch

import (
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const maxVolumes = 4_096

func openSource() (source, error) { return polled(listVolumes), nil }

// listVolumes asks the kernel what is mounted, without asking the file
// systems. Only what the Finder would show below /Volumes comes and goes.
func listVolumes() ([]mount, error) {
	n, err := unix.Getfsstat(nil, unix.MNT_NOWAIT)
	if err != nil {
		return nil, fmt.Errorf("counting mounts: %v", err)
	}
	stats := make([]unix.Statfs_t, min(n+8, maxVolumes)) // room for some that come meanwhile
	if n, err = unix.Getfsstat(stats, unix.MNT_NOWAIT); err != nil {
		return nil, fmt.Errorf("listing mounts: %v", err)
	}
	mounts := make([]mount, 0, n)
	for i := range stats[:min(n, len(stats))] {
		mounts = append(mounts, volume(&stats[i]))
	}
	return mounts, nil
}

func volume(s *unix.Statfs_t) mount {
	path := unix.ByteSliceToString(s.Mntonname[:])
	device := unix.ByteSliceToString(s.Mntfromname[:])
	visible := within(path, "/Volumes") && s.Flags&unix.MNT_DONTBROWSE == 0
	local := s.Flags&unix.MNT_LOCAL != 0 && strings.HasPrefix(device, "/dev/")
	return mount{
		medium: Medium{
			Path:     path,
			Device:   device,
			Label:    cleanLabel(filepath.Base(path)),
			FSType:   unix.ByteSliceToString(s.Fstypename[:]),
			ReadOnly: s.Flags&unix.MNT_RDONLY != 0,
			// Few drivers set the flag; a second disk below /Volumes is as
			// good as always one that can be ejected.
			Removable: s.Flags&unix.MNT_REMOVABLE != 0 || visible && local,
		},
		id:   fmt.Sprintf("mount %v %q", s.Fsid.Val, device),
		skip: !visible,
	}
}
