package node

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// policy says whose messages this node wants: the own feed, those that the
// config lists, those within friends.hops, and on sticks those that an import
// brought; never those that the identity blocks. It implements stick.Policy.
type policy struct {
	node   *Node
	all    bool
	listed map[refs.Feed]bool

	mu        sync.RWMutex // guards what follows
	hops      map[refs.Feed]int
	blocked   map[refs.Feed]bool // by a message, or refused
	carried   map[refs.Feed]bool
	kept      map[refs.Feed]bool // replicated because the user said so
	grouped   map[refs.Feed]bool // in a private group with us
	held      []refs.Feed        // with replicate: all, those that the store has messages of
	requested map[refs.Feed]bool // by an app; true wants, false does not
	refused   map[refs.Feed]bool // blocked by an app, without a message
}

func newPolicy(n *Node) *policy {
	p := &policy{
		node: n, all: n.config.Ssbsync.Replicate.All, listed: make(map[refs.Feed]bool),
		requested: make(map[refs.Feed]bool), refused: make(map[refs.Feed]bool),
	}
	for _, feed := range n.config.Ssbsync.Replicate.Feeds {
		p.listed[feed] = true
	}
	return p
}

// refresh brings the policy up to date with the store.
func (p *policy) refresh(ctx context.Context) error {
	if err := p.node.graph.Update(ctx); err != nil {
		return err
	}
	own := p.node.keys.Feed()
	hops := p.node.graph.Hops(own, p.node.config.Hops())
	blocked := make(map[refs.Feed]bool)
	for _, feed := range p.node.graph.Blocks(own) {
		blocked[feed] = true
	}
	carried, err := p.readFeeds(carriedTable)
	if err != nil {
		return err
	}
	kept, err := p.readFeeds(keptTable)
	if err != nil {
		return err
	}
	var held []refs.Feed
	if p.all {
		heads, err := p.node.store.Heads()
		if err != nil {
			return err
		}
		for _, head := range heads {
			held = append(held, head.Feed)
		}
	}
	p.set(hops, blocked, carried, kept, held)
	return p.refreshGroups()
}

// set takes over what was read.
func (p *policy) set(hops map[refs.Feed]int, blocked, carried, kept map[refs.Feed]bool, held []refs.Feed) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = held
	maps.Copy(blocked, p.refused)
	p.hops, p.blocked, p.carried, p.kept = hops, blocked, carried, kept
}

// refreshGroups brings it up to date with who is in a group with us, as npm
// ssb-tribes replicates them: of groups made by those who are wanted anyway.
func (p *policy) refreshGroups() error {
	own := p.node.keys.Feed()
	grouped, err := p.node.inGroups(func(feed refs.Feed) bool {
		p.mu.RLock()
		defer p.mu.RUnlock()
		_, near := p.hops[feed]
		return feed == own || !p.blocked[feed] && (near || p.all || p.listed[feed] || p.kept[feed] || p.carried[feed])
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		p.grouped = grouped
	}
	return err
}

// readFeeds reads a table whose keys are feeds.
func (p *policy) readFeeds(table string) (map[refs.Feed]bool, error) {
	feeds := make(map[refs.Feed]bool)
	var from []byte
	for {
		rows, err := p.node.store.Table(table).Scan(nil, from, 0)
		if err != nil || len(rows) == 0 {
			return feeds, err
		}
		for _, row := range rows {
			if len(row.Key) == len(refs.Feed{}) {
				feeds[refs.Feed(row.Key)] = true
			}
		}
		from = append(rows[len(rows)-1].Key, 0)
	}
}

// forget ends that a feed is carried and reports whether it was.
func (p *policy) forget(feed refs.Feed) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	table := p.node.store.Table(carriedTable)
	if _, err := table.Get(feed[:]); err != nil {
		return false, ignoreNotFound(err)
	}
	delete(p.carried, feed)
	return true, table.Delete(feed[:])
}

// Wants reports whether a visit takes the feed.
func (p *policy) Wants(feed refs.Feed) bool {
	if feed == p.node.keys.Feed() {
		return true
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.blocked[feed] {
		return false
	}
	return p.replicates(feed) || p.carried[feed]
}

// unwanted returns the feeds that would be wanted if an import had brought them,
// and are not.
func (p *policy) unwanted(feeds []refs.Feed) (all []refs.Feed) {
	for _, feed := range feeds {
		if !p.Wants(feed) && !p.isBlocked(feed) {
			all = append(all, feed)
		}
	}
	return all
}

func (p *policy) isBlocked(feed refs.Feed) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.blocked[feed]
}

// replicates reports whether the feed is wanted from everywhere. The caller
// holds p.mu.
func (p *policy) replicates(feed refs.Feed) bool {
	if want, asked := p.requested[feed]; asked && !p.kept[feed] && !p.listed[feed] {
		return want
	}
	_, near := p.hops[feed]
	return near || p.all || p.listed[feed] || p.kept[feed] || p.grouped[feed]
}

// WantsAll reports whether every feed is wanted.
func (p *policy) WantsAll() bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.all && len(p.blocked) == 0
}

// Wanted lists the feeds that are wanted by name, ascending.
func (p *policy) Wanted() []refs.Feed {
	p.mu.RLock()
	defer p.mu.RUnlock()
	wanted := p.named()
	maps.Copy(wanted, p.carried)
	for feed := range p.blocked {
		delete(wanted, feed)
	}
	return slices.SortedFunc(maps.Keys(wanted), refs.Feed.Compare)
}

// named returns the feeds that are wanted from everywhere by name. The caller
// holds p.mu.
func (p *policy) named() map[refs.Feed]bool {
	wanted := map[refs.Feed]bool{p.node.keys.Feed(): true}
	maps.Copy(wanted, p.grouped)
	for feed := range p.hops {
		wanted[feed] = true
	}
	for feed, want := range p.requested {
		if want {
			wanted[feed] = true
		} else {
			delete(wanted, feed)
		}
	}
	maps.Copy(wanted, p.listed)
	maps.Copy(wanted, p.kept)
	return wanted
}

// Hops is the distance of a feed in the follow graph, negative out of reach.
func (p *policy) Hops(feed refs.Feed) int {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if hops, ok := p.hops[feed]; ok {
		return hops
	}
	return -1
}

// Trusts reports whether what the node of that identity says counts unproved.
func (p *policy) Trusts(node refs.Feed) bool {
	if node == p.node.keys.Feed() {
		return true
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	_, near := p.hops[node]
	return !p.blocked[node] && (near || p.listed[node])
}

// reach is how many feeds lie within hops, the own one not counted.
func (p *policy) reach() int {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return max(0, len(p.hops)-1)
}

// carriedCount is how many feeds are carried.
func (p *policy) carriedCount() int {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return len(p.carried)
}
