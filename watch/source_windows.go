package watch

import (
	"fmt"

	"golang.org/x/sys/windows"
)

func openSource() (source, error) { return polled(listDrives), nil }

// listDrives looks at the drive letters. A card reader without a card has a
// letter but no volume. Drives of the network are left alone: asking for one
// that does not answer takes half a minute.
func listDrives() ([]mount, error) {
	letters, err := windows.GetLogicalDrives()
	if err != nil {
		return nil, fmt.Errorf("listing drives: %v", err)
	}
	var mounts []mount
	for i := range 26 {
		if letters&(1<<i) == 0 {
			continue
		}
		if m, ok := drive(string(rune('A' + i))); ok {
			mounts = append(mounts, m)
		}
	}
	return mounts, nil
}

// drive describes the volume behind a letter, if there is one.
func drive(letter string) (mount, bool) {
	path, err := windows.UTF16PtrFromString(letter + `:\`)
	if err != nil {
		return mount{}, false
	}
	kind := windows.GetDriveType(path)
	switch kind {
	case windows.DRIVE_REMOVABLE, windows.DRIVE_FIXED, windows.DRIVE_CDROM, windows.DRIVE_RAMDISK:
	default:
		return mount{}, false
	}
	var label, fstype [windows.MAX_PATH + 1]uint16
	var serial, flags uint32
	err = windows.GetVolumeInformation(path, &label[0], uint32(len(label)), &serial, nil, &flags, &fstype[0], uint32(len(fstype)))
	if err != nil {
		return mount{}, false
	}
	return mount{
		medium: Medium{
			Path:      letter + `:\`,
			Device:    letter + ":",
			Label:     cleanLabel(windows.UTF16ToString(label[:])),
			UUID:      fmt.Sprintf("%04X-%04X", serial>>16, serial&0xffff),
			FSType:    windows.UTF16ToString(fstype[:]),
			ReadOnly:  flags&windows.FILE_READ_ONLY_VOLUME != 0,
			Removable: kind == windows.DRIVE_REMOVABLE || kind == windows.DRIVE_CDROM,
		},
		id: fmt.Sprintf("volume %08x", serial),
	}, true
}
