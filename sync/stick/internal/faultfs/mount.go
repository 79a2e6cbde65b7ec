//go:build linux && ci

package faultfs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// Port is a place where disks can be mounted, one at a time.
type Port struct {
	t      testing.TB
	dir    string
	device string // the file that the mounts name as their device
	disk   *Disk
	server *fuse.Server
	served chan struct{}
}

// NewPort makes a place to mount disks at. Whatever happens to the test,
// nothing stays mounted there.
func NewPort(t testing.TB) *Port {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("mounting a file system needs root")
	}
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Fatalf("a file system in user space is needed: %v", err)
	}
	p := &Port{t: t, dir: filepath.Join(t.TempDir(), "medium"), device: filepath.Join(t.TempDir(), "device")}
	if err := os.Mkdir(p.dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.device, make([]byte, pageLen), 0o600); err != nil {
		t.Fatal(err)
	}
	p.guard()
	t.Cleanup(p.Detach)
	return p
}

// guard starts a process that unmounts when ours is gone, killed by a timeout
// for instance: it waits for the end of a pipe that only we hold.
func (p *Port) guard() {
	cmd := exec.Command("sh", "-c", `read line; umount -l "$0" 2>/dev/null`, p.dir)
	pipe, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		p.t.Fatalf("starting the process that unmounts: %v", err)
	}
	p.t.Cleanup(func() {
		pipe.Close()
		_ = cmd.Wait() // there is nothing to unmount any more: no news
	})
}

// Dir is where disks are mounted.
func (p *Port) Dir() string { return p.dir }

// Mount mounts a disk.
func (p *Port) Mount(d *Disk) {
	p.t.Helper()
	d.mu.Lock()
	d.reset()
	d.mu.Unlock()
	s, err := fuse.NewServer(&server{fuse.NewDefaultRawFileSystem(), d}, p.dir, &fuse.MountOptions{
		FsName: p.device, Name: "faultfs",
		DirectMount: true, DisableXAttrs: true, DisableReadDirPlus: true, SyncRead: true,
	})
	if err != nil {
		p.t.Fatalf("mounting a file system in user space: %v", err)
	}
	p.disk, p.server, p.served = d, s, make(chan struct{})
	go func() {
		s.Serve()
		close(p.served)
	}()
	if err := s.WaitMount(); err != nil {
		p.t.Fatalf("mounting a file system in user space: %v", err)
	}
}

// Detach unmounts, also when files are open, and waits until no operation is
// under way. Without a mount it does nothing.
func (p *Port) Detach() {
	if p.server == nil {
		return
	}
	if err := unix.Unmount(p.dir, unix.MNT_DETACH); err != nil {
		p.t.Errorf("unmounting: %v", err)
		return
	}
	<-p.served
	p.server = nil
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
