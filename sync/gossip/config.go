package gossip

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/graph"
	"github.com/ssbsync/ssbsync/sync/ingest"
)

// Policy says whose messages are replicated. It is asked from several
// goroutines, often, and without locks of this package that it could need.
// After its answers changed, call Gossip.PolicyChanged.
type Policy interface {
	// Wants reports whether messages of a feed are taken from peers, and given
	// to them.
	Wants(feed refs.Feed) bool

	// Replicated lists the feeds that peers are asked for by name. Feeds that
	// are wanted and not listed are asked for once somebody speaks of them.
	Replicated() []refs.Feed

	// Blocked reports whether we have nothing to do with a feed: it is not
	// talked to, asked for, or given.
	Blocked(feed refs.Feed) bool
}

// Config says who we are, whom we serve, and within which bounds. The fields
// up to Policy must be set.
type Config struct {
	Keys    *keys.Pair
	Network [32]byte // access key of the network (caps.shs)
	Store   *store.Store
	Ingest  *ingest.Pipeline
	Policy  Policy

	// Graph, when set, tells who blocks whom: a feed that blocks a peer is not
	// given to that peer.
	Graph *graph.Graph

	// Handler returns what serves the calls of a peer. It should serve
	// ebt.replicate by Gossip.ServeEBT, gossip.ping by Gossip.ServePing, and
	// createHistoryStream. Nil refuses all calls.
	Handler func(remote refs.Feed) muxrpc.Handler

	// Meet, when set, is called with the session with each peer, in a goroutine
	// of its own, for what is exchanged beside feeds. It returns when ctx ends,
	// which the end of the session brings about.
	Meet func(ctx context.Context, remote refs.Feed, session *muxrpc.Session)

	// Authorize, when set, may refuse a peer that has proven who it is.
	Authorize func(remote refs.Feed) error

	// Publish, when set, appends a message with this content to our own feed
	// and returns it as {key,value,timestamp}. Invites need it.
	Publish func(ctx context.Context, content json.RawMessage) (json.RawMessage, error)

	// Proxy is the host:port of the SOCKS5 proxy for onion addresses; empty
	// means that they cannot be dialled.
	Proxy string

	// Transports, when not nil, are the only ones that are dialled, in the words
	// of addresses; ws includes wss. Tunnels are not among them: they go through
	// a connection to a room, which is.
	Transports []string

	// AllowPrivate lets addresses of private networks in pub messages count.
	AllowPrivate bool

	Limits Limits
	Log    *slog.Logger     // nil = slog.Default()
	Now    func() time.Time // nil = time.Now
	Random rand.Source      // of jitter; nil = seeded by the runtime
	Tick   time.Duration    // of stall detection and accounts; 0 = 1 s
}

// Limits bound what strangers can take. Fields that are 0 get the default.
type Limits struct {
	Connections int // accepted at a time; default 256
	PerIP       int // accepted at a time from one IP address; default 32
	Handshakes  int // accepted and not yet proven at a time; default 64
	Outbound    int // dialled by the schedule at a time, LAN apart; default 8
	LAN         int // dialled on the LAN at a time; default 16
	Calls       int // calls of one peer that are open at a time; default 4,096
	AllCalls    int // calls of all peers that are open at a time; default 8,192

	Handshake time.Duration // from the first byte to proof; default 15 s
	Dial      time.Duration // until the connection stands; default 20 s
	Stuck     time.Duration // that a peer reads nothing of what we send; default 2 min
	Grace     time.Duration // that a client has for calling ebt.replicate; default 3 s

	Ban time.Duration // that a peer is kept away after it misbehaved; default 1 min

	Backoff    time.Duration // after the first failure of an address; default 5 s, on the LAN a fifth of it
	MaxBackoff time.Duration // after many; default 1 h, on the LAN a 60th of it

	Refused   int64 // messages never asked for in a session, beside as many as were; default 4,096
	Rejected  int64 // messages that are bad input in a session; default 256
	Duplicate int64 // messages we had in a session, beside twice as many new ones; default 500,000
}

func (l Limits) withDefaults() Limits {
	l.Connections = cmp.Or(l.Connections, 256)
	l.PerIP = cmp.Or(l.PerIP, 32)
	l.Handshakes = cmp.Or(l.Handshakes, 64)
	l.Outbound = cmp.Or(l.Outbound, 8)
	l.LAN = cmp.Or(l.LAN, 16)
	l.Calls = cmp.Or(l.Calls, 4096)
	l.AllCalls = cmp.Or(l.AllCalls, 8192)
	l.Handshake = cmp.Or(l.Handshake, 15*time.Second)
	l.Dial = cmp.Or(l.Dial, 20*time.Second)
	l.Stuck = cmp.Or(l.Stuck, 2*time.Minute)
	l.Grace = cmp.Or(l.Grace, 3*time.Second)
	l.Ban = cmp.Or(l.Ban, time.Minute)
	l.Backoff = cmp.Or(l.Backoff, 5*time.Second)
	l.MaxBackoff = cmp.Or(l.MaxBackoff, time.Hour)
	l.Refused = cmp.Or(l.Refused, 4096)
	l.Rejected = cmp.Or(l.Rejected, 256)
	l.Duplicate = cmp.Or(l.Duplicate, 500_000)
	return l
}

// check reports what is missing, and fills in the defaults.
func (c *Config) check() error {
	if c.Keys == nil || c.Store == nil || c.Ingest == nil || c.Policy == nil {
		return errors.New("gossip: keys, store, ingest and policy must be set")
	}
	if c.Handler == nil {
		c.Handler = func(refs.Feed) muxrpc.Handler { return muxrpc.NewMux() }
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Random == nil {
		c.Random = rand.NewPCG(rand.Uint64(), rand.Uint64())
	}
	c.Tick = cmp.Or(c.Tick, time.Second)
	c.Limits = c.Limits.withDefaults()
	return nil
}
