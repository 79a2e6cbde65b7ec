package lan

import (
	"net"
	"net/netip"
	"time"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/multiserver"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// Bounds that tests hold us to.
const (
	MaxPacket   = maxPacket
	MaxKnown    = maxKnown
	MaxSenders  = maxSenders
	AllBurst    = allBurst
	AllEvery    = allEvery
	SenderBurst = senderBurst
	TellEvery   = tellEvery
	RetryEvery  = retryEvery
)

// Loopback is the network of this host with itself.
func Loopback() Medium { return system{loopback: true} }

// System is the network of this host.
func System() Medium { return system{} }

func ParsePlain(text []byte) (refs.Feed, []multiserver.Address, error) {
	a, err := parsePlain(text)
	return a.feed, a.addrs, err
}

func OpenSealed(packet []byte, network *[32]byte) (refs.Feed, []multiserver.Address, error) {
	a, err := openSealed(packet, network)
	return a.feed, a.addrs, err
}

func Seal(text []byte, pair *keys.Pair, network *[32]byte) []byte { return seal(text, pair, network) }

func Believable(host, from netip.Addr) bool { return believable(host, from) }

func TextFor(all []multiserver.Address, ip netip.Addr) string { return string(textFor(all, ip)) }

// Ears hear packets without a network.
type Ears struct{ *ears }

func NewEars(cfg Config) Ears { return Ears{newEars(cfg.withDefaults())} }

func (e Ears) HearPlain(packet []byte, from netip.Addr)  { e.hearPlain(packet, from) }
func (e Ears) HearSealed(packet []byte, from netip.Addr) { e.hearSealed(packet, from) }

// Sizes returns how many packets and senders are remembered.
func (e Ears) Sizes() (packets, senders int) { return len(e.known), len(e.senders) }

func InterfaceOf(addr net.Addr) (Interface, bool) { return interfaceOf(addr) }

// Allowed counts how many of n tries at one moment the ration of one sender
// allows.
func Allowed(n int, now time.Time) (allowed int) {
	r := ration{burst: senderBurst, every: senderEvery}
	for range n {
		if r.take(now) {
			allowed++
		}
	}
	return allowed
}
