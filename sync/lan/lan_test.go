package lan_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ssbsync/ssbsync/spec/multiserver"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/lan"
)

// finds collects what Found is told.
type finds struct {
	mu    sync.Mutex
	times map[string]int
}

func (f *finds) found(addr multiserver.Address, feed refs.Feed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.times == nil {
		f.times = make(map[string]int)
	}
	if key, _ := addr.Key(); key != feed {
		f.times["of another key"]++
	}
	f.times[addr.String()]++
}

// take returns how often each address was told since the last call.
func (f *finds) take() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	times := f.times
	f.times = nil
	return times
}

// start runs the n-th peer on a host until the returned function is called.
func start(t testing.TB, n byte, h lan.Medium, change func(*lan.Config)) (*finds, func()) {
	f := &finds{}
	cfg := lan.Config{
		Keys: pair(n), Network: network, Found: f.found, Medium: h,
		Addresses: func() []multiserver.Address { return []multiserver.Address{at(n, "0.0.0.0")} },
	}
	if change != nil {
		change(&cfg)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- lan.Run(ctx, cfg) }()
	return f, func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("run ended with %v", err)
		}
	}
}

func TestTwoPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEther()
		hostA, hostB := e.host("10.0.0.1"), e.host("10.0.0.2", "192.168.7.2")
		a, stopA := start(t, 1, hostA, nil)
		defer stopA()
		b, stopB := start(t, 2, hostB, nil)
		defer stopB()
		time.Sleep(3 * time.Second)
		if got := b.take(); len(got) != 1 || got[at(1, "10.0.0.1").String()] == 0 {
			t.Errorf("b found %v", got)
		}
		if got := a.take(); len(got) != 2 || got[at(2, "10.0.0.2").String()] == 0 || got[at(2, "192.168.7.2").String()] == 0 {
			t.Errorf("a found %v", got)
		}

		// It goes on, at the pace it should.
		e.packets(hostB, 0)
		time.Sleep(time.Minute)
		if got := e.packets(hostB, lan.DefaultPort); got != 2*30 {
			t.Errorf("%d plain packets of two interfaces in a minute", got)
		}
		if got := a.take()[at(2, "10.0.0.2").String()]; got < 10 || got > 13 {
			t.Errorf("told %d times in a minute of plain and sealed packets", got)
		}

		// b moves to another network.
		hostB.set("10.9.9.9")
		time.Sleep(3 * time.Second)
		if got := a.take()[at(2, "10.9.9.9").String()]; got == 0 {
			t.Error("not found after it moved")
		}
		time.Sleep(11 * time.Second)
		a.take()
		time.Sleep(time.Minute)
		if got := a.take(); len(got) != 1 {
			t.Errorf("a still finds %v", got)
		}
	})
}

func TestSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEther()
		hostA := e.host("10.0.0.1")
		a, stopA := start(t, 1, hostA, func(c *lan.Config) { c.Silent = true })
		defer stopA()
		b, stopB := start(t, 2, e.host("10.0.0.2"), nil)
		defer stopB()
		time.Sleep(time.Minute)
		if len(b.take()) != 0 || len(a.take()) != 1 {
			t.Error("a should hear and not be heard")
		}
	})
}

// TestOtherNetwork: the sealed packets of another network say nothing, the
// plain ones do not tell which network they are of.
func TestOtherNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEther()
		a, stopA := start(t, 1, e.host("10.0.0.1"), func(c *lan.Config) { c.Port = 1 })
		defer stopA()
		_, stopB := start(t, 2, e.host("10.0.0.2"), func(c *lan.Config) { c.Network = [32]byte{66} })
		defer stopB()
		time.Sleep(time.Minute)
		if got := a.take(); len(got) != 0 {
			t.Errorf("found %v", got)
		}
	})
}

// TestTrouble runs on a host whose network does not work for an hour.
func TestTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEther()
		h := e.host("10.0.0.1")
		h.setFail(errors.New("no network"))
		var log bytes.Buffer
		a, stop := start(t, 1, h, func(c *lan.Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
		time.Sleep(time.Hour)
		if tries := h.tries(); tries > 2*(int(time.Hour/lan.RetryEvery)+1) {
			t.Errorf("tried %d times", tries)
		}
		h.setFail(nil)
		time.Sleep(2 * lan.RetryEvery)
		_, stopB := start(t, 2, e.host("10.0.0.2"), nil)
		time.Sleep(time.Minute)
		if len(a.take()) == 0 {
			t.Error("does not hear again")
		}
		stop()
		stopB()
		if n := strings.Count(log.String(), "no network"); n != 3 {
			t.Errorf("said %d times:\n%s", n, log.String())
		}
	})
}

func TestRefusesToRun(t *testing.T) {
	if err := lan.Run(t.Context(), lan.Config{}); err == nil {
		t.Error("runs without keys")
	}
}

// TestJunk hears every kind of nonsense.
func TestJunk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEther()
		a, stop := start(t, 1, e.host("10.0.0.1"), nil)
		defer stop()
		stranger := netip.MustParseAddr("10.0.0.66")
		mine := at(1, "10.0.0.66").String()
		far := at(2, "203.0.113.7").String()
		for _, data := range [][]byte{nil, {0}, []byte("junk"), bytes.Repeat([]byte("x"), 1<<16), []byte(mine), []byte(far), lan.Seal([]byte(far), pair(2), &network), lan.Seal([]byte(mine), pair(2), &network)} {
			for _, port := range []uint16{lan.DefaultPort, lan.DefaultSealedPort} {
				e.send(stranger, port, data)
				time.Sleep(10 * time.Second)
			}
		}
		if got := a.take(); len(got) != 0 {
			t.Errorf("found %v", got)
		}
		e.send(stranger, lan.DefaultPort, []byte(at(2, "10.0.0.66").String()))
		time.Sleep(time.Second)
		if got := a.take(); len(got) != 1 {
			t.Errorf("after all that: %v", got)
		}
	})
}

// TestFlood hears a peer among tens of thousands of packets of strangers,
// without growing.
func TestFlood(t *testing.T) {
	for name, spoofed := range map[string]bool{"one sender": false, "many senders": true} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { flood(t, spoofed) }) })
	}
}

func flood(t *testing.T, spoofed bool) {
	f := &finds{}
	ears := lan.NewEars(lan.Config{Keys: pair(1), Network: network, Found: f.found})
	honest, peer := []byte(at(2, "10.0.0.2").String()), netip.MustParseAddr("10.0.0.2")
	ears.HearPlain(honest, peer)
	if len(f.take()) != 1 {
		t.Fatal("not found at first")
	}
	const seconds, each = 60, 1000
	var before, after runtime.MemStats
	told, junk := 0, 0
	for second := range seconds {
		if second == 5 {
			runtime.GC()
			runtime.ReadMemStats(&before)
		}
		for i := range each {
			n := uint32(second*each + i)
			from := netip.AddrFrom4([4]byte{10, 66, 6, 6})
			if spoofed {
				from = netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, 10<<24|n)))
			}
			var seed [32]byte
			binary.BigEndian.PutUint32(seed[:], n)
			ears.HearPlain([]byte(multiserver.Net(from.String(), 8008, refs.Feed(seed)).String()), from)
		}
		ears.HearPlain(honest, peer)
		for addr, n := range f.take() {
			if addr == string(honest) {
				told += n
			} else {
				junk += n
			}
		}
		time.Sleep(time.Second)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	packets, senders := ears.Sizes()
	t.Logf("%d packets: %d looked at; %d packets and %d senders remembered, heap %+d bytes", seconds*each, junk, packets, senders, int64(after.HeapAlloc)-int64(before.HeapAlloc))
	if told < 5 {
		t.Errorf("told of the honest peer %d times", told)
	}
	if limit := lan.AllBurst + int(seconds*time.Second/lan.AllEvery); junk > limit {
		t.Errorf("%d junk packets were looked at, want at most %d", junk, limit)
	}
	if packets > lan.MaxKnown || senders > lan.MaxSenders || after.HeapAlloc > before.HeapAlloc+4<<20 {
		t.Error("grows")
	}
	if spoofed {
		return
	}
	// A newcomer is heard at once: the flood used up only its own ration.
	ears.HearPlain([]byte(at(3, "10.0.0.3").String()), netip.MustParseAddr("10.0.0.3"))
	if len(f.take()) != 1 {
		t.Error("the newcomer is not heard")
	}
}

func TestRation(t *testing.T) {
	if got := lan.Allowed(100, time.Now()); got != lan.SenderBurst {
		t.Errorf("%d at once, want %d", got, lan.SenderBurst)
	}
}

// BenchmarkHear measures what a packet costs that was heard before, and one
// too many.
func BenchmarkHear(b *testing.B) {
	ears := lan.NewEars(lan.Config{Keys: pair(1), Network: network, Found: func(multiserver.Address, refs.Feed) {}})
	from := netip.MustParseAddr("10.0.0.2")
	b.Run("known", func(b *testing.B) {
		packet := lan.Seal([]byte(at(2, "10.0.0.2").String()), pair(2), &network)
		for b.Loop() {
			ears.HearSealed(packet, from)
		}
	})
	b.Run("flood", func(b *testing.B) {
		packet := []byte(at(2, "10.0.0.2").String())
		var n uint32
		for b.Loop() {
			n++
			binary.BigEndian.PutUint32(packet, n)
			ears.HearPlain(packet, from)
		}
	})
}
