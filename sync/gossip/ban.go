package gossip

import (
	"errors"
	"time"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// maxBans bounds the peers that are kept away at a time.
const maxBans = 1000

// ErrBanned says that a peer misbehaved a short while ago.
var ErrBanned = errors.New("peer is kept away for a while because of what it sent")

// misbehaved reports whether an end of a session is the peer's fault in a way
// that honest peers do not come into.
func misbehaved(cause error) bool {
	return errors.Is(cause, errUnasked) || errors.Is(cause, errBad) || errors.Is(cause, errNotNotes)
}

// ban keeps a peer away for a while.
func (g *Gossip) ban(feed refs.Feed) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.banned) >= maxBans {
		for other := range g.banned {
			if !g.isBannedLocked(other) {
				delete(g.banned, other)
			}
		}
	}
	if len(g.banned) < maxBans {
		g.banned[feed] = g.cfg.Now().Add(g.cfg.Limits.Ban)
	}
}

// pardon lets a peer back in, because the user wants to connect to it.
func (g *Gossip) pardon(feed refs.Feed) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.banned, feed)
}

// isBanned reports whether a peer is kept away.
func (g *Gossip) isBanned(feed refs.Feed) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.isBannedLocked(feed)
}

func (g *Gossip) isBannedLocked(feed refs.Feed) bool {
	until, ok := g.banned[feed]
	left := until.Sub(g.cfg.Now())
	return ok && left > 0 && left <= g.cfg.Limits.Ban+time.Second // a clock that was set back bans nobody
}
