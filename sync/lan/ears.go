package lan

import (
	"net/netip"
	"sync"
	"time"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// Bounds of what strangers make us remember and compute. A packet that was
// heard before costs a look-up; one that is new costs a signature at most, and
// those are rationed, for each sender and for all together.
const (
	maxKnown   = 512 // packets
	maxSenders = 512

	allBurst, allEvery       = 64, time.Second / 16
	senderBurst, senderEvery = 16, 2 * time.Second

	// tellEvery is how often Found is told again of what is still announced.
	tellEvery = 10 * time.Second
)

// ears know what was heard lately.
type ears struct {
	cfg  Config
	self refs.Feed

	mu      sync.Mutex
	key     []byte            // spare memory
	known   map[string]*known // by sender and bytes of the packet
	senders map[netip.Addr]*ration
	all     ration
}

// known is a packet that was heard: a good one or not, since bad ones are
// repeated as well (every two seconds by each peer of another network).
type known struct {
	said  announcement // without addresses when there is nothing to tell
	heard time.Time
	told  time.Time
}

func newEars(cfg Config) *ears {
	return &ears{
		cfg: cfg, self: cfg.Keys.Feed(), known: make(map[string]*known), senders: make(map[netip.Addr]*ration),
		all: ration{burst: allBurst, every: allEvery},
	}
}

func (e *ears) hearPlain(packet []byte, from netip.Addr) { e.hear(packet, from, parsePlain) }

func (e *ears) hearSealed(packet []byte, from netip.Addr) {
	e.hear(packet, from, func(b []byte) (announcement, error) { return openSealed(b, &e.cfg.Network) })
}

// hear takes in one packet and tells Found what is new in it.
func (e *ears) hear(packet []byte, from netip.Addr, parse func([]byte) (announcement, error)) {
	if len(packet) == 0 || len(packet) > maxPacket {
		return
	}
	said := e.recall(packet, from, time.Now(), parse)
	for _, addr := range said.addrs {
		e.cfg.Found(addr, said.feed)
	}
}

// recall returns what a packet says, without addresses when there is nothing
// to tell now.
func (e *ears) recall(packet []byte, from netip.Addr, now time.Time, parse func([]byte) (announcement, error)) announcement {
	e.mu.Lock()
	defer e.mu.Unlock()
	sender := from.As16()
	e.key = append(append(e.key[:0], sender[:]...), packet...)
	k := e.known[string(e.key)]
	if k == nil {
		if !e.admit(from, now) {
			return announcement{}
		}
		k = &known{said: e.understand(packet, from, parse)}
		if len(e.known) >= maxKnown {
			forget(e.known, func(k *known) time.Time { return k.heard })
		}
		e.known[string(e.key)] = k
	}
	k.heard = now
	if now.Sub(k.told) < tellEvery {
		return announcement{}
	}
	k.told = now
	return k.said
}

// understand parses a packet and keeps what is worth telling.
func (e *ears) understand(packet []byte, from netip.Addr, parse func([]byte) (announcement, error)) announcement {
	a, err := parse(packet)
	if err != nil {
		e.cfg.Log.Debug("lan: heard something else", "from", from, "err", err)
		return announcement{}
	}
	if a.feed == e.self {
		return announcement{}
	}
	said := announcement{feed: a.feed}
	for _, addr := range a.addrs {
		if host, err := hostOf(addr); err == nil && believable(host, from) {
			said.addrs = append(said.addrs, addr)
		}
	}
	return said
}

// admit reports whether a packet that was not heard before may be looked at.
// Who sends too many uses up his own ration, not that of all.
func (e *ears) admit(from netip.Addr, now time.Time) bool {
	sender := e.senders[from]
	if sender != nil && !sender.take(now) || !e.all.take(now) {
		return false
	}
	if sender == nil {
		if len(e.senders) >= maxSenders {
			forget(e.senders, func(r *ration) time.Time { return r.full })
		}
		sender = &ration{burst: senderBurst, every: senderEvery}
		sender.take(now)
		e.senders[from] = sender
	}
	return true
}

// ration allows a burst, then one in a while. The zero time is a full one.
type ration struct {
	burst int
	every time.Duration
	full  time.Time // when it would be full again, if nothing more were taken
}

// take takes one, if there is one.
func (r *ration) take(now time.Time) bool {
	if r.full.Before(now) {
		r.full = now
	}
	if next := r.full.Add(r.every); next.Sub(now) <= time.Duration(r.burst)*r.every {
		r.full = next
		return true
	}
	return false
}

// forget deletes the oldest entry of a map.
func forget[K comparable, V any](m map[K]V, age func(V) time.Time) {
	var oldest K
	var when time.Time
	for key, v := range m {
		if t := age(v); when.IsZero() || t.Before(when) {
			oldest, when = key, t
		}
	}
	delete(m, oldest)
}
