package gossip

import "time"

// Plan returns the addresses that the schedule would dial at a time, and how
// long it would sleep.
func (g *Gossip) Plan(now time.Time) (picks []string, wait time.Duration) {
	list, wait, _ := g.plan(now)
	for _, e := range list {
		picks = append(picks, e.Address)
	}
	return picks, wait
}

// Failed counts a dial that failed.
func (g *Gossip) Failed(address string, now time.Time) { g.book.attempted(address, false, now) }

// Stood counts a session that we had dialled and that lasted so long.
func (g *Gossip) Stood(address string, lasted time.Duration, now time.Time) {
	g.book.attempted(address, true, now)
	g.ended(address, lasted, now)
}

// ParsePub reads the address of a pub message.
var ParsePub = parsePub

// IsPublic reports whether a host may be reached from anywhere.
var IsPublic = isPublic
