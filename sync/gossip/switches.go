package gossip

// Group is a group of addresses that the schedule can be told to leave alone,
// in the words of ssb-gossip. An address is dialled if one of its groups is
// not switched off. Other groups may be named and mean nothing.
type Group string

// The groups of addresses.
const (
	LocalGroup   Group = "local"   // heard on the LAN
	GlobalGroup  Group = "global"  // all but those
	FriendsGroup Group = "friends" // of feeds that are wanted, not on the LAN
	SeedGroup    Group = "seed"    // from the configuration
)

// Switch lets the schedule dial the addresses of a group, or not. Sessions that
// run go on.
func (g *Gossip) Switch(group Group, on bool) {
	g.book.mu.Lock()
	if on {
		delete(g.book.off, group)
	} else {
		g.book.off[group] = true
	}
	g.book.mu.Unlock()
	g.wake()
}

// Pause lets the schedule dial nobody, or dial again. Connect does not care.
func (g *Gossip) Pause(paused bool) {
	g.book.mu.Lock()
	g.book.paused = paused
	g.book.mu.Unlock()
	g.wake()
}

// allowed reports whether one of the groups of an address is not switched off.
// The caller holds b.mu.
func (b *book) allowed(source Source, wanted bool) bool {
	switch {
	case source == LAN:
		return !b.off[LocalGroup]
	case !b.off[GlobalGroup], wanted && !b.off[FriendsGroup]:
		return true
	}
	return source == Seed && !b.off[SeedGroup]
}
