//go:build ci && linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ssbsync/ssbsync/sync/stick"
)

// nobody is a user without rights of its own.
const nobody = 65534

// unprivileged returns the same programs, run by a user without rights. It
// needs root, which no permission stops.
func (p *programs) unprivileged() *programs {
	p.t.Helper()
	if os.Getuid() != 0 {
		p.t.Fatal("this test needs root")
	}
	p.chmod(0o755, filepath.Dir(p.dir))
	p.chmod(0o755, p.dir)
	q := *p
	q.prepare = func(cmd *exec.Cmd) {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	return &q
}

// TestPermissions meets folders that the user may not read, write or enter.
func TestPermissions(t *testing.T) {
	p := newPrograms(t)
	user := p.unprivileged()
	p.must("--path", "from", "--quiet", "import", p.data)
	whole := p.folder("whole")
	p.must("--path", "from", "--quiet", "export", whole)
	homes := p.folder("homes")
	p.chmod(0o777, homes)
	home := func() string { return filepath.Join(homes, fmt.Sprint(time.Now().UnixNano())) }

	reader := home()
	user.must("--path", reader, "import", whole) // read-only for this user
	user.wantWhole(reader)
	r := user.want(exitPartly, "--path", reader, "sync", whole)
	contains(t, r.stderr, "takes no writes")
	lacks(t, r.stdout, "safe to remove")
	contains(t, user.want(exitFailed, "--path", reader, "export", whole).stderr, whole, "permission denied")
	p.chmod(0o555, p.folder("locked"))
	contains(t, user.want(exitFailed, "--path", reader, "export", "locked").stderr, "locked", "permission denied")
	contains(t, user.want(exitFailed, "--path", reader, "export", "locked/x.ssb.zst").stderr, "locked/x.ssb.zst", "permission denied")
	contains(t, user.want(exitFailed, "--path", "from", "status").stderr, "permission denied")

	bundle := p.onlyBundle(whole)
	for _, closed := range []string{whole, filepath.Join(whole, "ssbsync"), filepath.Join(whole, "ssbsync/bundles")} {
		p.chmod(0o700, closed)
		for _, command := range [][]string{{"--path", home(), "import"}, {"--path", reader, "sync"}, {"--path", reader, "export"}, {"verify"}} {
			r := user.run(append(command, whole)...)
			if r.code != exitFailed && r.code != exitPartly { // by how much of the stick is closed
				t.Fatalf("%v at a closed %s: exit code %d\n%s%s", command, closed, r.code, r.stdout, r.stderr)
			}
			contains(t, r.stderr, "permission denied")
		}
		p.chmod(0o755, closed)
	}
	// One folder of bundles keeps nobody from the others.
	shard := filepath.Dir(bundle)
	p.chmod(0o700, shard)
	contains(t, user.want(exitPartly, "--path", home(), "import", whole).stderr, "bundles/"+filepath.Base(shard), "permission denied")
	contains(t, user.want(exitPartly, "--path", reader, "sync", whole).stderr, "permission denied")
	contains(t, user.want(exitFailed, "--path", reader, "export", whole).stderr, "permission denied")
	contains(t, user.want(exitFailed, "verify", whole).stderr, "permission denied")
	p.chmod(0o755, shard)

	p.chmod(0o600, bundle)
	r = user.want(exitPartly, "--path", home(), "import", whole)
	contains(t, r.stderr, filepath.Base(bundle), "permission denied")
	contains(t, user.want(exitFailed, "verify", whole).stderr, filepath.Base(bundle), "permission denied")
	p.chmod(0o644, bundle)
	user.must("--path", home(), "import", whole)
}

func (p *programs) chmod(mode os.FileMode, path string) {
	p.t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		p.t.Fatal(err)
	}
}

// TestReadOnlyMedium visits a stick with its write protection on.
func TestReadOnlyMedium(t *testing.T) {
	p := newPrograms(t)
	medium := p.tmpfs("size=20m")
	p.must("--path", "from", "--quiet", "import", p.data)
	p.must("--path", "from", "--quiet", "export", medium)
	p.must("--path", "from", "publish", "--type", "post", "--text", "more")
	p.remount(medium, "size=20m", unix.MS_RDONLY)
	p.must("--path", "to", "import", medium)
	p.wantWhole("to")
	contains(t, p.want(exitPartly, "--path", "to", "sync", medium).stderr, "takes no writes")
	contains(t, p.want(exitFailed, "--path", "from", "export", medium).stderr, "read-only file system")
	p.must("verify", medium)
}

// TestFullMedium exports to media that cannot take it all.
func TestFullMedium(t *testing.T) {
	p := newPrograms(t)
	p.must("--path", "from", "--quiet", "import", p.data)

	// Room for a part: that part is whole, the rest is counted and comes later.
	small := p.tmpfs("size=1600k")
	r := p.want(exitPartly, "--path", "from", "export", small)
	contains(t, r.stderr, "no room for ")
	p.must("verify", small)
	var report stick.Report
	p.report(&report, "--path", "to", "import", small)
	if report.New == 0 || report.New >= fixtures || report.Rejected+report.Waiting != 0 {
		t.Errorf("what fitted: %+v", report)
	}
	p.remount(small, "size=20m", 0)
	p.must("--path", "from", "export", small)
	p.must("--path", "to", "import", small)
	p.wantWhole("to")
	t.Logf("%d of %d messages fitted at first", report.New, fixtures)

	// Room only as far as one can see: writing fails in the middle.
	for files := 3; files < 12; files++ {
		medium := p.tmpfs(fmt.Sprintf("size=20m,nr_inodes=%d", files))
		r := p.run("--path", "from", "export", medium)
		if r.code != exitDone {
			contains(t, r.stderr, "no space left on device", "hint: make room")
		}
		p.wantNoHalfBundle(medium)
		p.remount(medium, "size=20m,nr_inodes=100", 0)
		p.must("--path", "from", "export", medium)
		p.must("--path", fmt.Sprint("inodes-", files), "import", medium)
		p.wantWhole(fmt.Sprint("inodes-", files))
		p.wantNoLeftovers(medium)
	}

	// A single file is there whole or not at all.
	tiny := p.tmpfs("size=300k")
	r = p.want(exitFailed, "--path", "from", "export", filepath.Join(tiny, "x.ssb.zst"))
	contains(t, r.stderr, "x.ssb.zst", "no space left on device", "hint: make room")
	if left, err := os.ReadDir(tiny); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// wantNoLeftovers checks that no temporary file lies on a medium.
func (p *programs) wantNoLeftovers(medium string) {
	p.t.Helper()
	parts, err := filepath.Glob(filepath.Join(medium, "ssbsync", "tmp", "*"))
	hidden, err2 := filepath.Glob(filepath.Join(medium, "ssbsync", ".*.part"))
	if err := errors.Join(err, err2); err != nil || len(parts)+len(hidden) != 0 {
		p.t.Errorf("left behind: %q %q %v", parts, hidden, err)
	}
}

// TestFullHome imports into homes whose disk is too small: the store stays
// whole, and the same import completes once there is room.
func TestFullHome(t *testing.T) {
	p := newPrograms(t)
	p.must("--path", "from", "--quiet", "import", p.data)
	medium := p.folder("medium")
	p.must("--path", "from", "--quiet", "export", medium)
	for _, source := range []string{p.data, medium, p.onlyBundle(medium)} {
		for _, size := range []string{"64k", "700k", "1m", "2m", "3m", "4m"} {
			disk := p.tmpfs("size=" + size)
			home := filepath.Join(disk, "home")
			switch r := p.run("--path", home, "import", source); r.code {
			case exitDone:
			case exitFailed:
				contains(t, r.stderr, "no space left on device", "hint: make room")
			case exitPartly:
				contains(t, r.stderr, "nothing more is taken: no room for more messages", "hint: make room")
			default:
				t.Errorf("exit code %d", r.code)
			}
			p.remount(disk, "size=40m", 0)
			p.must("--path", home, "check")
			p.must("--path", home, "import", source)
			p.wantWhole(home)
		}
	}
}

// tmpfs mounts a small disk, until the end of the test.
func (p *programs) tmpfs(options string) string {
	p.t.Helper()
	dir, err := os.MkdirTemp(p.dir, "disk-")
	if err == nil {
		err = unix.Mount("tmpfs", dir, "tmpfs", 0, options)
	}
	if err != nil {
		p.t.Fatalf("mounting a small disk (this test needs root): %v", err)
	}
	p.t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			p.t.Error(err)
		}
	})
	return dir
}

func (p *programs) remount(dir, options string, flags uintptr) {
	p.t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT|flags, options); err != nil {
		p.t.Fatal(err)
	}
}

// TestManyFiles meets a stick with more files than anybody should look at: the
// program says so, and soon.
func TestManyFiles(t *testing.T) {
	p := newPrograms(t)
	p.must("--path", "a", "publish", "--type", "post", "--text", "one")
	medium := p.folder("medium")
	p.must("--path", "a", "export", medium)
	crowd := filepath.Join(medium, "ssbsync", "bundles", "aa")
	for i := range stick.MaxFiles + 1 {
		p.write(filepath.Join(crowd, fmt.Sprintf("%026d%s", i, bundleSuffix)), nil)
	}
	loose := p.folder("loose")
	if err := os.Rename(crowd, filepath.Join(loose, "crowd")); err != nil {
		t.Fatal(err)
	}
	within(t, 10*time.Second, func() {
		p.must("--path", "a", "sync", medium) // without the crowd
	})
	if err := os.Rename(filepath.Join(loose, "crowd"), crowd); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--path", "a", "import"}, {"--path", "a", "export"}, {"--path", "a", "sync"}, {"verify"}, {"inspect"}} {
		within(t, 5*time.Second, func() {
			contains(t, p.want(exitFailed, append(args, medium)...).stderr, "more than 100000 files")
		})
	}
	within(t, 5*time.Second, func() {
		contains(t, p.want(exitFailed, "--path", "a", "import", crowd).stderr, "more than 100000 files")
	})
}

// TestDeviceAsBundle puts an endless device where a bundle should be.
func TestDeviceAsBundle(t *testing.T) {
	p := newPrograms(t)
	p.must("--path", "a", "publish", "--type", "post", "--text", "one")
	medium := p.folder("medium")
	p.must("--path", "a", "export", medium)
	file := p.onlyBundle(medium)
	if err := errors.Join(os.Remove(file), unix.Mknod(file, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5)))); err != nil {
		t.Fatalf("making /dev/zero (this test needs root): %v", err)
	}
	within(t, 10*time.Second, func() {
		contains(t, p.want(exitPartly, "--path", "b", "import", medium).stderr, "not a regular file")
		contains(t, p.want(exitFailed, "verify", medium).stderr, "not a regular file")
	})
}

// TestOtherBranch loads the large data set, where there is one, into a home
// that holds the small one: they fork each other in every feed they share.
func TestOtherBranch(t *testing.T) {
	dir := os.Getenv("SSBSYNC_DATA")
	if dir == "" {
		t.Log("without the large data set: SSBSYNC_DATA is not set")
		return
	}
	p := newPrograms(t)
	p.must("--path", "a", "--quiet", "import", p.data)
	r := p.want(exitPartly, "--path", "a", "--json", "import", filepath.Join(dir, "fixtures-100k.jsonl.zst"))
	var report stick.Report
	if err := json.Unmarshal(bytes.TrimSpace([]byte(r.stdout)), &report); err != nil {
		t.Fatal(err)
	}
	if report.Forked == 0 || report.New == 0 || report.Rejected != 0 {
		t.Fatalf("%+v", report)
	}
	contains(t, strings.Join(report.Warnings, "\n"), "is forked at sequence", "more feeds are forked (see: ssbsync status)")
	p.must("--path", "a", "check")
	t.Logf("%d messages of other feeds, %d of forked ones", report.New, report.Forked)
}
