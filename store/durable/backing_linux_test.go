package durable_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ssbsync/ssbsync/store/durable"
)

// TestSourceOfMount finds devices and images, and believes nothing else to be
// one.
func TestSourceOfMount(t *testing.T) {
	const mountinfo = `21 26 0:20 / /sys rw,nosuid shared:7 - sysfs sysfs rw
36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
99 26 7:0 / /media/a\040b rw,relatime shared:1 master:2 - fuseblk /dev/loop0 rw
100 26 0:57 / /media/image rw - fuse.exfat /home/me/my\040image\134.img rw
101 26 0:58 / /media/remote rw - fuse.sshfs me@there:/x rw
short
102 26 0:59 / /media/cut rw - fuse
103 26 0:60 / /media/noseparator rw fuse /dev/sda rw
`
	for _, c := range []struct {
		major, minor uint32
		want         string
	}{
		{7, 0, "/dev/loop0"}, {98, 0, "/dev/root"}, {0, 57, `/home/me/my image\.img`},
		{0, 58, ""}, {0, 59, ""}, {0, 60, ""}, {0, 20, ""}, {7, 1, ""}, {0, 5, ""},
	} {
		got, ok := durable.SourceOf(mountinfo, unix.Mkdev(c.major, c.minor))
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%d:%d: %q %v, want %q", c.major, c.minor, got, ok, c.want)
		}
	}
}
