package gossip

import (
	"cmp"
	"context"
	"crypto/sha256"
	"net"
	"slices"
	"time"

	"github.com/ssbsync/ssbsync/spec/refs"
)

const (
	maxStaged   = 1000             // addresses heard on the LAN
	stagedFor   = 2 * time.Minute  // that an address counts after it was heard
	stable      = 10 * time.Second // that a session must last to count as a success
	lanFactor   = 5                // by which back-off begins shorter on the LAN
	lanMax      = 60               // by which it ends shorter
	lookAgain   = 30 * time.Second // the longest that the schedule sleeps
	saveAfter   = time.Minute
	breath      = 20 * time.Millisecond // between two looks
	rotateAfter = 30 * time.Minute
	quietTicks  = 300 // without anything new before a session makes room
)

// schedule dials whom it is time to dial until ctx ends.
func (g *Gossip) schedule(ctx context.Context) {
	var network [32]byte
	saved := g.cfg.Now()
	for ctx.Err() == nil {
		if now := addresses(); now != network {
			if network != ([32]byte{}) {
				g.NetworkChanged()
			}
			network = now
		}
		now := g.cfg.Now()
		picks, wait, starved := g.plan(now)
		for _, p := range picks {
			g.attempt(p)
		}
		if starved {
			g.rotate(now)
		}
		if now.Sub(saved) >= saveAfter {
			saved = now
			if err := g.book.save(); err != nil {
				g.cfg.Log.Warn("the peer book was not saved", "err", err)
			}
		}
		g.rest(ctx, wait)
	}
}

// rest sleeps until there may be something to dial.
func (g *Gossip) rest(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(min(max(wait, breath), lookAgain))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-g.kick:
		sleep(ctx, breath)
	case <-ctx.Done():
	}
}

// attempt dials in the background.
func (g *Gossip) attempt(e *entry) {
	if !g.start() {
		return
	}
	g.dials(e.Feed, 1)
	go func() {
		defer g.work.Done()
		defer g.wake()
		defer g.dials(e.Feed, -1)
		_, err := g.connect(g.ctx, e.addr, e.Source)
		if err != nil {
			g.cfg.Log.Debug("dialling failed", "address", e.Address, "err", err)
		}
	}()
}

// plan chooses the addresses to dial now and sets their next time as if they
// failed. It says how long it is until the next may be due, and whether others
// would be dialled if there were room.
func (g *Gossip) plan(now time.Time) (picks []*entry, wait time.Duration, starved bool) {
	busy, lan, outbound := g.occupied()
	b := g.book
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire(now)
	wait = lookAgain
	if b.paused {
		return nil, wait, false
	}
	for _, e := range b.candidates(g.rank) {
		free := &outbound
		if e.Source == LAN {
			free = &lan
		}
		switch {
		case busy[e.Feed]:
			continue
		case *free <= 0:
			starved = starved || !e.next.After(now)
			continue
		case e.next.After(now):
			wait = min(wait, e.next.Sub(now))
			continue
		}
		*free--
		busy[e.Feed] = true
		e.next = now.Add(g.backoff(e, e.Failures+1))
		copied := *e
		picks = append(picks, &copied)
	}
	return picks, wait, starved
}

// rotate ends the session that we opened the longest ago and that has nothing
// to tell any more, so that others get their turn. The user's own choices stay.
func (g *Gossip) rotate(now time.Time) {
	g.mu.Lock()
	var oldest *session
	for _, s := range g.sessions {
		if !s.inbound && s.source != LAN && s.source != Manual && now.Sub(s.since) > rotateAfter &&
			(oldest == nil || s.since.Before(oldest.since)) && s.feeds.quiet() {
			oldest = s
		}
	}
	g.mu.Unlock()
	if oldest != nil {
		oldest.cancel(errTurn)
	}
}

// quiet reports whether nothing new came for long and nothing is under way.
func (x *exchange) quiet() bool {
	status, ok := x.rep.status(x)
	return !ok || status.Quiet > quietTicks && status.Receiving == 0 && status.Sending == 0
}

// occupied says to whom there is a connection or one in the making, and how
// many more there may be.
func (g *Gossip) occupied() (busy map[refs.Feed]bool, lan, outbound int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	busy = map[refs.Feed]bool{g.self: true}
	lan, outbound = g.cfg.Limits.LAN, g.cfg.Limits.Outbound
	for feed, s := range g.sessions {
		busy[feed] = true
		switch {
		case s.inbound:
		case s.source == LAN:
			lan--
		default:
			outbound--
		}
	}
	for feed := range g.dialling {
		busy[feed] = true
		outbound--
	}
	for feed := range g.banned {
		busy[feed] = busy[feed] || g.isBannedLocked(feed)
	}
	return busy, lan, outbound
}

// rank orders addresses: the LAN, then what the user named or what answered
// before, then pubs whose feed is wanted, then others. Negative is never:
// whoever is in a room is no reason to meet them. The caller holds book.mu.
func (g *Gossip) rank(e *entry) int {
	wanted := g.cfg.Policy.Wants(e.Feed)
	switch {
	case e.Feed == g.self, g.cfg.Policy.Blocked(e.Feed), !g.dialable(e.addr):
		return -1
	case e.Source == Room && !wanted, !g.book.allowed(e.Source, wanted):
		return -1
	case e.Source == LAN && wanted:
		return 0
	case e.Source == LAN:
		return 1
	case e.Source != Pub, e.Successes > 0:
		return 2
	case wanted:
		return 3
	}
	return 4
}

// candidates returns all addresses in the order in which to dial them. The
// caller holds b.mu.
func (b *book) candidates(rank func(*entry) int) []*entry {
	type ranked struct {
		*entry
		rank int
	}
	all := make([]ranked, 0, len(b.entries)+len(b.staged))
	take := func(e *entry) {
		if r := rank(e); r >= 0 {
			all = append(all, ranked{e, r})
		}
	}
	for _, e := range b.entries {
		take(e)
	}
	for _, e := range b.staged {
		take(e)
	}
	slices.SortFunc(all, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.Failures, b.Failures),
			a.next.Compare(b.next), cmp.Compare(a.Address, b.Address))
	})
	list := make([]*entry, len(all))
	for i := range all {
		list[i] = all[i].entry
	}
	return list
}

// expire forgets addresses that were not heard on the LAN for long.
func (b *book) expire(now time.Time) {
	for address, e := range b.staged {
		if !e.seen.IsZero() && now.Sub(e.seen) > stagedFor {
			delete(b.staged, address)
		}
	}
}

// backoff is how long an address is left alone after so many failures: doubled
// with each, and off by up to a half, so that peers that lost the same network
// do not all come back at the same moment. The caller holds book.mu.
func (g *Gossip) backoff(e *entry, failures int) time.Duration {
	base, most := g.cfg.Limits.Backoff, g.cfg.Limits.MaxBackoff
	if e.Source == LAN {
		base, most = base/lanFactor, most/lanMax
	}
	wait := base << min(max(failures-1, 0), 20)
	if wait > most || wait <= 0 {
		wait = most
	}
	return wait/2 + time.Duration(g.random.Int64N(int64(wait)+1))
}

// ended notes that a session which we had dialled is over: one that did not
// last counts as a failure.
func (g *Gossip) ended(address string, lasted time.Duration, now time.Time) {
	b := g.book
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.find(address)
	if e == nil {
		return
	}
	if lasted >= stable {
		e.Failures = 0
	} else {
		e.Failures++
	}
	e.Changed = now.UnixMilli()
	e.next = now.Add(g.backoff(e, e.Failures))
	b.touch(e)
}

// NetworkChanged says that this machine has other addresses than before: every
// address may be dialled again at once.
func (g *Gossip) NetworkChanged() {
	b := g.book
	b.mu.Lock()
	for _, e := range b.entries {
		e.next = time.Time{}
	}
	for _, e := range b.staged {
		e.next = time.Time{}
	}
	b.mu.Unlock()
	g.wake()
}

// addresses is a fingerprint of this machine's addresses. It is zero when they
// cannot be known.
func addresses() [32]byte {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return [32]byte{}
	}
	names := make([]string, 0, len(list))
	for _, a := range list {
		names = append(names, a.String())
	}
	slices.Sort(names)
	h := sha256.New()
	for _, n := range names {
		h.Write([]byte(n + "\n"))
	}
	return [32]byte(h.Sum(nil))
}
