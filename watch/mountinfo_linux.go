package watch

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// Limits of what is read of /proc/self/mountinfo. The kernel allows 100,000
// mounts in a namespace (fs.mount-max).
const (
	maxMountinfo = 32 << 20
	maxMounts    = 131_072
)

// mountLine is a line of /proc/self/mountinfo, proc_pid_mountinfo(5):
//
//	36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
//	id parent dev root path options [optional…] - type source superoptions
//
// Space, tab, newline, backslash and number sign are \040 and so on.
type mountLine struct {
	id, parent   uint64
	major, minor uint32
	root         string // what of the file system is mounted: / is all of it
	path         string
	fstype       string
	source       string
	readOnly     bool
}

// parseMountinfo returns the mounts in the order of the kernel, and how many
// lines were not understood.
func parseMountinfo(data []byte) (mounts []mountLine, bad int) {
	for line := range bytes.Lines(data) {
		if len(mounts) == maxMounts {
			return mounts, bad + 1
		}
		m, err := parseMountLine(string(bytes.TrimSuffix(line, []byte("\n"))))
		if err != nil {
			bad++
			continue
		}
		mounts = append(mounts, m)
	}
	return mounts, bad
}

func parseMountLine(line string) (mountLine, error) {
	before, after, ok := strings.Cut(line, " - ")
	if !ok {
		return mountLine{}, fmt.Errorf("no separator")
	}
	f := strings.Split(before, " ")
	g := strings.Split(after, " ")
	if len(f) < 6 || len(g) != 3 {
		return mountLine{}, fmt.Errorf("%d and %d fields", len(f), len(g))
	}
	var m mountLine
	var err error
	if m.id, err = strconv.ParseUint(f[0], 10, 64); err != nil {
		return mountLine{}, fmt.Errorf("mount id: %v", err)
	}
	if m.parent, err = strconv.ParseUint(f[1], 10, 64); err != nil {
		return mountLine{}, fmt.Errorf("parent id: %v", err)
	}
	if m.major, m.minor, err = parseDevice(f[2]); err != nil {
		return mountLine{}, err
	}
	m.root, m.path = unescape(f[3]), unescape(f[4])
	if !strings.HasPrefix(m.path, "/") {
		return mountLine{}, fmt.Errorf("mount point %q is not absolute", m.path)
	}
	m.fstype, m.source = unescape(g[0]), unescape(g[1])
	m.readOnly = hasOption(f[5], "ro") || hasOption(g[2], "ro")
	return m, nil
}

func parseDevice(s string) (major, minor uint32, err error) {
	a, b, _ := strings.Cut(s, ":")
	x, errA := strconv.ParseUint(a, 10, 32)
	y, errB := strconv.ParseUint(b, 10, 32)
	if errA != nil || errB != nil {
		return 0, 0, fmt.Errorf("device %q is not major:minor", s)
	}
	return uint32(x), uint32(y), nil
}

func hasOption(options, name string) bool {
	for o := range strings.SplitSeq(options, ",") {
		if o == name {
			return true
		}
	}
	return false
}

// unescape undoes the kernel's \ooo. Anything else after a backslash stays as
// it is.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if v, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(v))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
