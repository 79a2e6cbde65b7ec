//go:build linux && ci

package faultfs

import (
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// Port is a place where disks can be mounted, one at a time.
type Port struct {
	t      testing.TB
	dir    string
	device string // the file that the mounts name as their device
	server *fuse.Server
	served chan struct{} // closed when no operation is under way any more
}

// NewPort makes a place to mount disks at. Whatever happens to the test,
// nothing stays mounted there.
func NewPort(t testing.TB) *Port {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("mounting a file system needs root")
	}
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Fatalf("file systems in user space are needed: %v", err)
	}
	p := &Port{t: t, dir: filepath.Join(t.TempDir(), "medium"), device: filepath.Join(t.TempDir(), "device")}
	if err := os.Mkdir(p.dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.device, make([]byte, pageLen), 0o600); err != nil {
		t.Fatal(err)
	}
	Guard(t, p.dir)
	t.Cleanup(p.Detach)
	return p
}

// guardScript unmounts when a process has ended, killed by a timeout for
// instance. A thread that still waits for an answer that nobody will give keeps
// it from being gone: then it is a zombie, and the mount must be forced.
const guardScript = `
while read -r stat < "/proc/$0/stat"; do
  case $stat in *") Z "*) break ;; esac
  sleep 1
done 2>/dev/null
umount -f "$1" 2>/dev/null || umount -l "$1"`

// Guard starts a process that unmounts a folder when ours is gone before the
// test could do so.
func Guard(t testing.TB, dir string) {
	t.Helper()
	cmd := exec.Command("sh", "-c", guardScript, fmt.Sprint(os.Getpid()), dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // who kills our group does not mean it
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting the process that unmounts: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // nothing is mounted any more
		_ = cmd.Wait()
	})
}

// Mount mounts a disk.
func (p *Port) Mount(d *Disk) {
	p.t.Helper()
	d.mu.Lock()
	d.reset()
	d.mu.Unlock()
	if err := p.mount(d); err != nil {
		p.t.Fatalf("mounting a file system in user space: %v", err)
	}
}

// mount does what fuse.NewServer would do itself, but lets no other program
// inherit the connection: it would keep it open.
func (p *Port) mount(d *Disk) error {
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", fd)
	if err := unix.Mount(p.device, p.dir, "fuse.faultfs", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		unix.Close(fd)
		return err
	}
	p.server, err = fuse.NewServer(&server{fuse.NewDefaultRawFileSystem(), d}, fmt.Sprintf("/dev/fd/%d", fd),
		&fuse.MountOptions{DisableXAttrs: true, DisableReadDirPlus: true, SyncRead: true, Logger: log.New(io.Discard, "", 0)})
	if err != nil {
		unix.Unmount(p.dir, unix.MNT_DETACH)
		return err
	}
	p.served = make(chan struct{})
	go func() {
		p.server.Serve()
		close(p.served)
	}()
	return p.disablePoll()
}

// disablePoll lets the kernel find out that there is no polling here. Otherwise
// it would ask when Go's runtime first opens a file, in a system call that must
// not wait for another goroutine. The name is one that package fuse knows.
func (p *Port) disablePoll() error {
	fd, err := unix.Open(filepath.Join(p.dir, ".go-fuse-epoll-hack"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	return err
}

// Detach unmounts, also when files are open, and waits until no operation is
// under way. Without a mount it does nothing.
func (p *Port) Detach() {
	if p.server == nil {
		return
	}
	p.server = nil
	if err := unix.Unmount(p.dir, unix.MNT_DETACH); err != nil {
		p.t.Errorf("unmounting: %v", err)
		return
	}
	<-p.served
}

// With mounts a disk while fn runs with its root.
func (p *Port) With(d *Disk, fn func(root *os.Root)) {
	p.t.Helper()
	p.Mount(d)
	defer p.Detach()
	root, err := os.OpenRoot(p.dir)
	if err != nil {
		p.t.Fatal(fmt.Errorf("opening the mounted disk: %w", err))
	}
	defer root.Close()
	fn(root)
}
