package lan_test

import (
	"net"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/sync/lan"
)

// TestRealBroadcast lets two peers find each other on this host, by broadcast
// on the loopback network and one shared port each.
func TestRealBroadcast(t *testing.T) {
	plain, sealed := freePort(t), freePort(t)
	for name, ports := range map[string][2]uint16{"plain": {plain, 1}, "sealed": {1, sealed}} {
		t.Run(name, func(t *testing.T) {
			quick := func(c *lan.Config) {
				c.Port, c.SealedPort, c.Interval = ports[0], ports[1], 100*time.Millisecond
			}
			a, stopA := start(t, 1, lan.Loopback(), quick)
			defer stopA()
			b, stopB := start(t, 2, lan.Loopback(), quick)
			defer stopB()
			until(t, func() bool {
				return a.take()[at(2, "127.0.0.1").String()] > 0
			})
			until(t, func() bool {
				return b.take()[at(1, "127.0.0.1").String()] > 0
			})
		})
	}
}

// freePort returns a UDP port that nobody uses.
func freePort(t *testing.T) uint16 {
	t.Helper()
	conn, err := net.ListenUDP("udp4", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()
}

func until(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain")
		}
	}
}

// TestInterfaces looks at the interfaces of this host, whatever they are.
func TestInterfaces(t *testing.T) {
	found, err := lan.System().Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range found {
		if !i.Addr.Is4() || !i.Broadcast.Is4() || i.Addr == i.Broadcast || i.Addr.IsLoopback() {
			t.Errorf("%+v", i)
		}
	}
	t.Logf("%d interfaces", len(found))
}
