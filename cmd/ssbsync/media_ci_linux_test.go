//go:build ci && linux

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/sync/node"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// mediaPatience is how long these tests wait for what must happen.
const mediaPatience = 2 * time.Minute

// box is a server on a machine that sees mounts of its own: a mount namespace.
type box struct {
	*programs
	home   string
	mount  string // where sticks are mounted
	server *exec.Cmd
	log    *bytes.Buffer
	events chan node.MediaEvent
}

// newBox starts a server and follows its events. It takes root.
func (p *programs) newBox(name string, flags ...string) *box {
	p.t.Helper()
	b := &box{programs: p, home: filepath.Join(p.dir, name), mount: p.folder("mnt-" + name), log: new(bytes.Buffer), events: make(chan node.MediaEvent, 1000)}
	p.write(filepath.Join(b.home, "config"), []byte(`{"local":false,"ssbsync":{"replicate":"all"}}`))
	b.chmod(0o700, b.home)
	b.server = p.command(append([]string{"--path", b.home, "server", "--no-lan", "--host", "127.0.0.1", "--port", "0", "--log-level", "debug"}, flags...)...)
	b.server.Stderr = b.log
	b.server.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if err := b.server.Start(); err != nil {
		p.t.Fatalf("a server in a mount namespace of its own (this test needs root): %v", err)
	}
	p.t.Cleanup(b.stop)
	b.until("the server listens", func() bool { _, err := os.Lstat(filepath.Join(b.home, "socket")); return err == nil })
	b.follow()
	return b
}

// follow reads the events that ssbsync watch prints of the server.
func (b *box) follow() {
	b.t.Helper()
	cmd := b.command("--path", b.home, "--json", "watch")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		b.t.Fatal(err)
	}
	go func() {
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			var e node.MediaEvent
			if json.Unmarshal(lines.Bytes(), &e) == nil && e.Path == b.mount {
				b.events <- e
			}
		}
		cmd.Wait() // it ends with the server
	}()
}

func (b *box) stop() {
	b.server.Process.Signal(os.Interrupt)
	if err := b.server.Wait(); err != nil {
		b.t.Errorf("%s: %v", b.home, err)
	}
	if b.t.Failed() {
		b.t.Logf("log of %s:\n%s", b.home, b.log)
	}
}

// until waits for a condition.
func (b *box) until(what string, is func() bool) {
	b.t.Helper()
	for began := time.Now(); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > mediaPatience {
			b.t.Fatalf("in vain: %s", what)
		}
	}
}

// await waits for an event of the stick.
func (b *box) await(kind node.MediaKind) node.MediaEvent {
	b.t.Helper()
	timeout := time.After(mediaPatience)
	for {
		select {
		case e := <-b.events:
			if e.Kind == kind {
				return e
			}
		case <-timeout:
			b.t.Fatalf("%s is not told", kind)
		}
	}
}

// in runs a program in the namespace of the box and returns what it prints.
func (b *box) in(name string, args ...string) string {
	b.t.Helper()
	args = append([]string{"--mount", "--target", strconv.Itoa(b.server.Process.Pid), "--", name}, args...)
	out, err := exec.Command("nsenter", args...).CombinedOutput()
	if err != nil {
		b.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// visited mounts a device and waits for the visit. It reports the times, which
// were measured from when the mounting began.
func (b *box) visited(s *stickImage, options string) node.MediaEvent {
	b.t.Helper()
	began := time.Now()
	s.mountAt(b, options)
	mounted := time.Since(began)
	visiting := b.await(node.MediaVisiting)
	done := b.await(node.MediaDone)
	since := func(e node.MediaEvent) int64 { return e.Time - began.UnixMilli() }
	b.t.Logf("%s at %s: mounting took %d ms; from then to the visit %d ms, to \"safe to remove\" %d ms (%d in, %d out, verified %t)", s.fstype, filepath.Base(b.home),
		mounted.Milliseconds(), max(0, since(visiting)-mounted.Milliseconds()), since(done)-mounted.Milliseconds(), done.In, done.Out, !done.Report.Export.Unverified)
	return done
}

// unmount unmounts at once: nobody may hold anything there.
func (b *box) unmount(s *stickImage) {
	b.t.Helper()
	b.in("umount", b.mount)
	b.await(node.MediaUnmounted)
	s.mounted = nil
	b.until("the file system's program ends", func() bool { return !s.inUse() })
}

// stickImage is a file behind a loop device.
type stickImage struct {
	t       testing.TB
	fstype  string
	device  string
	mounted *box
}

// newStickImage makes a file system of 64 MiB.
func (p *programs) newStickImage(fstype string) *stickImage {
	p.t.Helper()
	file := filepath.Join(p.dir, fstype+".img")
	p.write(file, nil)
	if err := os.Truncate(file, 64<<20); err != nil {
		p.t.Fatal(err)
	}
	out, err := exec.Command("losetup", "--find", "--show", file).Output()
	if err != nil {
		p.t.Fatalf("losetup (this test needs root): %v", err)
	}
	s := &stickImage{t: p.t, fstype: fstype, device: strings.TrimSpace(string(out))}
	p.t.Cleanup(func() {
		if s.mounted != nil {
			s.mounted.in("umount", "--lazy", s.mounted.mount)
		}
		for began := time.Now(); s.inUse() && time.Since(began) < mediaPatience; time.Sleep(5 * time.Millisecond) {
		}
		if out, err := exec.Command("losetup", "--detach", s.device).CombinedOutput(); err != nil {
			p.t.Errorf("losetup --detach: %v %s", err, out)
		}
	})
	make := map[string][]string{
		"exfat": {"mkfs.exfat", "-L", "STICK", s.device},
		"ext4":  {"mkfs.ext4", "-q", "-L", "STICK", s.device},
	}[fstype]
	if out, err := exec.Command(make[0], make[1:]...).CombinedOutput(); err != nil {
		p.t.Fatalf("%s: %v\n%s", make[0], err, out)
	}
	return s
}

// mountAt mounts the file system on a box.
func (s *stickImage) mountAt(b *box, options string) {
	s.t.Helper()
	s.mounted = b
	if s.fstype == "exfat" { // in user space: it needs no module of the kernel
		b.in("mount.exfat-fuse", "-o", options, s.device, b.mount)
		return
	}
	b.in("mount", "-t", s.fstype, "-o", options, s.device, b.mount)
}

// inUse reports whether a process has the device open.
func (s *stickImage) inUse() bool {
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err == nil && target == s.device {
			return true
		}
	}
	return false
}

// TestRealSticks carries messages on real file systems between two servers that
// do everything by themselves.
func TestRealSticks(t *testing.T) {
	for _, fstype := range []string{"exfat", "ext4"} {
		t.Run(fstype, func(t *testing.T) {
			p := newPrograms(t)
			s := p.newStickImage(fstype)
			a, b := p.newBox("a"), p.newBox("b")
			p.must("--path", a.home, "import", p.data)
			p.must("--path", a.home, "publish", "--type", "post", "--text", "from a")
			p.must("--path", b.home, "publish", "--type", "post", "--text", "from b")

			// A enrols a new stick, and visits it.
			s.mountAt(a, "rw")
			out := p.must("--path", a.home, "enroll", a.mount, "--label", "village hall", "--check-capacity")
			contains(t, out, "enrolled village hall", "read back as written")
			t.Logf("%s: %s", fstype, strings.Split(out, "\n")[0])
			if e := a.await(node.MediaDone); e.Out != fixtures+1 || !e.Safe || e.Label != "village hall" || e.Result != node.ResultDone {
				t.Errorf("first visit: %+v", e)
			}
			marker := a.in("cat", filepath.Join(a.mount, "ssbsync", "stick.json"))
			a.unmount(s)

			// B has exported to a clone of it, and so knows it.
			clone := p.folder("clone")
			p.write(filepath.Join(clone, "ssbsync", "stick.json"), []byte(marker))
			p.must("--path", b.home, "export", clone)
			if e := b.visited(s, "rw"); e.In != fixtures+1 || e.Out != 1 || !e.Safe || e.Result != node.ResultDone {
				t.Errorf("visit of b: %+v", e)
			}
			b.wantPlainNames()
			b.unmount(s)
			b.holds(fixtures + 2)

			// A knows it by now.
			if e := a.visited(s, "rw"); e.In != 1 || e.Out != 0 || !e.Safe || e.Result != node.ResultDone {
				t.Errorf("second visit of a: %+v", e)
			}
			a.holds(fixtures + 2)
			var details node.StickDetails
			p.report(&details, "--path", a.home, "stick", "show", a.mount)
			if n := len(details.Visitors); n != 2 || details.Visitors[1].Own || details.Visitors[1].Messages != fixtures+2 || details.Messages != fixtures+2 {
				t.Errorf("a does not know what b acknowledged: %+v", details)
			}
			a.unmount(s)

			// A stick that takes no writes.
			p.must("--path", a.home, "publish", "--type", "post", "--text", "once more")
			if e := a.visited(s, "rw"); e.Out != 1 || !e.Safe {
				t.Errorf("third visit of a: %+v", e)
			}
			a.unmount(s)
			if e := b.visited(s, "ro"); e.In != 1 || e.Out != 0 || !e.Safe || !e.ReadOnly || e.Result != node.ResultPartly {
				t.Errorf("visit of a read-only stick: %+v", e)
			}
			b.unmount(s)

			// Nothing new.
			a.visited(s, "rw")
			if e := a.again(s); e.In+e.Out != 0 || e.Report.Have || !e.Safe {
				t.Errorf("a visit without news: %+v", e)
			}

			// It is pulled.
			a.in("umount", "--lazy", a.mount)
			a.await(node.MediaUnmounted)
			s.mounted = nil
		})
	}
}

// again unmounts and mounts.
func (b *box) again(s *stickImage) node.MediaEvent {
	b.t.Helper()
	b.unmount(s)
	return b.visited(s, "rw")
}

// holds compares the number of messages in the store.
func (b *box) holds(messages uint64) {
	b.t.Helper()
	var status node.Status
	b.report(&status, "--path", b.home, "status")
	if status.Messages != messages {
		b.t.Errorf("%s holds %d messages, want %d", b.home, status.Messages, messages)
	}
}

// wantPlainNames looks at the stick for names and sizes that not every FAT can
// do.
func (b *box) wantPlainNames() {
	b.t.Helper()
	plain := regexp.MustCompile(`^[a-z0-9._-]+$`)
	files := 0
	for _, line := range strings.Split(strings.TrimSpace(b.in("find", filepath.Join(b.mount, "ssbsync"), "-printf", `%s %f\n`)), "\n") {
		text, name, _ := strings.Cut(line, " ")
		size, err := strconv.ParseInt(text, 10, 64)
		if err != nil || size > stick.MaxBundleSize || !plain.MatchString(name) {
			b.t.Errorf("on the stick: %q", line)
		}
		files++
	}
	if files < 10 {
		b.t.Errorf("only %d files on the stick", files)
	}
}

// TestSmallStick visits a stick that cannot take it all.
func TestSmallStick(t *testing.T) {
	p := newPrograms(t)
	a := p.newBox("a")
	p.must("--path", a.home, "import", p.data)
	a.in("mount", "-t", "tmpfs", "-o", "size=1600k", "small", a.mount)
	defer a.in("umount", a.mount)
	p.must("--path", a.home, "enroll", a.mount)
	e := a.await(node.MediaDone)
	if e.Result != node.ResultPartly || !e.Safe || e.Out == 0 || e.Report.Export.Left == 0 || e.Out+e.Report.Export.Left != fixtures {
		t.Errorf("visit: %+v", e)
	}
	t.Logf("%d of %d messages fitted", e.Out, fixtures)

	// Room only as far as one can see: writing fails in the middle.
	full := p.newBox("full")
	p.must("--path", full.home, "import", p.data)
	failed := 0
	for files := 9; files < 13; files++ {
		full.in("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=20m,nr_inodes=%d", files), "full", full.mount)
		p.must("--path", full.home, "enroll", full.mount)
		e := full.await(node.MediaDone)
		full.in("umount", full.mount)
		full.await(node.MediaUnmounted)
		t.Logf("room for %d files: %s, %d out, safe %t: %s", files, e.Result, e.Out, e.Safe, e.Error)
		if e.Result == node.ResultFailed {
			failed++
			if !strings.Contains(e.Error, "no space") || !e.Safe {
				t.Errorf("visit of a full stick: %+v", e)
			}
		}
		if e.Result == node.ResultPartly {
			failed++
			if e.Report == nil || !e.Report.Export.NoHave || !strings.Contains(strings.Join(e.Report.Export.Warnings, "\n"), "no space") || !e.Safe {
				t.Errorf("visit of a full stick: %+v", e)
			}
		}
	}
	if failed == 0 {
		t.Error("every visit found room")
	}
}
