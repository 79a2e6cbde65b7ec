//go:build ci && linux

package desktop_test

import (
	"bufio"
	"os/exec"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
)

// daemon starts a real bus (dbus-daemon) of its own, on which the service has
// its name.
func daemon(t *testing.T, name string, serve func(*dbus.Conn)) (address string) {
	t.Helper()
	cmd := exec.Command("dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address=1", "--address=unix:dir="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting dbus-daemon (of the package dbus-daemon or dbus): %v", err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	address = strings.TrimSpace(line)
	conn, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	serve(conn)
	if _, err := conn.RequestName(name, dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
	return address
}

func TestNotifyOnBus(t *testing.T)      { testNotify(t, daemon) }
func TestNotifyPlainOnBus(t *testing.T) { testNotifyPlain(t, daemon) }
func TestMountAllOnBus(t *testing.T)    { testMountAll(t, daemon) }
func TestPowerOffOnBus(t *testing.T)    { testPowerOff(t, daemon) }
