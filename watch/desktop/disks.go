package desktop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	disksName  = "org.freedesktop.UDisks2"
	disksPath  = "/org/freedesktop/UDisks2"
	blockFace  = disksName + ".Block"
	fsFace     = disksName + ".Filesystem"
	driveFace  = disksName + ".Drive"
	objectFace = "org.freedesktop.DBus.ObjectManager"
)

// deviceTimeout is how long a device may take to be mounted, or to write what
// is not on it yet.
const deviceTimeout = 2 * time.Minute

// ErrNoDevice says that UDisks2 knows no such device.
var ErrNoDevice = errors.New("no such device")

// Disks is UDisks2. What its user may do is up to the machine's rules (polkit);
// nobody is asked for a password.
type Disks struct{ bus *dbus.Conn }

// OpenDisks connects to UDisks2 on the bus at an address.
func OpenDisks(ctx context.Context, address string) (*Disks, error) {
	bus, err := connect(address)
	if err != nil {
		return nil, err
	}
	d := &Disks{bus}
	if _, err := d.objects(ctx); err != nil {
		bus.Close()
		return nil, err
	}
	return d, nil
}

// Close ends the connection.
func (d *Disks) Close() { d.bus.Close() }

// faces are the interfaces of an object, with their properties.
type faces map[string]map[string]dbus.Variant

// objects asks for all objects of UDisks2.
func (d *Disks) objects(ctx context.Context) (all map[dbus.ObjectPath]faces, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err = call(ctx, d.bus.Object(disksName, disksPath), objectFace+".GetManagedObjects", nil, &all)
	return all, err
}

// property returns a property, or the zero value when it is not there or
// something else.
func property[T any](f faces, face, name string) (value T) {
	value, _ = f[face][name].Value().(T)
	return value
}

// device is the name of a block device, such as /dev/sdb1.
func (f faces) device() string { return pathIn(property[[]byte](f, blockFace, "Device")) }

// pathIn cuts the zero off that ends paths on the bus.
func pathIn(b []byte) string { return string(bytes.TrimRight(b, "\x00")) }

// mountPoints are where a file system is mounted.
func (f faces) mountPoints() (points []string) {
	for _, b := range property[[][]byte](f, fsFace, "MountPoints") {
		points = append(points, pathIn(b))
	}
	return points
}

// options are the options of every method that changes something.
func options(more map[string]any) map[string]dbus.Variant {
	all := map[string]dbus.Variant{"auth.no_user_interaction": dbus.MakeVariant(true)}
	for name, value := range more {
		all[name] = dbus.MakeVariant(value)
	}
	return all
}

// PowerOff unmounts a device and powers its drive off, or ejects the medium
// where that is all there is. It fails, and leaves the device mounted, when a
// file on it is open; and leaves the drive on when another of its file systems
// is in use.
func (d *Disks) PowerOff(ctx context.Context, device string) error {
	ctx, cancel := context.WithTimeout(ctx, deviceTimeout)
	defer cancel()
	all, err := d.objects(ctx)
	if err != nil {
		return err
	}
	for path, f := range all {
		if f.device() == device {
			if err := d.powerOff(ctx, path, f, all); err != nil {
				return fmt.Errorf("powering off %s: %w", device, err)
			}
			return nil
		}
	}
	return fmt.Errorf("powering off %s: %w", device, ErrNoDevice)
}

func (d *Disks) powerOff(ctx context.Context, path dbus.ObjectPath, f faces, all map[dbus.ObjectPath]faces) error {
	if len(f.mountPoints()) > 0 {
		if err := call(ctx, d.bus.Object(disksName, path), fsFace+".Unmount", []any{options(nil)}); err != nil {
			return err
		}
	}
	at := property[dbus.ObjectPath](f, blockFace, "Drive")
	drive := all[at]
	switch {
	case property[bool](drive, driveFace, "CanPowerOff"):
		return call(ctx, d.bus.Object(disksName, at), driveFace+".PowerOff", []any{options(nil)})
	case property[bool](drive, driveFace, "Ejectable"):
		return call(ctx, d.bus.Object(disksName, at), driveFace+".Eject", []any{options(nil)})
	}
	return nil
}
