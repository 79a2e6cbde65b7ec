//go:build ci && linux

package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"

	"github.com/ssbsync/ssbsync/sync/node"
)

// kiosk is a message bus with notifications and UDisks2 on it, which mounts one
// stick for a box.
type kiosk struct {
	stick *stickImage
	bus   *dbus.Conn

	mu     sync.Mutex
	box    *box
	bodies []string // of the notifications
	ids    []uint32 // which notification each of them changed
}

// newKiosk starts a bus that the programs are told of.
func newKiosk(p *programs, s *stickImage) *kiosk {
	p.t.Helper()
	cmd := exec.Command("dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address=1", "--address=unix:dir="+p.folder("bus"))
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		p.t.Fatalf("starting dbus-daemon: %v", err)
	}
	p.t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		p.t.Fatal(err)
	}
	address := strings.TrimSpace(line)
	k := &kiosk{stick: s}
	if k.bus, err = dbus.Connect(address); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { k.bus.Close() })
	k.bus.Export(k, "/org/freedesktop/Notifications", "org.freedesktop.Notifications")
	k.bus.Export(k, "/org/freedesktop/UDisks2", "org.freedesktop.DBus.ObjectManager")
	k.bus.Export(k, blockPath, "org.freedesktop.UDisks2.Filesystem")
	for _, name := range []string{"org.freedesktop.Notifications", "org.freedesktop.UDisks2"} {
		if _, err := k.bus.RequestName(name, dbus.NameFlagDoNotQueue); err != nil {
			p.t.Fatal(err)
		}
	}
	p.prepare = func(cmd *exec.Cmd) {
		cmd.Env = append(cmd.Env, "DBUS_SESSION_BUS_ADDRESS="+address, "DBUS_SYSTEM_BUS_ADDRESS="+address)
	}
	return k
}

const blockPath = dbus.ObjectPath("/org/freedesktop/UDisks2/block_devices/stick")

type properties = map[string]map[string]dbus.Variant

// block is how UDisks2 describes the stick.
func (k *kiosk) block() properties {
	return properties{
		"org.freedesktop.UDisks2.Block": {
			"Device": dbus.MakeVariant(append([]byte(k.stick.device), 0)),
			"Drive":  dbus.MakeVariant(dbus.ObjectPath("/org/freedesktop/UDisks2/drives/stick")),
		},
		"org.freedesktop.UDisks2.Filesystem": {"MountPoints": dbus.MakeVariant([][]byte{})},
	}
}

// plug plugs the stick into the box.
func (k *kiosk) plug(b *box) {
	b.t.Helper()
	k.mu.Lock()
	k.box = b
	k.mu.Unlock()
	if err := k.bus.Emit("/org/freedesktop/UDisks2", "org.freedesktop.DBus.ObjectManager.InterfacesAdded", blockPath, k.block()); err != nil {
		b.t.Fatal(err)
	}
}

// GetManagedObjects is a method of UDisks2.
func (k *kiosk) GetManagedObjects() (map[dbus.ObjectPath]properties, *dbus.Error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.box == nil {
		return map[dbus.ObjectPath]properties{}, nil
	}
	return map[dbus.ObjectPath]properties{
		blockPath:                               k.block(),
		"/org/freedesktop/UDisks2/drives/stick": {"org.freedesktop.UDisks2.Drive": {"Removable": dbus.MakeVariant(true)}},
	}, nil
}

// Mount is a method of UDisks2.
func (k *kiosk) Mount(map[string]dbus.Variant) (string, *dbus.Error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stick.mountAt(k.box, "nosuid,nodev,noexec")
	return k.box.mount, nil
}

// GetCapabilities is a method of the desktop.
func (k *kiosk) GetCapabilities() ([]string, *dbus.Error) { return []string{"body"}, nil }

// Notify is a method of the desktop.
func (k *kiosk) Notify(app string, replaces uint32, icon, summary, body string, actions []string, hints map[string]dbus.Variant, expires int32) (uint32, *dbus.Error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if strings.HasPrefix(body, "mnt-kiosk: ") { // else it tells of another test's stick
		k.bodies = append(k.bodies, summary+" | "+body)
		k.ids = append(k.ids, replaces)
	}
	return 7, nil
}

// TestKiosk plugs a stick into a box without a desktop that mounts: the server
// has UDisks2 mount it, visits it and says when it is safe to remove.
func TestKiosk(t *testing.T) {
	p := newPrograms(t)
	s := p.newStickImage("ext4")
	maker := p.folder("maker-mnt")
	if out, err := exec.Command("mount", s.device, maker).CombinedOutput(); err != nil {
		t.Fatalf("mount (this test needs root): %v\n%s", err, out)
	}
	p.must("--path", "maker", "--quiet", "import", p.data)
	p.must("--path", "maker", "--quiet", "export", maker)
	marker, err := os.ReadFile(filepath.Join(maker, "ssbsync", "stick.json"))
	if out, e := exec.Command("umount", maker).CombinedOutput(); e != nil || err != nil {
		t.Fatalf("umount: %v\n%s%v", e, out, err)
	}
	k := newKiosk(p, s)
	b := p.newBox("kiosk", "--mount")
	// The box has exported to a clone of the stick, and so knows it; it leaves
	// alone what other tests mount.
	clone := p.folder("clone")
	p.write(filepath.Join(clone, "ssbsync", "stick.json"), marker)
	p.must("--path", b.home, "export", clone)
	k.plug(b)
	if done := b.await(node.MediaDone); done.In != fixtures || !done.Safe {
		t.Errorf("visited: %+v", done)
	}
	b.until("the desktop says so", func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		return slices.ContainsFunc(k.bodies, func(body string) bool {
			return strings.HasPrefix(body, "stick visited: safe to remove | ") && strings.Contains(body, "visited: 2,000 messages in, ")
		})
	})
	b.unmount(s)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ids[0] != 0 || slices.Contains(k.ids[1:], 0) {
		t.Errorf("more than one notification: %v", k.ids)
	}
	t.Logf("notifications: %q", k.bodies)
}
