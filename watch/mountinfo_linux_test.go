package watch_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/watch"
)

const stickLine = `61 28 8:17 / /media/me/MY\040STICK rw,nosuid shared:5 - vfat /dev/sdb1 rw,errors=remount-ro`

func TestParseMountinfo(t *testing.T) {
	cases := []struct {
		name, line string
		want       []string // path, type, source, mode; nil: refused
	}{
		{"a stick", stickLine, []string{"/media/me/MY STICK", "vfat", "/dev/sdb1", "rw"}},
		{"no optional field", `1 2 8:1 / /a rw - ext4 /dev/sda1 rw`, []string{"/a", "ext4", "/dev/sda1", "rw"}},
		{"many optional fields", `1 2 8:1 / /a rw shared:1 master:2 propagate_from:3 unbindable - ext4 x rw`, []string{"/a", "ext4", "x", "rw"}},
		{"read-only mount", `1 2 8:1 / /a ro,noatime - ext4 x rw`, []string{"/a", "ext4", "x", "ro"}},
		{"read-only file system", `1 2 8:1 / /a rw,noatime - ext4 x noload,ro`, []string{"/a", "ext4", "x", "ro"}},
		{"ro within a word", `1 2 8:1 / /a rw - ext4 x rw,errors=remount-ro,prout`, []string{"/a", "ext4", "x", "rw"}},
		{"every escape", `1 2 8:1 / /a\011b\012c\134d\043e rw - ext4 x\040y rw`, []string{"/a\tb\nc\\d#e", "ext4", "x y", "rw"}},
		{"no escape after all", `1 2 8:1 / /a\9\04\777 rw - ext4 x rw`, []string{`/a\9\04\777`, "ext4", "x", "rw"}},
		{"escape at the end", `1 2 8:1 / /a\04 rw - ext4 x rw`, []string{`/a\04`, "ext4", "x", "rw"}},
		{"empty source", `1 2 0:1 / /a rw - tmpfs  rw`, []string{"/a", "tmpfs", "", "rw"}},
		{"not UTF-8", "1 2 8:1 / /a\xff rw - ext4 x rw", []string{"/a\xff", "ext4", "x", "rw"}},
		{"large ids", `18446744073709551615 2 4095:1048575 / /a rw - ext4 x rw`, []string{"/a", "ext4", "x", "rw"}},
		{"empty", ``, nil},
		{"no separator", `1 2 8:1 / /a rw ext4 x rw`, nil},
		{"cut before the end", `1 2 8:1 / /a rw - ext4 x`, nil},
		{"too few fields", `1 2 8:1 /a rw - ext4 x rw`, nil},
		{"negative id", `-1 2 8:1 / /a rw - ext4 x rw`, nil},
		{"id too large", `18446744073709551616 2 8:1 / /a rw - ext4 x rw`, nil},
		{"parent is no number", `1 x 8:1 / /a rw - ext4 x rw`, nil},
		{"device without minor", `1 2 8 / /a rw - ext4 x rw`, nil},
		{"device is no number", `1 2 a:b / /a rw - ext4 x rw`, nil},
		{"relative mount point", `1 2 8:1 / a rw - ext4 x rw`, nil},
	}
	for _, c := range cases {
		got, bad := watch.ParseMountinfo(c.line + "\n")
		if c.want == nil {
			if len(got) != 0 || bad != 1 {
				t.Errorf("%s: got %q, %d bad lines; want none and 1", c.name, got, bad)
			}
			continue
		}
		if len(got) != 1 || bad != 0 || !slices.Equal(got[0][:], c.want) {
			t.Errorf("%s: got %q, %d bad lines; want %q", c.name, got, bad, c.want)
		}
	}
	t.Logf("%d lines", len(cases))
}

func TestParseMountinfoBounds(t *testing.T) {
	got, bad := watch.ParseMountinfo(strings.Repeat(stickLine+"\n", 131_072+7))
	if len(got) != 131_072 || bad != 1 {
		t.Errorf("got %d mounts and %d bad lines", len(got), bad)
	}
	got, bad = watch.ParseMountinfo("nonsense\n" + stickLine + "\n" + stickLine[:30])
	if len(got) != 1 || bad != 2 {
		t.Errorf("got %d mounts and %d bad lines between nonsense, want 1 and 2", len(got), bad)
	}
}

func TestParseOwnMountinfo(t *testing.T) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	got, bad := watch.ParseMountinfo(string(text))
	if len(got) == 0 || bad != 0 {
		t.Errorf("%d mounts, %d lines not understood in:\n%s", len(got), bad, text)
	}
	t.Logf("%d mounts of this machine", len(got))
}

func FuzzMountinfo(f *testing.F) {
	f.Add(stickLine + "\n")
	f.Add("1 1 0:1 / / rw - tmpfs x rw\n2 1 0:2 / /a rw - tmpfs x rw\n3 2 0:3 / /a rw - tmpfs x ro")
	f.Add("1 2 0:1 / /a rw - tmpfs x rw\n2 1 0:2 / /a/b rw - tmpfs x rw") // a ring
	f.Add("1 0 0:1 / /\\057\\057a// rw - tmpfs x rw\n")
	root := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		lines, bad := watch.ParseMountinfo(text)
		if n := strings.Count(strings.TrimSuffix(text, "\n"), "\n") + 1; len(lines)+bad > n {
			t.Fatalf("%d mounts and %d bad ones of %d lines", len(lines), bad, n)
		}
		mounts, _ := watch.Mounts(root)(text)
		for _, m := range mounts {
			if !strings.HasPrefix(m.Medium.Path, "/") {
				t.Fatalf("path %q", m.Medium.Path)
			}
		}
		if len(mounts) > len(lines) {
			t.Fatalf("%d of %d mounts are visible", len(mounts), len(lines))
		}
	})
}

func TestVisible(t *testing.T) {
	const base = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
	cases := []struct {
		name, text string
		want       []string // paths and sources of what is visible, below /
	}{
		{"two sticks", "2 1 0:2 / /m/a rw - tmpfs A rw\n3 1 0:3 / /m/b rw - tmpfs B rw\n", []string{"/m/a A", "/m/b B"}},
		{"one over the other", "2 1 0:2 / /m/a rw - tmpfs A rw\n3 2 0:3 / /m/a rw - tmpfs B rw\n", []string{"/m/a B"}},
		{"three deep", "4 3 0:4 / /m/a rw - tmpfs C rw\n2 1 0:2 / /m/a rw - tmpfs A rw\n3 2 0:3 / /m/a rw - tmpfs B rw\n", []string{"/m/a C"}},
		{"over the folder above", "2 1 0:2 / /m/a rw - tmpfs A rw\n3 1 0:3 / /m rw - tmpfs B rw\n", []string{"/m B"}},
		{"inside", "2 1 0:2 / /m rw - tmpfs A rw\n3 2 0:3 / /m/a rw - tmpfs B rw\n", []string{"/m A", "/m/a B"}},
		{"inside of what is covered", "2 1 0:2 / /m rw - tmpfs A rw\n3 2 0:3 / /m/a rw - tmpfs B rw\n4 2 0:4 / /m rw - tmpfs C rw\n", []string{"/m C"}},
		{"a name that begins alike", "2 1 0:2 / /m/a rw - tmpfs A rw\n3 1 0:3 / /m/ab rw - tmpfs B rw\n", []string{"/m/a A", "/m/ab B"}},
		{"unknown parent", "2 77 0:2 / /m/a rw - tmpfs A rw\n", []string{"/m/a A"}},
		{"its own parent", "2 2 0:2 / /m/a rw - tmpfs A rw\n", []string{"/m/a A"}},
		{"a ring", "2 3 0:2 / /m/a rw - tmpfs A rw\n3 2 0:3 / /m/b rw - tmpfs B rw\n", nil},
	}
	for _, c := range cases {
		mounts, bad := watch.Mounts(t.TempDir())(base + c.text)
		var got []string
		for _, m := range mounts {
			if m.Medium.Path != "/" {
				got = append(got, m.Medium.Path+" "+m.Medium.Device)
			}
		}
		if slices.Sort(got); bad != 0 || !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	t.Logf("%d stacks of mounts", len(cases))
}

func TestSystemMountsAreNoMedia(t *testing.T) {
	look := watch.Mounts(t.TempDir())
	for path, skipped := range map[string]bool{
		"/": true, "/boot/efi": true, "/run/user/1000": true, "/proc": true, "/snap/core/1": true,
		"/run/media/me/STICK": false, "/media/me/STICK": false, "/mnt": false, "/home": false,
		"/tmp/x": false, "/bootcamp": false, "/var/lib/x": true, "/var/tmp/x": false,
	} {
		mounts, _ := look("1 0 0:5 / " + path + " rw - tmpfs none rw\n")
		if len(mounts) != 1 || mounts[0].Skip != skipped {
			t.Errorf("%s: got %+v, want skipped %v", path, mounts, skipped)
		}
	}
	for _, fstype := range []string{"proc", "autofs", "cgroup2", "fuse.portal"} {
		if mounts, _ := look("1 0 0:5 / /mnt rw - " + fstype + " none rw\n"); !mounts[0].Skip {
			t.Errorf("%s is taken for a medium", fstype)
		}
	}
}

// machine makes a tree of sysfs and udev's database as a Debian machine with
// these devices has it.
func machine(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	const usb = "sys/devices/pci0000:00/0000:00:14.0/usb1/1-1/1-1:1.0/host6/target6:0:0/6:0:0:0/block/sdb"
	const ssd = "sys/devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda"
	const card = "sys/devices/pci0000:00/0000:00:1c.0/mmc_host/mmc0/mmc0:aaaa/block/mmcblk0"
	for name, text := range map[string]string{
		usb + "/removable":                       "0\n", // as USB disks say, unlike sticks
		usb + "/sdb1/partition":                  "1\n",
		ssd + "/removable":                       "0\n",
		ssd + "/sda2/partition":                  "2\n",
		card + "/removable":                      "0\n",
		card + "/device/type":                    "SD\n",
		card + "/mmcblk0p1/partition":            "1\n",
		"sys/devices/virtual/block/dm-0/dm/name": "luks\n",
		"sys/devices/virtual/block/loop0/ro":     "0\n",
		"run/udev/data/b8:17":                    "S:disk/by-label/x\nE:ID_BUS=usb\nE:ID_FS_LABEL_ENC=MY\\x20\\x1b[2JST\\xc3\\xaeCK\nE:ID_FS_UUID_ENC=1A2B-3C4D\n",
	} {
		write(t, filepath.Join(root, name), text)
	}
	for name, target := range map[string]string{
		"sys/dev/block/8:17":                          "../../../" + usb + "/sdb1",
		"sys/dev/block/8:2":                           "../../../" + ssd + "/sda2",
		"sys/dev/block/179:1":                         "../../../" + card + "/mmcblk0p1",
		"sys/dev/block/253:0":                         "../../../sys/devices/virtual/block/dm-0",
		"sys/dev/block/7:0":                           "../../../sys/devices/virtual/block/loop0",
		"sys/devices/virtual/block/dm-0/slaves/sdb1":  "../../../../../../" + usb + "/sdb1",
		"dev/disk/by-label/HOLIDAY\\x20PICS":          "../../mmcblk0p1",
		"dev/disk/by-uuid/6a5c":                       "../../mmcblk0p1",
		"sys/devices/virtual/block/dm-0/slaves/loops": "../../dm-0/slaves/loops",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestDevices(t *testing.T) {
	look := watch.Mounts(machine(t))
	cases := []struct {
		dev, path string
		want      watch.Medium
	}{
		{"8:17", "/media/a", watch.Medium{Device: "/dev/sdb1", Label: "MY \uFFFD[2JSTîCK", UUID: "1A2B-3C4D", Removable: true}},
		{"8:17", "/boot", watch.Medium{Device: "/dev/sdb1", Label: "MY \uFFFD[2JSTîCK", UUID: "1A2B-3C4D", Removable: true}},
		{"8:2", "/media/b", watch.Medium{Device: "/dev/sda2"}},
		{"179:1", "/media/c", watch.Medium{Device: "/dev/mmcblk0p1", Label: "HOLIDAY PICS", UUID: "6a5c", Removable: true}},
		{"253:0", "/media/d", watch.Medium{Device: "/dev/dm-0", Removable: true}},
		{"7:0", "/media/e", watch.Medium{Device: "/dev/loop0", Loop: true}},
		{"9:9", "/media/f", watch.Medium{Device: "what/it/says"}},
	}
	for _, c := range cases {
		c.want.Path, c.want.FSType = c.path, "vfat"
		mounts, _ := look("1 0 " + c.dev + " / " + c.path + " rw - vfat what/it/says rw\n")
		if len(mounts) != 1 || mounts[0].Medium != c.want || mounts[0].Skip {
			t.Errorf("%s:\n got %+v\nwant %+v", c.dev, mounts, c.want)
		}
	}
	t.Logf("%d devices", len(cases))
}

// A stick that is pulled stays in the list of mounts.
func TestPulledDevice(t *testing.T) {
	root := machine(t)
	look := watch.Mounts(root)
	const line = "1 0 8:17 / /media/a rw - vfat /dev/sdb1 rw\n"
	if mounts, _ := look(line); mounts[0].Skip {
		t.Fatal("the stick is not seen")
	}
	if err := os.Remove(root + "/sys/dev/block/8:17"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if mounts, _ := look(line); !mounts[0].Skip {
			t.Error("the pulled stick is still seen")
		}
	}
}

func TestMountIdentity(t *testing.T) {
	look := watch.Mounts(machine(t))
	ids := map[string]string{}
	for _, line := range []string{
		"1 0 8:17 / /media/a rw - vfat /dev/sdb1 rw",
		"2 0 8:17 / /media/a rw - vfat /dev/sdb1 rw",
		"1 0 8:18 / /media/a rw - vfat /dev/sdb2 rw",
		"1 0 8:17 /sub /media/a rw - vfat /dev/sdb1 rw",
	} {
		mounts, _ := look(line + "\n")
		if other, seen := ids[mounts[0].ID]; seen {
			t.Errorf("%q and %q are taken for the same", line, other)
		}
		ids[mounts[0].ID] = line
	}
	again, _ := look("1 0 8:17 / /media/a ro - vfat /dev/sdb1 ro\n")
	if ids[again[0].ID] == "" {
		t.Error("a mount that became read-only is taken for another one")
	}
}
