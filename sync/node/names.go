package node

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/graph"
	"github.com/ssbsync/ssbsync/sync/views"
)

// namings is what feeds call feeds: {from: {to: name}}.
type namings map[refs.Feed]map[refs.Feed]string

// readNamings reads what feeds call feeds, or which images they give them; of
// one feed with to set.
func (n *Node) readNamings(ctx context.Context, images bool, to *refs.Feed) (namings, error) {
	if _, err := n.catchUpViews(ctx); err != nil {
		return nil, err
	}
	all := namings{}
	each := n.views.EachName
	if images {
		each = n.views.EachImage
	}
	err := each(nil, func(one views.Naming) {
		if to != nil && one.To != *to {
			return
		}
		var text string
		if json.Unmarshal([]byte(`"`+string(one.Text)+`"`), &text) != nil {
			return
		}
		if all[one.From] == nil {
			all[one.From] = map[refs.Feed]string{}
		}
		all[one.From][one.To] = text
	})
	return all, err
}

// namesGet answers {from: {to: name}} of all names, as npm ssb-names does.
func (n *Node) namesGet(ctx context.Context, _ *muxrpc.Call) (any, error) {
	return n.readNamings(ctx, false, nil)
}

// namesGetImages answers {from: {to: blob}} of all images.
func (n *Node) namesGetImages(ctx context.Context, _ *muxrpc.Call) (any, error) {
	return n.readNamings(ctx, true, nil)
}

// namesGetImageFor answers the image of a feed, or its id: names.getImageFor(id).
func (n *Node) namesGetImageFor(ctx context.Context, c *muxrpc.Call) (any, error) {
	return n.naming(ctx, c, true)
}

// namesGetSignifier answers the name of a feed: the one that we gave it, else
// that which most of those give it whom we follow, or whom they follow, else
// its own, else its id: names.getSignifier(id).
func (n *Node) namesGetSignifier(ctx context.Context, c *muxrpc.Call) (any, error) {
	return n.naming(ctx, c, false)
}

func (n *Node) naming(ctx context.Context, c *muxrpc.Call, images bool) (any, error) {
	var text string
	if json.Unmarshal(argument(c, 0), &text) != nil {
		return nil, usage("%s takes an id", c.Name())
	}
	id, err := refs.ParseFeed(text)
	if err != nil {
		return text, nil // nobody names what is no feed
	}
	all, err := n.readNamings(ctx, images, &id)
	if err == nil {
		err = n.graph.Update(ctx)
	}
	if err != nil {
		return nil, err
	}
	return n.nameFor(all, id), nil
}

// nameFor chooses among the names of a feed.
func (n *Node) nameFor(all namings, id refs.Feed) string {
	self := n.keys.Feed()
	if name := all[self][id]; name != "" {
		return name
	}
	counts := map[string]int{}
	best := ""
	count := func(edges []graph.Edge) {
		for _, e := range edges {
			if name := all[e.To][id]; name != "" && e.Relation == graph.Following {
				if counts[name]++; counts[name] > counts[best] {
					best = name
				}
			}
		}
	}
	friends := n.graph.EdgesFrom(self)
	if count(friends); best != "" {
		return best
	}
	for _, e := range friends {
		count(n.graph.EdgesFrom(e.To))
	}
	return cmp.Or(best, all[id][id], id.String())
}

// signified is a feed that a name stands for.
type signified struct {
	Name  string    `json:"name"`
	ID    refs.Feed `json:"id"`
	Rank  []int     `json:"rank"`  // whether we call it so, how many whom we know, whom they know
	Named string    `json:"named"` // what getSignifier answers

}

// namesGetSignifies answers the feeds whom we, or those whom we know, call by a
// name that begins with a text, the best known first:
// names.getSignifies(text).
func (n *Node) namesGetSignifies(ctx context.Context, c *muxrpc.Call) (any, error) {
	var prefix string
	if json.Unmarshal(argument(c, 0), &prefix) != nil {
		return nil, usage("names.getSignifies takes the beginning of a name")
	}
	all, err := n.readNamings(ctx, false, nil)
	if err == nil {
		err = n.graph.Update(ctx)
	}
	if err != nil {
		return nil, err
	}
	self := n.keys.Feed()
	found := map[string]*signified{}
	seen := map[refs.Feed]bool{}
	from := func(feed refs.Feed, level int) {
		if seen[feed] {
			return
		}
		seen[feed] = true
		for to, name := range all[feed] {
			if !strings.HasPrefix(name, prefix) {
				continue
			}
			key := to.String() + name
			s := found[key]
			if s == nil {
				s = &signified{Name: name, ID: to}
				found[key] = s
			}
			for len(s.Rank) <= level {
				s.Rank = append(s.Rank, 0)
			}
			s.Rank[level]++
		}
	}
	from(self, 0)
	friends := n.graph.EdgesFrom(self)
	for _, e := range friends {
		from(e.To, 1)
	}
	for _, e := range friends {
		for _, e := range n.graph.EdgesFrom(e.To) {
			from(e.To, 2)
		}
	}
	list := make([]*signified, 0, len(found))
	for _, s := range found {
		s.Named = n.nameFor(all, s.ID)
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b *signified) int {
		for i := range 3 {
			if c := cmp.Compare(at(b.Rank, i), at(a.Rank, i)); c != 0 {
				return c
			}
		}
		return cmp.Or(cmp.Compare(a.Name, b.Name), a.ID.Compare(b.ID))
	})
	return list, nil
}

// at returns an element, 0 where there is none.
func at(list []int, i int) int {
	if i < len(list) {
		return list[i]
	}
	return 0
}
