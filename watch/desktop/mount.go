package desktop

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/godbus/dbus/v5"
)

// Mounted says what became of a device that MountAll found.
type Mounted struct {
	Device string // such as /dev/sdb1
	Label  string // of the file system: a stranger's text
	Path   string // where it is now mounted
	Err    error  // why it is not
}

// mountOptions keep what is on a stranger's medium from being run.
const mountOptions = "nosuid,nodev,noexec"

// MountAll mounts every removable file system that nobody mounts, those that
// are there and those that come, until ctx ends. Each is mounted once after it
// came: what somebody unmounts stays unmounted until it is plugged in again.
// Tell is called after each try.
func (d *Disks) MountAll(ctx context.Context, tell func(Mounted)) error {
	news := make(chan *dbus.Signal, 256)
	d.bus.Signal(news)
	defer d.bus.RemoveSignal(news)
	err := d.bus.AddMatchSignalContext(ctx, dbus.WithMatchSender(disksName), dbus.WithMatchInterface(objectFace))
	if err != nil {
		return err
	}
	m := &mounter{Disks: d, tell: tell, tried: make(map[dbus.ObjectPath]bool)}
	for {
		// Whatever the news are, what counts is what is there now.
		if err := m.look(ctx); err != nil {
			return ended(ctx, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case s, ok := <-news:
			if !ok {
				return errors.New("the message bus ended the connection")
			}
			m.note(s)
		}
	}
}

// ended returns no error when ctx brought it about.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// mounter is one run of MountAll.
type mounter struct {
	*Disks
	tell  func(Mounted)
	tried map[dbus.ObjectPath]bool // since they came
}

// note forgets what went: if it comes again, it is new.
func (m *mounter) note(s *dbus.Signal) {
	if s.Name != objectFace+".InterfacesRemoved" || len(s.Body) != 2 {
		return
	}
	path, _ := s.Body[0].(dbus.ObjectPath)
	gone, _ := s.Body[1].([]string)
	if slices.Contains(gone, fsFace) {
		delete(m.tried, path)
	}
}

// look mounts what is to be mounted.
func (m *mounter) look(ctx context.Context) error {
	all, err := m.objects(ctx)
	if err != nil {
		return err
	}
	for path, f := range all {
		if _, ok := f[fsFace]; !ok || m.tried[path] {
			continue
		}
		m.tried[path] = true
		if len(f.mountPoints()) == 0 && isRemovable(f, all) {
			m.mount(ctx, path, f)
		}
	}
	for path := range m.tried { // in case its signal was lost
		if _, ok := all[path][fsFace]; !ok {
			delete(m.tried, path)
		}
	}
	return nil
}

// isRemovable reports whether a file system is on something that people plug
// in, which is not to be left alone.
func isRemovable(f faces, all map[dbus.ObjectPath]faces) bool {
	if property[bool](f, blockFace, "HintIgnore") || property[bool](f, blockFace, "HintSystem") {
		return false
	}
	drive := all[property[dbus.ObjectPath](f, blockFace, "Drive")]
	bus := property[string](drive, driveFace, "ConnectionBus")
	return property[bool](drive, driveFace, "Removable") || bus == "usb" || bus == "sdio"
}

// mount mounts a file system and tells of it.
func (m *mounter) mount(ctx context.Context, path dbus.ObjectPath, f faces) {
	ctx, cancel := context.WithTimeout(ctx, deviceTimeout)
	defer cancel()
	r := Mounted{Device: f.device(), Label: property[string](f, blockFace, "IdLabel")}
	args := []any{options(map[string]any{"options": mountOptions})}
	err := call(ctx, m.bus.Object(disksName, path), fsFace+".Mount", args, &r.Path)
	var refused dbus.Error
	switch {
	case errors.As(err, &refused) && refused.Name == disksName+".Error.AlreadyMounted":
		return // by somebody faster
	case err != nil:
		r.Err = fmt.Errorf("mounting %s: %w", r.Device, err)
	}
	m.tell(r)
}
