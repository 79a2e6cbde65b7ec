package desktop_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"

	"github.com/ssbsync/ssbsync/watch/desktop"
)

// bus starts a bus with a service on it.
type bus func(t *testing.T, name string, serve func(*dbus.Conn)) (address string)

func direct(t *testing.T, _ string, serve func(*dbus.Conn)) string { return directBus(t, serve) }

func TestNotify(t *testing.T)      { testNotify(t, direct) }
func TestNotifyPlain(t *testing.T) { testNotifyPlain(t, direct) }
func TestMountAll(t *testing.T)    { testMountAll(t, direct) }
func TestPowerOff(t *testing.T)    { testPowerOff(t, direct) }

// testNotify follows a notification: it is changed while a visit runs, stays
// away when the user closed it, and comes again when the visit is done.
func testNotify(t *testing.T, start bus) {
	d := &fakeDesktop{can: []string{"body", "body-markup"}}
	n := desktop.NewNotifier(start(t, "org.freedesktop.Notifications", d.serve))
	defer n.Close()
	show := func(key, body string, update, urgent bool) {
		t.Helper()
		if err := n.Show(t.Context(), key, desktop.Message{Summary: "sync", Body: body, Update: update, Urgent: urgent}); err != nil {
			t.Fatal(err)
		}
	}
	show("a", "<b>A & B</b>", false, false)
	show("a", "half", true, false)
	show("b", "another", false, true)
	want := []notified{{1, 0, "sync", "&lt;b&gt;A &amp; B&lt;/b&gt;", 1}, {1, 1, "sync", "half", 1}, {2, 0, "sync", "another", 2}}
	if got := d.calls(); !slices.Equal(got, want) {
		t.Fatalf("shown: %+v", got)
	}
	d.close(t, 1)
	within(t, "closed", func() bool {
		before := len(d.calls())
		show("a", "more", true, false)
		return len(d.calls()) == before
	})
	show("a", "done", false, false)
	if got := d.calls(); got[len(got)-1].Replaces != 0 || got[len(got)-1].Body != "done" {
		t.Errorf("after it was closed: %+v", got[len(got)-1])
	}
	n.Forget("b")
	show("b", "new", false, false)
	if got := d.calls(); got[len(got)-1].Replaces != 0 {
		t.Errorf("after it was forgotten: %+v", got[len(got)-1])
	}
}

// testNotifyPlain is about a desktop that shows text as it is.
func testNotifyPlain(t *testing.T, start bus) {
	d := &fakeDesktop{can: []string{"body"}}
	n := desktop.NewNotifier(start(t, "org.freedesktop.Notifications", d.serve))
	defer n.Close()
	if err := n.Show(t.Context(), "a", desktop.Message{Summary: "sync", Body: "A & B"}); err != nil {
		t.Fatal(err)
	}
	if got := d.calls(); len(got) != 1 || got[0].Body != "A & B" {
		t.Errorf("shown: %+v", got)
	}
	n.Close()
	if err := n.Show(t.Context(), "a", desktop.Message{Summary: "again"}); err != nil || len(d.calls()) != 2 {
		t.Errorf("after a break: %v, %+v", err, d.calls())
	}
}

// testMountAll mounts what is there and what comes, and nothing else.
func testMountAll(t *testing.T, start bus) {
	fake := newFakeDisks()
	removable := map[string]any{"Removable": true}
	fake.plug(t, "sdb1", nil, map[string]any{"IdLabel": "STICK"}, removable)
	fake.plug(t, "sdc1", []string{"/media/there"}, nil, removable)
	fake.plug(t, "sda1", nil, nil, map[string]any{"Removable": false, "ConnectionBus": ""})
	fake.plug(t, "sdd1", nil, map[string]any{"HintIgnore": true}, removable)
	fake.plug(t, "sdd2", nil, map[string]any{"HintSystem": true}, removable)
	d, err := desktop.OpenDisks(t.Context(), start(t, disks, fake.serve))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	ctx, cancel := context.WithCancel(t.Context())
	mounted := make(chan desktop.Mounted)
	ended := make(chan error, 1)
	go func() { ended <- d.MountAll(ctx, func(m desktop.Mounted) { mounted <- m }) }()

	if m := <-mounted; m != (desktop.Mounted{Device: "/dev/sdb1", Label: "STICK", Path: "/media/sdb1"}) {
		t.Errorf("there from the beginning: %+v", m)
	}
	fake.plug(t, "mmcblk0p1", nil, nil, map[string]any{"Removable": false, "ConnectionBus": "sdio"})
	if m := <-mounted; m.Device != "/dev/mmcblk0p1" || m.Err != nil {
		t.Errorf("a card: %+v", m)
	}
	// What was unmounted stays so, until it is plugged in again.
	fake.plug(t, "sdb1", nil, nil, removable)
	fake.failing("mount", "NotAuthorized")
	fake.plug(t, "sde1", nil, nil, map[string]any{"ConnectionBus": "usb"})
	if m := <-mounted; m.Device != "/dev/sde1" || m.Err == nil || !strings.Contains(m.Err.Error(), "mount failed") {
		t.Errorf("refused: %+v", m)
	}
	fake.failing("mount", "")
	fake.pull(t, "sdb1")
	fake.plug(t, "sdf1", nil, nil, removable)
	if m := <-mounted; m.Device != "/dev/sdf1" {
		t.Errorf("another: %+v", m)
	}
	fake.plug(t, "sdb1", nil, nil, removable)
	if m := <-mounted; m.Device != "/dev/sdb1" {
		t.Errorf("plugged in again: %+v", m)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
	const how = " nosuid,nodev,noexec"
	want := []string{"mount sdb1" + how, "mount mmcblk0p1" + how, "mount sde1" + how, "mount sdf1" + how, "mount sdb1" + how}
	if got := fake.done(); !slices.Equal(got, want) {
		t.Errorf("done: %q", got)
	}
}

// testPowerOff unmounts and powers off, or ejects, or only unmounts.
func testPowerOff(t *testing.T, start bus) {
	fake := newFakeDisks()
	fake.plug(t, "sdb1", []string{"/media/b"}, nil, map[string]any{"CanPowerOff": true, "Ejectable": true})
	fake.plug(t, "sdc1", []string{"/media/c"}, nil, map[string]any{"Ejectable": true})
	fake.plug(t, "sdd1", nil, nil, map[string]any{"Ejectable": false})
	d, err := desktop.OpenDisks(t.Context(), start(t, disks, fake.serve))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, name := range []string{"sdb1", "sdc1", "sdd1"} {
		if err := d.PowerOff(t.Context(), "/dev/"+name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := fake.done(); !slices.Equal(got, []string{"unmount sdb1", "off sdb1", "unmount sdc1", "eject sdc1"}) {
		t.Errorf("done: %q", got)
	}
	if err := d.PowerOff(t.Context(), "/dev/sdz1"); !errors.Is(err, desktop.ErrNoDevice) {
		t.Errorf("a device that is not there: %v", err)
	}
	fake.failing("unmount", "DeviceBusy")
	fake.plug(t, "sdb1", []string{"/media/b"}, nil, map[string]any{"CanPowerOff": true})
	if err := d.PowerOff(t.Context(), "/dev/sdb1"); err == nil || !strings.Contains(err.Error(), "unmount failed") {
		t.Errorf("a busy device: %v", err)
	}
}

// TestNobody is a machine without a bus, and one with a bus that nobody is on.
func TestNobody(t *testing.T) {
	nowhere := "unix:path=" + filepath.Join(t.TempDir(), "nowhere")
	for _, address := range []string{"", nowhere} {
		if err := desktop.NewNotifier(address).Show(t.Context(), "a", desktop.Message{}); !errors.Is(err, desktop.ErrNoBus) {
			t.Errorf("%q: %v", address, err)
		}
		if _, err := desktop.OpenDisks(t.Context(), address); !errors.Is(err, desktop.ErrNoBus) {
			t.Errorf("%q: %v", address, err)
		}
	}
	empty := directBus(t, func(*dbus.Conn) {})
	if err := desktop.NewNotifier(empty).Show(t.Context(), "a", desktop.Message{}); err == nil {
		t.Error("shown by nobody")
	}
	if _, err := desktop.OpenDisks(t.Context(), empty); err == nil {
		t.Error("disks of nobody")
	}
}

// TestAddresses finds a bus where the environment says it is, and nowhere else.
func TestAddresses(t *testing.T) {
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/somewhere")
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/elsewhere")
	if a, b := desktop.SessionBus(), desktop.SystemBus(); a != "unix:path=/somewhere" || b != "unix:path=/elsewhere" {
		t.Errorf("%q, %q", a, b)
	}
	dir := t.TempDir()
	for _, address := range []string{"", "autolaunch:"} {
		t.Setenv("DBUS_SESSION_BUS_ADDRESS", address)
		t.Setenv("XDG_RUNTIME_DIR", dir)
		if a := desktop.SessionBus(); a != "" {
			t.Errorf("in an empty folder: %q", a)
		}
	}
	socket := directBus(t, func(*dbus.Conn) {})
	t.Setenv("XDG_RUNTIME_DIR", filepath.Dir(strings.TrimPrefix(socket, "unix:path=")))
	if a := desktop.SessionBus(); !strings.HasSuffix(a, "/bus") {
		t.Errorf("%q, not %q", a, socket)
	}
}
