package desktop_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// directBus is a bus with nobody on it but us and one service: the client is
// connected to the service itself, which plays the bus as well.
func directBus(t *testing.T, serve func(*dbus.Conn)) (address string) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "bus")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			bus, err := answerClient(conn)
			if err != nil {
				conn.Close()
				continue
			}
			t.Cleanup(func() { bus.Close() })
			serve(bus)
			bus.Export(busItself{}, "/org/freedesktop/DBus", "org.freedesktop.DBus")
			bus.Auth([]dbus.Auth{dbus.AuthAnonymous()})
		}
	})
	t.Cleanup(func() { l.Close(); accepting.Wait() })
	return "unix:path=" + socket
}

// answerClient does the server's part of the greeting, and returns what is
// ready to serve.
func answerClient(conn net.Conn) (*dbus.Conn, error) {
	in := bufio.NewReader(conn)
	if _, err := in.ReadByte(); err != nil {
		return nil, err
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		answer := "ERROR\r\n"
		switch line = strings.TrimSpace(line); {
		case line == "AUTH":
			answer = "REJECTED EXTERNAL\r\n"
		case strings.HasPrefix(line, "AUTH EXTERNAL"):
			answer = "OK 1234deadbeef1234deadbeef1234dead\r\n"
		case line == "BEGIN":
			// godbus wants to greet somebody itself.
			script := strings.NewReader("REJECTED ANONYMOUS\r\nOK 1234\r\n")
			return dbus.NewConn(&greeted{Conn: conn, script: script, in: in})
		}
		if _, err := io.WriteString(conn, answer); err != nil {
			return nil, err
		}
	}
}

// greeted answers the greeting of a connection by itself, and leaves the rest
// to the real one.
type greeted struct {
	net.Conn
	script *strings.Reader
	in     *bufio.Reader
	begun  bool
}

func (g *greeted) Read(b []byte) (int, error) {
	if g.script.Len() > 0 {
		return g.script.Read(b)
	}
	return g.in.Read(b)
}

func (g *greeted) Write(b []byte) (int, error) {
	if !g.begun {
		g.begun = bytes.HasPrefix(b, []byte("BEGIN"))
		return len(b), nil
	}
	return g.Conn.Write(b)
}

// busItself are the methods of a bus that a client calls.
type busItself struct{}

func (busItself) Hello() (string, *dbus.Error)    { return ":1.1", nil }
func (busItself) AddMatch(string) *dbus.Error     { return nil }
func (busItself) RemoveMatch(string) *dbus.Error  { return nil }
func (busItself) GetNameOwner(string) *dbus.Error { return nil }
func (busItself) NameHasOwner(string) *dbus.Error { return nil }
func (busItself) StartServiceByName() *dbus.Error { return nil }

// within waits until something is so.
func within(t *testing.T, what string, so func() bool) {
	t.Helper()
	for began := time.Now(); !so(); time.Sleep(time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

// fakeDesktop shows notifications.
type fakeDesktop struct {
	can []string

	mu   sync.Mutex
	bus  *dbus.Conn
	next uint32
	got  []notified
}

// notified is one call of Notify.
type notified struct {
	ID, Replaces  uint32
	Summary, Body string
	Urgency       byte
}

func (d *fakeDesktop) serve(bus *dbus.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bus = bus
	bus.Export(d, "/org/freedesktop/Notifications", "org.freedesktop.Notifications")
}

// GetCapabilities is a method of the service.
func (d *fakeDesktop) GetCapabilities() ([]string, *dbus.Error) { return d.can, nil }

// Notify is a method of the service.
func (d *fakeDesktop) Notify(app string, replaces uint32, icon, summary, body string, actions []string, hints map[string]dbus.Variant, expires int32) (uint32, *dbus.Error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	id := replaces
	if id == 0 {
		d.next++
		id = d.next
	}
	urgency, _ := hints["urgency"].Value().(byte)
	d.got = append(d.got, notified{id, replaces, summary, body, urgency})
	return id, nil
}

// close is what the user does.
func (d *fakeDesktop) close(t *testing.T, id uint32) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.bus.Emit("/org/freedesktop/Notifications", "org.freedesktop.Notifications.NotificationClosed", id, uint32(2)); err != nil {
		t.Fatal(err)
	}
}

func (d *fakeDesktop) calls() []notified {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.got)
}

// fakeDisks is UDisks2 with drives and file systems on them.
type fakeDisks struct {
	mu   sync.Mutex
	bus  *dbus.Conn
	all  map[dbus.ObjectPath]map[string]map[string]dbus.Variant
	log  []string
	fail map[string]string // error by method
}

const disks = "org.freedesktop.UDisks2"

func newFakeDisks() *fakeDisks {
	return &fakeDisks{all: map[dbus.ObjectPath]map[string]map[string]dbus.Variant{}, fail: map[string]string{}}
}

func (d *fakeDisks) serve(bus *dbus.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bus = bus
	bus.Export(d, "/org/freedesktop/UDisks2", "org.freedesktop.DBus.ObjectManager")
	bus.ExportSubtreeWithMap(d, map[string]string{"MountIt": "Mount", "UnmountIt": "Unmount"}, "/org/freedesktop/UDisks2/block_devices", disks+".Filesystem")
	bus.ExportSubtree(d, "/org/freedesktop/UDisks2/drives", disks+".Drive")
}

// plug adds a drive with a file system, or changes it, and says so on the bus.
func (d *fakeDisks) plug(t *testing.T, name string, mounted []string, block, drive map[string]any) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	at := dbus.ObjectPath("/org/freedesktop/UDisks2/drives/" + name)
	d.all[at] = map[string]map[string]dbus.Variant{disks + ".Drive": variants(drive)}
	points := [][]byte{}
	for _, point := range mounted {
		points = append(points, append([]byte(point), 0))
	}
	properties := variants(block)
	properties["Device"] = dbus.MakeVariant(append([]byte("/dev/"+name), 0))
	properties["Drive"] = dbus.MakeVariant(at)
	path := dbus.ObjectPath("/org/freedesktop/UDisks2/block_devices/" + name)
	d.all[path] = map[string]map[string]dbus.Variant{
		disks + ".Block":      properties,
		disks + ".Filesystem": {"MountPoints": dbus.MakeVariant(points)},
	}
	d.emit(t, "InterfacesAdded", path, d.all[path])
}

// pull removes a drive.
func (d *fakeDisks) pull(t *testing.T, name string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	path := dbus.ObjectPath("/org/freedesktop/UDisks2/block_devices/" + name)
	delete(d.all, path)
	delete(d.all, dbus.ObjectPath("/org/freedesktop/UDisks2/drives/"+name))
	d.emit(t, "InterfacesRemoved", path, []string{disks + ".Block", disks + ".Filesystem"})
}

// emit sends a signal of the object manager, if somebody is there.
func (d *fakeDisks) emit(t *testing.T, member string, values ...any) {
	t.Helper()
	if d.bus == nil {
		return
	}
	if err := d.bus.Emit("/org/freedesktop/UDisks2", "org.freedesktop.DBus.ObjectManager."+member, values...); err != nil {
		t.Fatal(err)
	}
}

func variants(properties map[string]any) map[string]dbus.Variant {
	all := map[string]dbus.Variant{}
	for name, value := range properties {
		all[name] = dbus.MakeVariant(value)
	}
	return all
}

// GetManagedObjects is a method of the service.
func (d *fakeDisks) GetManagedObjects() (map[dbus.ObjectPath]map[string]map[string]dbus.Variant, *dbus.Error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := map[dbus.ObjectPath]map[string]map[string]dbus.Variant{}
	for path, faces := range d.all {
		all[path] = faces
	}
	return all, nil
}

// MountIt is the method Mount of a file system.
func (d *fakeDisks) MountIt(m dbus.Message, options map[string]dbus.Variant) (string, *dbus.Error) {
	how, _ := options["options"].Value().(string)
	name, err := d.did("mount", m, options, how)
	if err == nil {
		d.setMounted(m, "/media/"+name)
	}
	return "/media/" + name, err
}

// UnmountIt is the method Unmount of a file system.
func (d *fakeDisks) UnmountIt(m dbus.Message, options map[string]dbus.Variant) *dbus.Error {
	_, err := d.did("unmount", m, options, "")
	if err == nil {
		d.setMounted(m)
	}
	return err
}

// PowerOff is a method of a drive.
func (d *fakeDisks) PowerOff(m dbus.Message, options map[string]dbus.Variant) *dbus.Error {
	_, err := d.did("off", m, options, "")
	return err
}

// Eject is a method of a drive.
func (d *fakeDisks) Eject(m dbus.Message, options map[string]dbus.Variant) *dbus.Error {
	_, err := d.did("eject", m, options, "")
	return err
}

// did logs a call and makes it fail if it should.
func (d *fakeDisks) did(what string, m dbus.Message, options map[string]dbus.Variant, how string) (string, *dbus.Error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	path, _ := m.Headers[dbus.FieldPath].Value().(dbus.ObjectPath)
	name := filepath.Base(string(path))
	entry := strings.TrimSpace(what + " " + name + " " + how)
	if ask, _ := options["auth.no_user_interaction"].Value().(bool); !ask {
		entry += " asking for a password"
	}
	d.log = append(d.log, entry)
	if kind := d.fail[what]; kind != "" {
		return name, dbus.NewError(disks+".Error."+kind, []any{what + " failed"})
	}
	return name, nil
}

// failing makes a method fail from now on; an empty kind ends that.
func (d *fakeDisks) failing(method, kind string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail[method] = kind
}

func (d *fakeDisks) setMounted(m dbus.Message, points ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	path, _ := m.Headers[dbus.FieldPath].Value().(dbus.ObjectPath)
	all := [][]byte{}
	for _, point := range points {
		all = append(all, append([]byte(point), 0))
	}
	if f := d.all[path]; f != nil {
		changed := map[string]map[string]dbus.Variant{disks + ".Block": f[disks+".Block"], disks + ".Filesystem": {"MountPoints": dbus.MakeVariant(all)}}
		d.all[path] = changed
	}
}

func (d *fakeDisks) done() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.log)
}
