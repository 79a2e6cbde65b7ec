package node

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
)

const (
	// maxExcluded is how many can be excluded at once.
	maxExcluded = 64

	// maxGroupFeeds and maxMemberFeeds bound how many feeds are replicated because
	// they are in a group with us: of one group, and in all. Any member adds
	// whom he likes.
	maxGroupFeeds  = 256
	maxMemberFeeds = 2048
)

// groupExcludeMembers says that feeds are no longer in a group:
// tribes2.excludeMembers(id, feeds). It is the message of npm ssb-tribes, which
// is a request: their programs stop writing to the group, and the others stop
// replicating them for its sake. They keep the key. (ssb-tribes2 makes a new key
// for a new epoch of the group, in metafeeds, which we have not.) The answer is
// a list of messages, of one.
func (n *Node) groupExcludeMembers(ctx context.Context, c *muxrpc.Call) (any, error) {
	group, err := n.groupArgument(ctx, c)
	if err != nil {
		return nil, err
	}
	var feeds []refs.Feed
	if json.Unmarshal(argument(c, 1), &feeds) != nil || len(feeds) == 0 {
		return nil, usage("tribes2.excludeMembers: no feeds are given")
	}
	if len(feeds) > maxExcluded {
		return nil, usage("tribes2.excludeMembers: %d feeds are given, at most %d can be excluded at once", len(feeds), maxExcluded)
	}
	added, _, err := n.members(group)
	if err != nil {
		return nil, err
	}
	for _, feed := range feeds {
		if feed == n.keys.Feed() {
			return nil, usage("tribes2.excludeMembers: who is in a group cannot exclude himself")
		}
		if !slices.Contains(added, feed) {
			return nil, fmt.Errorf("%s is not in group %s", feed, group.id)
		}
	}
	content, err := json.Marshal(struct {
		Type     string      `json:"type"`
		Excludes []refs.Feed `json:"excludes"`
	}{typeExcludeMember, feeds})
	if err != nil {
		return nil, err
	}
	made, err := n.groupContentFor(ctx, content, []string{group.id.String()}, tangleMembers)
	if err != nil {
		return nil, err
	}
	msg, err := n.appendOwn(ctx, made)
	return []json.RawMessage{msg}, err
}

// excluded reports whether a feed was excluded from a group.
func (n *Node) excluded(group groupRow, feed refs.Feed) (bool, error) {
	handle := group.handle()
	bits, err := n.store.Table(tableMembers).Get(append(handle[:], feed[:]...))
	if err != nil {
		return false, ignoreNotFound(err)
	}
	return len(bits) == 1 && bits[0]&memberExcluded != 0, nil
}

// mayWrite returns an error when we were excluded from a group.
func (n *Node) mayWrite(group groupRow) error {
	out, err := n.excluded(group, n.keys.Feed())
	if err == nil && out {
		err = fmt.Errorf("you were excluded from group %s: nothing more can be written to it", group.id)
	}
	return err
}

// mayAdd returns an error when one of those who are to be added was excluded.
func (n *Node) mayAdd(group groupRow, feeds []string) error {
	for _, text := range feeds {
		feed, err := refs.ParseFeed(text)
		if err != nil {
			continue
		}
		if out, err := n.excluded(group, feed); err != nil {
			return err
		} else if out {
			return fmt.Errorf("%s was excluded from group %s, for good: make another group", feed, group.id)
		}
	}
	return nil
}

// inGroups returns the feeds that are in a group with us, as far as it is known
// who is. A group counts when its beginning is here, we were not excluded, and
// wants reports true of who made it: anybody can add us to a group of strangers.
func (n *Node) inGroups(wants func(refs.Feed) bool) (map[refs.Feed]bool, error) {
	groups, err := n.private.known()
	if err != nil {
		return nil, err
	}
	feeds := make(map[refs.Feed]bool)
	for _, group := range groups {
		author, err := n.groupAuthor(group)
		if err != nil {
			return nil, err
		}
		if author.IsZero() || !wants(author) {
			continue
		}
		if out, err := n.excluded(group, n.keys.Feed()); err != nil {
			return nil, err
		} else if out {
			continue
		}
		added, _, err := n.members(group)
		if err != nil {
			return nil, err
		}
		for _, feed := range added[:min(len(added), maxGroupFeeds)] {
			if len(feeds) < maxMemberFeeds {
				feeds[feed] = true
			}
		}
	}
	return feeds, nil
}

// known lists the groups whose keys were found so far.
func (p *privates) known() ([]groupRow, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.load(); err != nil {
		return nil, err
	}
	return slices.Clone(p.groups), nil
}

// groupAuthor returns who made a group; zero when its beginning is not here, or
// is not that of this group.
func (n *Node) groupAuthor(group groupRow) (author refs.Feed, err error) {
	if known, ok := n.private.makers.Load(group.handle()); ok {
		return known.(refs.Feed), nil
	}
	ok, err := n.isGroup(group)
	if err != nil || !ok {
		return author, err
	}
	var rec store.Record
	if rec, err = n.store.ByID(group.root); err == nil {
		n.private.makers.Store(group.handle(), rec.Feed)
	}
	return rec.Feed, err
}

// followMembers keeps the policy and the sessions up to date with who is in our
// groups, until ctx ends.
func (n *Node) followMembers(ctx context.Context) error {
	for seen := uint64(0); ; {
		if err := n.private.members.wait(ctx, seen); err != nil {
			return nil
		}
		seen = n.private.members.last()
		if err := n.policyChanged(ctx); err != nil {
			return err
		}
	}
}
