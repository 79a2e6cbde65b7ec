package watch

import "strings"

// visible returns the mounts that a path leads to, in the order given: a mount
// is hidden when another one was mounted over its root, or over a folder above
// the one that it is mounted on.
func visible(mounts []mountLine) []mountLine {
	t := mountTree{mounts: mounts, children: map[uint64][]int{}, shown: make([]bool, len(mounts))}
	ids := make(map[uint64]bool, len(mounts))
	for i, m := range mounts {
		ids[m.id] = true
		t.children[m.parent] = append(t.children[m.parent], i)
	}
	for i, m := range mounts {
		if m.parent == m.id {
			t.show([]int{i})
		} else if !ids[m.parent] {
			t.show(t.children[m.parent])
			delete(t.children, m.parent)
		}
	}
	var shown []mountLine
	for i, m := range mounts {
		if t.shown[i] {
			shown = append(shown, m)
		}
	}
	return shown
}

type mountTree struct {
	mounts   []mountLine
	children map[uint64][]int // by id of the parent
	shown    []bool
}

// show marks what is visible of mounts that share a parent, and of what is
// mounted on them. It takes children away as it goes, so that no list, however
// wrong, is walked twice.
func (t *mountTree) show(siblings []int) {
	work := [][]int{siblings}
	for len(work) > 0 {
		group := work[len(work)-1]
		work = work[:len(work)-1]
		for _, i := range t.uncovered(group) {
			m := t.mounts[i]
			below := t.children[m.id]
			delete(t.children, m.id)
			if over := t.at(below, m.path); over >= 0 {
				below = []int{over}
			} else {
				t.shown[i] = true
			}
			work = append(work, below)
		}
	}
}

// at returns the last of the mounts that is mounted at path, or -1.
func (t *mountTree) at(group []int, path string) int {
	for k := len(group) - 1; k >= 0; k-- {
		if t.mounts[group[k]].path == path {
			return group[k]
		}
	}
	return -1
}

// uncovered returns those of sibling mounts that lie below no other sibling.
// Of two at one path the later counts.
func (t *mountTree) uncovered(group []int) []int {
	last := make(map[string]int, len(group))
	for _, i := range group {
		last[t.mounts[i].path] = i
	}
	var open []int
	for _, i := range group {
		if path := t.mounts[i].path; last[path] == i && !coveredBy(last, path) {
			open = append(open, i)
		}
	}
	return open
}

// coveredBy reports whether a folder above path is among the mount points.
func coveredBy(points map[string]int, path string) bool {
	for path != "/" {
		path = path[:strings.LastIndexByte(path, '/')]
		if path == "" {
			path = "/"
		}
		if _, ok := points[path]; ok {
			return true
		}
	}
	return false
}

// pseudo names the file systems that hold no files of anybody, or that a look
// at could hang or start (autofs).
func pseudo(fstype string) bool {
	switch fstype {
	case "autofs", "bdev", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "cpuset",
		"debugfs", "devpts", "devtmpfs", "efivarfs", "fusectl", "fuse.gvfsd-fuse", "fuse.lxcfs",
		"fuse.portal", "fuse.snapfuse", "hugetlbfs", "mqueue", "nfsd", "nsfs", "proc", "pstore",
		"resctrl", "rootfs", "rpc_pipefs", "securityfs", "selinuxfs", "smackfs", "sysfs", "tracefs":
		return true
	}
	return false
}

// systemPath reports whether path is a place of the system's own, where only a
// removable device is worth telling of.
func systemPath(path string) bool {
	if path == "/" {
		return true
	}
	if within(path, "/run/media") || within(path, "/var/tmp") {
		return false
	}
	for _, dir := range []string{"/boot", "/dev", "/efi", "/etc", "/nix", "/proc", "/run", "/snap", "/sys", "/usr", "/var"} {
		if within(path, dir) {
			return true
		}
	}
	return false
}
