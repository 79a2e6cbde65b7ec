// Package lan finds peers on the local network and lets them find us, as the
// JavaScript peers do: everybody broadcasts, every second or two, where it can
// be reached.
//
// There are two kinds of packets, and we send and read both:
//
//	plain   UDP port 8008, npm ssb-local and ssb-lan: the addresses as text,
//	        "net:10.0.0.5:8008~shs:KEY", several joined by ";"
//	sealed  UDP port 26830, npm ssb-lan: {"address":"…"} in a secretbox under
//	        the key of the network, then a signature by the peer
//
// Nothing in a plain packet is proved; nothing in either keeps anybody from
// sending it again. That is why an announcement is only a hint where to dial:
// the handshake proves who is there. So that a hint cannot be used to turn a
// whole network against a host somewhere else, only addresses on the local
// network, or of the very sender, are believed.
package lan

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/multiserver"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// What ssb-local and ssb-lan use.
const (
	DefaultPort       = 8008
	DefaultSealedPort = 26830
	DefaultInterval   = 2 * time.Second
)

// minInterval keeps a bad setting from becoming a busy loop.
const minInterval = 100 * time.Millisecond

// Config says what to announce and whom to tell of others. Keys, Network and
// Found must be set.
type Config struct {
	Keys    *keys.Pair
	Network [32]byte // caps.shs

	// Addresses returns where this node can be reached now; it is asked before
	// each announcement. The host 0.0.0.0 or :: stands for the address of the
	// interface that is announced on; any other IP address is announced on its
	// own interface only. What is no IP address stays at home. nil is Silent.
	Addresses func() []multiserver.Address

	// Found is told of each address of a peer that was heard: at once, and
	// about every ten seconds for as long as it is announced. It is never told
	// of ourselves. It may be called from two goroutines and should return
	// soon: meanwhile nothing is heard.
	Found func(multiserver.Address, refs.Feed)

	Silent bool // listen, and announce nothing

	Interval   time.Duration // between announcements; 0 = DefaultInterval
	Port       uint16        // UDP, of plain packets; 0 = DefaultPort
	SealedPort uint16        // UDP, of sealed packets; 0 = DefaultSealedPort

	Log *slog.Logger // nil logs nothing

	// Medium is the network; nil is that of the system.
	Medium Medium
}

// Run announces and listens until ctx ends. What goes wrong meanwhile (a port
// that another program keeps for itself, a network that went away) is logged
// once and tried again.
func Run(ctx context.Context, cfg Config) error {
	if cfg.Keys == nil || cfg.Found == nil {
		return errors.New("lan: keys and found must be set")
	}
	cfg = cfg.withDefaults()
	e := newEars(cfg)
	var wait sync.WaitGroup
	wait.Go(func() { listen(ctx, cfg, cfg.Port, e.hearPlain) })
	wait.Go(func() { listen(ctx, cfg, cfg.SealedPort, e.hearSealed) })
	if !cfg.Silent && cfg.Addresses != nil {
		wait.Go(func() { announce(ctx, cfg) })
	}
	wait.Wait()
	return ctx.Err()
}

func (c Config) withDefaults() Config {
	if c.Interval == 0 {
		c.Interval = DefaultInterval
	}
	c.Interval = max(c.Interval, minInterval)
	if c.Port == 0 {
		c.Port = DefaultPort
	}
	if c.SealedPort == 0 {
		c.SealedPort = DefaultSealedPort
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Medium == nil {
		c.Medium = system{}
	}
	return c
}
