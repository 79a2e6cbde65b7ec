package watch

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Limits of what is read about a device.
const (
	maxSysfsFile = 64 << 10
	maxSlaves    = 16
	maxStacked   = 4 // a file system on LUKS on LVM on a partition is 3
)

// device is what sysfs and udev tell of a block device.
type device struct {
	name      string // /dev/sdb1; empty: unknown
	label     string
	uuid      string
	removable bool
	loop      bool
}

// describe looks a block device up, in sysfs for what it is and in udev's
// database for its label. Neither opens the device. root is put before /sys,
// /run and /dev.
func describe(root string, major, minor uint32) device {
	dir := sysfsDir(root, major, minor)
	if dir == "" {
		return device{}
	}
	base := filepath.Base(dir)
	d := device{
		name:      "/dev/" + strings.ReplaceAll(base, "!", "/"),
		removable: isRemovable(dir, 0),
		loop:      strings.HasPrefix(base, "loop"),
	}
	for line := range strings.Lines(readSmall(fmt.Sprintf("%s/run/udev/data/b%d:%d", root, major, minor))) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		switch key {
		case "E:ID_FS_LABEL_ENC":
			d.label = cleanLabel(unhex(value))
		case "E:ID_FS_UUID_ENC":
			d.uuid = cleanLabel(unhex(value))
		case "E:ID_BUS":
			d.removable = d.removable || value == "usb"
		}
	}
	if d.label == "" {
		d.label = linkedName(root+"/dev/disk/by-label", base)
	}
	if d.uuid == "" {
		d.uuid = linkedName(root+"/dev/disk/by-uuid", base)
	}
	return d
}

// sysfsDir returns the folder of a block device below /sys/devices, empty when
// there is none: the device was pulled, or sysfs is not mounted.
func sysfsDir(root string, major, minor uint32) string {
	dir, err := filepath.EvalSymlinks(fmt.Sprintf("%s/sys/dev/block/%d:%d", root, major, minor))
	if err != nil {
		return ""
	}
	return dir
}

// isRemovable reports whether the kernel calls the disk removable, or whether
// it hangs on USB or in a card slot. A mapped device (LUKS, LVM) is removable
// when something that it lies on is.
func isRemovable(dir string, depth int) bool {
	disk := dir
	if _, err := os.Lstat(dir + "/partition"); err == nil {
		disk = filepath.Dir(dir)
	}
	if strings.TrimSpace(readSmall(disk+"/removable")) == "1" || onUSB(disk) {
		return true
	}
	if strings.Contains(disk, "/mmc_host/") && strings.TrimSpace(readSmall(disk+"/device/type")) == "SD" {
		return true
	}
	if depth == maxStacked {
		return false
	}
	slaves, _ := os.ReadDir(dir + "/slaves")
	for _, s := range slaves[:min(len(slaves), maxSlaves)] {
		lower, err := filepath.EvalSymlinks(dir + "/slaves/" + s.Name())
		if err == nil && isRemovable(lower, depth+1) {
			return true
		}
	}
	return false
}

// onUSB reports whether a path of sysfs leads over a USB host: usb1, usb2, …
func onUSB(dir string) bool {
	for part := range strings.SplitSeq(dir, "/") {
		number, ok := strings.CutPrefix(part, "usb")
		if ok && number != "" && strings.Trim(number, "0123456789") == "" {
			return true
		}
	}
	return false
}

// linkedName returns the name of the link in dir that leads to the device, as
// udev makes them.
func linkedName(dir, device string) string {
	links, _ := os.ReadDir(dir)
	for _, l := range links {
		target, err := os.Readlink(dir + "/" + l.Name())
		if err == nil && filepath.Base(target) == device {
			return cleanLabel(unhex(l.Name()))
		}
	}
	return ""
}

// readSmall returns the beginning of a file of the system, empty when it
// cannot be read.
func readSmall(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	data, _ := io.ReadAll(io.LimitReader(f, maxSysfsFile))
	return string(data)
}

// unhex undoes udev's \x20.
func unhex(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		var v byte
		if strings.HasPrefix(s[i:], `\x`) && len(s) >= i+4 {
			if _, err := fmt.Sscanf(s[i+2:i+4], "%02x", &v); err == nil {
				b.WriteByte(v)
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
