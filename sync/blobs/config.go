package blobs

import (
	"cmp"
	"errors"
	"log/slog"
	"time"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/store/blobs"
)

// Origin says why a blob is wanted. Those with a lower number go first.
type Origin uint8

// The origins.
const (
	Asked      Origin = iota + 1 // the user or an app asked for it
	Referenced                   // a message that we care for refers to it
	Sympathy                     // a peer wants it
)

// String names the origin.
func (o Origin) String() string {
	switch o {
	case Asked:
		return "asked"
	case Referenced:
		return "referenced"
	}
	return "sympathy"
}

// Config says what an Exchange works with. Blobs and Store must be set.
type Config struct {
	Blobs *blobs.Store
	Store *store.Store // keeps what is asked for and what is pushed

	// Sympathy is how many hops away from us a want may have begun for us to
	// want the blob too: 3 as in ssb-blobs when it is 0, none when negative.
	Sympathy int

	// Pushy is how many peers are to take a blob that is pushed; 0 means 3.
	Pushy int

	// Room, when set, is asked before a blob of some bytes is fetched. An
	// error holds off blobs of that origin for Limits.Retry. The room is kept
	// until done is called, when the blob is stored or the fetch has failed.
	Room func(origin Origin, size int64) (done func(), err error)

	// Fetching, when set, is called before a blob that was fetched is stored.
	// An error keeps it from being stored.
	Fetching func(id refs.Blob, size int64, origin Origin) error

	Limits Limits
	Log    *slog.Logger // nil = slog.Default()
}

// Limits bound what strangers can take. Fields that are 0 get the default.
type Limits struct {
	Fetches int // blobs fetched at a time; default 8
	Gets    int // blobs served to one peer at a time, others wait; default 8
	AllGets int // blobs served at a time; default 64

	PeerWants    int // wants of one peer that are remembered; default 16,384
	AllPeerWants int // of all peers together; default 262,144
	PeerSympathy int // wants of one peer that we take over; default 2,048
	AllSympathy  int // of all peers together; default 16,384
	Offers       int // blobs that one peer has and we want that are remembered; default 16,384
	Wants        int // of each other origin; default 65,536

	Burst int     // wants that a peer may send at once; default 131,072
	Rate  float64 // wants a second that it may send then; default 2,000

	Idle     time.Duration // that a peer may be silent while we fetch, or deaf while we serve it; default 30 s
	Slowest  int64         // bytes a second that a peer must send; default 4,096
	Patience time.Duration // after which a slow fetch makes place for others; default 1 min
	Brisk    int64         // bytes a second of fetches that do not; default 16,384
	Backoff  time.Duration // that a peer is left alone after one failure; default 250 ms
	Backoffs time.Duration // after many; default 5 min
	Retry    time.Duration // after there was no room; default 30 s
}

func (l Limits) withDefaults() Limits {
	l.Fetches = cmp.Or(l.Fetches, 8)
	l.Gets = cmp.Or(l.Gets, 8)
	l.AllGets = cmp.Or(l.AllGets, 64)
	l.PeerWants = cmp.Or(l.PeerWants, 1<<14)
	l.AllPeerWants = cmp.Or(l.AllPeerWants, 1<<18)
	l.PeerSympathy = cmp.Or(l.PeerSympathy, 1<<11)
	l.AllSympathy = cmp.Or(l.AllSympathy, 1<<14)
	l.Offers = cmp.Or(l.Offers, 1<<14)
	l.Wants = cmp.Or(l.Wants, 1<<16)
	l.Burst = cmp.Or(l.Burst, 1<<17)
	l.Rate = cmp.Or(l.Rate, 2000)
	l.Idle = cmp.Or(l.Idle, 30*time.Second)
	l.Slowest = cmp.Or(l.Slowest, 4096)
	l.Patience = cmp.Or(l.Patience, time.Minute)
	l.Brisk = cmp.Or(l.Brisk, 16<<10)
	l.Backoff = cmp.Or(l.Backoff, 250*time.Millisecond)
	l.Backoffs = cmp.Or(l.Backoffs, 5*time.Minute)
	l.Retry = cmp.Or(l.Retry, 30*time.Second)
	return l
}

// check reports what is missing, and fills in the defaults.
func (c *Config) check() error {
	if c.Blobs == nil || c.Store == nil {
		return errors.New("blobs: blobs and store must be set")
	}
	c.Sympathy = max(0, cmp.Or(c.Sympathy, 3))
	c.Pushy = cmp.Or(c.Pushy, 3)
	c.Limits = c.Limits.withDefaults()
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return nil
}
