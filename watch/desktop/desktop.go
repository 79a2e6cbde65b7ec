// Package desktop talks to what a desktop or a kiosk has on its message bus:
// notifications (org.freedesktop.Notifications), and UDisks2, which mounts
// media that nobody else mounts and powers them off.
//
// Neither is needed. Where there is no bus, or nobody on it answers, the
// functions return an error and nothing else happens; no bus is started.
package desktop

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/godbus/dbus/v5"
)

// ErrNoBus says that there is no message bus of this kind here.
var ErrNoBus = errors.New("no message bus")

// callTimeout is how long an answer may take that needs no device.
const callTimeout = 5 * time.Second

// SessionBus returns the address of the bus of the user's session, or "".
func SessionBus() string {
	if address := os.Getenv("DBUS_SESSION_BUS_ADDRESS"); address != "" && address != "autolaunch:" {
		return address
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		return ifThere(filepath.Join(dir, "bus"))
	}
	return ""
}

// SystemBus returns the address of the bus of the machine, or "".
func SystemBus() string {
	if address := os.Getenv("DBUS_SYSTEM_BUS_ADDRESS"); address != "" {
		return address
	}
	return ifThere("/run/dbus/system_bus_socket")
}

func ifThere(socket string) string {
	if info, err := os.Stat(socket); err != nil || info.Mode().Type() != os.ModeSocket {
		return ""
	}
	return "unix:path=" + dbus.EscapeBusAddressValue(socket)
}

// connect connects to a bus; who calls closes the connection.
func connect(address string) (*dbus.Conn, error) {
	if address == "" {
		return nil, ErrNoBus
	}
	bus, err := dbus.Connect(address)
	if err != nil {
		return nil, fmt.Errorf("%w at %s: %v", ErrNoBus, address, err)
	}
	return bus, nil
}

// call calls a method and stores what it answers.
func call(ctx context.Context, o dbus.BusObject, method string, args []any, results ...any) error {
	c := o.CallWithContext(ctx, method, 0, args...)
	if err := c.Store(results...); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	return nil
}
