//go:build ci && linux

package watch_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ssbsync/ssbsync/watch"
)

// TestMain runs the tests again in a mount namespace of their own, so that the
// machine sees none of their mounts. That takes root.
func TestMain(m *testing.M) {
	const inside = "SSBSYNC_WATCH_NAMESPACE"
	if os.Getenv(inside) != "" {
		os.Exit(m.Run())
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	signal.Ignore(os.Interrupt) // the inner one decides
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		os.Exit(exit.ExitCode())
	case err != nil:
		fmt.Fprintf(os.Stderr, "a mount namespace for the tests: %v (are you root?)\n", err)
		os.Exit(1)
	}
}

func mount(t testing.TB, source, path, fstype string, flags uintptr) {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(source, path, fstype, flags, ""); err != nil {
		t.Fatalf("mounting %s at %s: %v", fstype, path, err)
	}
	t.Cleanup(func() { _ = unix.Unmount(path, unix.MNT_DETACH) })
}

func unmount(t testing.TB, path string) {
	t.Helper()
	if err := unix.Unmount(path, 0); err != nil { // not MNT_DETACH: nobody may hold it
		t.Fatalf("unmounting %s: %v", path, err)
	}
}

func watching(t testing.TB, folders ...string) chan watch.Event {
	t.Helper()
	w, err := watch.New(watch.Config{Folders: folders, Settle: settle, Rescan: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	events, _ := started(t, w)
	return events
}

func TestRealMounts(t *testing.T) {
	root := t.TempDir()
	a, b := root+"/a b\n\\", root+"/b"
	mount(t, "before", a, "tmpfs", 0)
	events := watching(t)
	if e := expect(t, events, root, "mounted /a b\n\\"); e.Medium.FSType != "tmpfs" || e.Medium.Device != "before" || e.Medium.ReadOnly {
		t.Errorf("mounted %+v", e.Medium)
	}
	mount(t, "later", b, "tmpfs", unix.MS_RDONLY)
	if e := expect(t, events, root, "mounted /b"); !e.Medium.ReadOnly {
		t.Errorf("mounted %+v", e.Medium)
	}
	if err := unix.Mount("", b, "", unix.MS_REMOUNT, ""); err != nil {
		t.Fatal(err)
	}
	if e := expect(t, events, root, "changed /b"); e.Medium.ReadOnly {
		t.Errorf("writable, yet %+v", e.Medium)
	}
	unmount(t, a)
	expect(t, events, root, "unmounted /a b\n\\")
	unmount(t, b)
	expect(t, events, root, "unmounted /b")
	silence(t, events, root, never)
}

func TestMountOverFolder(t *testing.T) {
	dir := shared(t)
	events := watching(t, dir)
	expect(t, events, dir, "mounted")
	mount(t, "stick", dir, "tmpfs", 0)
	expect(t, events, dir, "unmounted")
	if e := expect(t, events, dir, "mounted"); e.Medium.Device != "stick" || !e.Medium.Folder {
		t.Errorf("mounted %+v", e.Medium)
	}
	rest(events) // a change may be told until it is watched
	write(t, dir+"/ssbsync/stick.json", "{}")
	unmount(t, dir) // in spite of the watch
	expect(t, events, dir, "unmounted", "mounted")
	write(t, dir+"/ssbsync/have/b-1.have", "b has")
	expect(t, events, dir, "changed")
}

// A folder that is not on the medium mounted over its parent is gone, and back
// when that is.
func TestMountOverParent(t *testing.T) {
	dir := shared(t)
	root := filepath.Dir(dir)
	events := watching(t, dir)
	expect(t, events, dir, "mounted")
	mount(t, "over", root, "tmpfs", 0)
	expect(t, events, root, "unmounted /001", "mounted")
	watchesGone(t)
	silence(t, events, root, 3*settle)
	unmount(t, root)
	expect(t, events, root, "unmounted", "mounted /001")
	write(t, dir+"/ssbsync/have/b-1.have", "b has")
	expect(t, events, root, "changed /001")
}

func TestMountOverMount(t *testing.T) {
	root := t.TempDir()
	events := watching(t)
	mount(t, "one", root+"/m/a", "tmpfs", 0)
	expect(t, events, root, "mounted /m/a")
	mount(t, "two", root+"/m/a", "tmpfs", 0)
	expect(t, events, root, "unmounted /m/a", "mounted /m/a")
	mount(t, "three", root+"/m", "tmpfs", 0)
	expect(t, events, root, "unmounted /m/a", "mounted /m")
	unmount(t, root+"/m")
	expect(t, events, root, "unmounted /m", "mounted /m/a")
	unmount(t, root+"/m/a")
	expect(t, events, root, "unmounted /m/a")
	if e := expect(t, events, root, "mounted /m/a"); e.Medium.Device != "one" {
		t.Errorf("below it was %+v", e.Medium)
	}
}

func TestBindMounts(t *testing.T) {
	root := t.TempDir()
	events := watching(t)
	mount(t, "stick", root+"/m", "tmpfs", 0)
	expect(t, events, root, "mounted /m")
	write(t, root+"/m/sub/ssbsync/stick.json", "{}")
	mount(t, root+"/m/sub", root+"/bind", "", unix.MS_BIND)
	if e := expect(t, events, root, "mounted /bind"); e.Medium.FSType != "tmpfs" || e.Medium.Device != "stick" {
		t.Errorf("mounted %+v", e.Medium)
	}
	if err := unix.Mount(root+"/bind", root+"/moved", "", unix.MS_MOVE, ""); err == nil {
		t.Fatal("moved to where nothing is")
	}
	must(t, os.Mkdir(root+"/moved", 0o755))
	if err := unix.Mount(root+"/bind", root+"/moved", "", unix.MS_MOVE, ""); err != nil {
		t.Fatal(err)
	}
	expect(t, events, root, "unmounted /bind", "mounted /moved")
	unmount(t, root+"/moved")
	expect(t, events, root, "unmounted /moved")
	unmount(t, root+"/m")
	expect(t, events, root, "unmounted /m")
}

// A file system of a loop device, and no handle left on it while it is watched
// and was named as a folder too.
func TestLoopDevice(t *testing.T) {
	root := t.TempDir()
	image, dir := root+"/image", root+"/stick"
	write(t, image, "")
	must(t, os.Truncate(image, 8<<20))
	run(t, "mkfs.ext4", "-q", "-L", "A STICK", image)
	must(t, os.Mkdir(dir, 0o755))
	events := watching(t, dir)
	expect(t, events, root, "mounted /stick")
	run(t, "mount", "-o", "loop", image, dir)
	expect(t, events, root, "unmounted /stick")
	e := expect(t, events, root, "mounted /stick")
	if m := e.Medium; !m.Loop || !strings.HasPrefix(m.Device, "/dev/loop") || m.FSType != "ext4" {
		t.Errorf("mounted %+v", m)
	}
	write(t, dir+"/ssbsync/stick.json", "{}")
	watchesGone(t)
	unmount(t, dir)
	expect(t, events, root, "unmounted /stick", "mounted /stick")
	t.Logf("%+v", e.Medium)
}

// The kernel tells of devices that come; of those that are pulled it tells in
// the same way.
func TestUevents(t *testing.T) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	must(t, err)
	defer control.Close()
	const number = 200
	add := func() error { return ioctl(control, unix.LOOP_CTL_ADD, number) }
	heard, err := watch.UeventHeard(add)
	must(t, err)
	must(t, ioctl(control, unix.LOOP_CTL_REMOVE, number))
	if !heard {
		t.Error("the kernel did not tell of a new loop device")
	}
}

func ioctl(f *os.File, request uint, value int) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), uintptr(request), uintptr(value))
	if errno != 0 {
		return errno
	}
	return nil
}

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
}

// Every mount is noticed, and how soon.
func TestNoticeTime(t *testing.T) {
	const rounds = 30
	dir := t.TempDir()
	events := watching(t)
	in, out := make([]time.Duration, 0, rounds), make([]time.Duration, 0, rounds)
	for range rounds {
		began := time.Now()
		mount(t, "stick", dir, "tmpfs", 0)
		expect(t, events, dir, "mounted")
		in = append(in, time.Since(began))
		began = time.Now()
		unmount(t, dir)
		expect(t, events, dir, "unmounted")
		out = append(out, time.Since(began))
	}
	slices.Sort(in)
	slices.Sort(out)
	t.Logf("%d of %d mounts noticed: median %v, last %v; unmounts: median %v, last %v",
		len(in), rounds, in[rounds/2], in[rounds-1], out[rounds/2], out[rounds-1])
}

// Mounts and unmounts as fast as they go: what is there in the end is told in
// the end, and what was told makes sense.
func TestQuickCycles(t *testing.T) {
	const rounds = 30
	dir := t.TempDir()
	events := watching(t)
	for i := range rounds {
		mount(t, fmt.Sprint("stick", i), dir, "tmpfs", 0)
		if i < rounds-1 {
			unmount(t, dir)
		}
	}
	told, mounted := 0, false
	for last := fmt.Sprint("stick", rounds-1); ; told++ {
		select {
		case e := <-events:
			if e.Medium.Path != dir {
				continue
			}
			if want := e.Kind == watch.Mounted; want == mounted {
				t.Fatalf("%v %+v, after mounted=%v", e.Kind, e.Medium, mounted)
			}
			mounted = e.Kind == watch.Mounted
			if mounted && e.Medium.Device == last {
				silence(t, events, dir, never)
				t.Logf("%d events of %d cycles", told+1, rounds)
				return
			}
		case <-time.After(soon):
			t.Fatal("the last mount was not told")
		}
	}
}

// A stick that is changed for another one between two looks is another one,
// though the kernel gives it the same numbers.
func TestQuickExchange(t *testing.T) {
	const rounds = 30
	dir := t.TempDir()
	mount(t, "same", dir, "tmpfs", 0)
	events := watching(t)
	expect(t, events, dir, "mounted")
	for range rounds {
		unmount(t, dir)
		mount(t, "same", dir, "tmpfs", 0)
		expect(t, events, dir, "unmounted", "mounted")
	}
	t.Logf("%d of %d exchanges noticed", rounds, rounds)
}

// Watching never makes a medium busy, however often it looks.
func TestNeverBusy(t *testing.T) {
	const rounds = 1_000
	dir, other := t.TempDir(), t.TempDir()
	watching(t)
	for range rounds {
		for _, path := range []string{dir, other} {
			if err := unix.Mount("stick", path, "tmpfs", 0, ""); err != nil {
				t.Fatal(err)
			}
		}
		unmount(t, other) // each makes it look at the one that goes next
		unmount(t, dir)
	}
	t.Logf("%d unmounts, none of them busy", 2*rounds)
}

func BenchmarkNotice(b *testing.B) {
	dir, err := filepath.EvalSymlinks(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	events := watching(b)
	var slowest, inCall time.Duration // from the end of mount(2); in it
	for b.Loop() {
		began := time.Now()
		if err := unix.Mount("stick", dir, "tmpfs", 0, ""); err != nil {
			b.Fatal(err)
		}
		mounted := time.Now()
		expect(b, events, dir, "mounted")
		slowest = max(slowest, time.Since(mounted))
		inCall = max(inCall, mounted.Sub(began))
		b.StopTimer()
		unmount(b, dir)
		expect(b, events, dir, "unmounted")
		b.StartTimer()
	}
	b.ReportMetric(float64(slowest.Microseconds())/1e3, "ms-slowest")
	b.ReportMetric(float64(inCall.Microseconds())/1e3, "ms-slowest-mount(2)")
}
