package node

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/views"
)

// The methods of npm ssb-about: what feeds say of something, a feed, a message
// or whatever, in messages of the type about.

// aboutArguments is the argument of the methods about.*.
type aboutArguments struct {
	Key    string   `json:"key"`
	Keys   []string `json:"keys"`
	Dest   string   `json:"dest"`
	Author string   `json:"authorId"`
}

func parseAbout(c *muxrpc.Call) (a aboutArguments, err error) {
	raw := argument(c, 0)
	if falsy(raw) || json.Unmarshal(raw, &a) != nil || a.Dest == "" {
		return a, usage("%s takes {key, dest}", c.Name())
	}
	return a, nil
}

// statement is what a feed says of something.
type statement struct {
	author refs.Feed
	value  []byte // nil when it says nothing of the key
}

// removed reports whether the statement takes back an earlier one.
func (s *statement) removed() bool {
	return len(s.value) > 0 && s.value[0] == '{' && !falsy(ecmajson.Get(s.value, "remove"))
}

// statementOf returns what a message says of a key of dest, or false.
func statementOf(rec *store.Record, dest, key string) (statement, bool) {
	content := contentOf(rec)
	var about string
	if string(ecmajson.Get(content, "type")) != `"about"` || json.Unmarshal(ecmajson.Get(content, "about"), &about) != nil || about != dest {
		return statement{}, false
	}
	return statement{rec.Feed, ecmajson.Get(content, key)}, true
}

// eachAbout calls yield with the about messages of dest, by resolved time.
func (n *Node) eachAbout(ctx context.Context, dest string, yield func(rec *store.Record)) (last uint64, err error) {
	if last, err = n.catchUpViews(ctx); err != nil {
		return last, err
	}
	hits, err := n.views.Sorted(views.Link([]byte(dest), []byte("about")), math.Inf(-1), math.Inf(1), last)
	for _, h := range hits {
		rec, err := n.record(h.Rx)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return last, err
		}
		if rec != nil {
			yield(rec)
		}
	}
	return last, err
}

// opinions is what feeds say of a key of something.
type opinions struct {
	values map[refs.Feed][]byte
	order  []refs.Feed // who spoke, the first first
	recent []refs.Feed // who spoke, the latest last
}

// add takes in a statement. With forget it may take back an earlier one.
func (o *opinions) add(s statement, forget bool) {
	if falsy(s.value) {
		return
	}
	same := func(f refs.Feed) bool { return f == s.author }
	o.recent = slices.DeleteFunc(o.recent, same)
	if forget && s.removed() {
		delete(o.values, s.author)
		o.order = slices.DeleteFunc(o.order, same)
		return
	}
	if o.values == nil {
		o.values = map[refs.Feed][]byte{}
	}
	if o.values[s.author] == nil {
		o.order = append(o.order, s.author)
	}
	o.values[s.author] = s.value
	o.recent = append(o.recent, s.author)
}

// social chooses a value: our own, that of the author, or the most frequent.
func (o *opinions) social(self refs.Feed, author *refs.Feed) json.RawMessage {
	if value := o.values[self]; value != nil {
		return value
	}
	if author != nil && o.values[*author] != nil {
		return o.values[*author]
	}
	counts := map[string]int{}
	best := ""
	for _, feed := range o.order {
		value := o.values[feed]
		if value[0] == '{' {
			link := ecmajson.Get(value, "link")
			if len(link) < 2 || link[0] != '"' || !isLink(string(link[1:len(link)-1])) || !falsy(ecmajson.Get(value, "remove")) {
				continue
			}
			value = link
		}
		if value[0] != '"' {
			continue
		}
		if counts[string(value)]++; counts[string(value)] > counts[best] {
			best = string(value)
		}
	}
	if best == "" {
		return jsonNull
	}
	return json.RawMessage(best)
}

// latest is the value of who spoke last, or null.
func (o *opinions) latest() json.RawMessage {
	if len(o.recent) == 0 {
		return jsonNull
	}
	return o.values[o.recent[len(o.recent)-1]]
}

// all returns {author: value}.
func (o *opinions) all() map[refs.Feed]json.RawMessage {
	values := map[refs.Feed]json.RawMessage{}
	for feed, value := range o.values {
		values[feed] = value
	}
	return values
}

// opinionsOf reads what feeds say of a key of dest.
func (n *Node) opinionsOf(ctx context.Context, a aboutArguments, forget bool) (o opinions, last uint64, err error) {
	last, err = n.eachAbout(ctx, a.Dest, func(rec *store.Record) {
		if s, ok := statementOf(rec, a.Dest, a.Key); ok {
			o.add(s, forget)
		}
	})
	return o, last, err
}

// authorOf returns the feed itself, or the author of a message, or nil.
func (n *Node) authorOf(dest string) (*refs.Feed, error) {
	if feed, err := refs.ParseFeed(dest); err == nil {
		return &feed, nil
	}
	id, err := refs.ParseMessage(dest)
	if err != nil {
		return nil, nil
	}
	rec, err := n.store.ByID(id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return &rec.Feed, err
}

// aboutSocialValue answers our own value of a key of something, or its author's,
// or the most frequent one: about.socialValue({key, dest}).
func (n *Node) aboutSocialValue(ctx context.Context, c *muxrpc.Call) (any, error) {
	a, err := parseAbout(c)
	if err != nil {
		return nil, err
	}
	author, err := n.authorOf(a.Dest)
	if err != nil {
		return nil, err
	}
	o, _, err := n.opinionsOf(ctx, a, false)
	return o.social(n.keys.Feed(), author), err
}

// aboutSocialValues answers everybody's value: about.socialValues({key, dest}).
func (n *Node) aboutSocialValues(ctx context.Context, c *muxrpc.Call) (any, error) {
	a, err := parseAbout(c)
	if err != nil {
		return nil, err
	}
	o, _, err := n.opinionsOf(ctx, a, false)
	return o.all(), err
}

// aboutLatestValue answers the newest value: about.latestValue({key, dest}).
func (n *Node) aboutLatestValue(ctx context.Context, c *muxrpc.Call) (any, error) {
	a, err := parseAbout(c)
	if err != nil {
		return nil, err
	}
	values, err := n.latestValues(ctx, a.Dest, []string{a.Key})
	if value := values[a.Key]; value != nil || err != nil {
		return value, err
	}
	return jsonNull, nil
}

// aboutLatestValues answers the newest values of keys:
// about.latestValues({keys, dest}).
func (n *Node) aboutLatestValues(ctx context.Context, c *muxrpc.Call) (any, error) {
	a, err := parseAbout(c)
	if err != nil {
		return nil, err
	}
	return n.latestValues(ctx, a.Dest, a.Keys)
}

func (n *Node) latestValues(ctx context.Context, dest string, keys []string) (map[string]json.RawMessage, error) {
	values := map[string]json.RawMessage{}
	_, err := n.eachAbout(ctx, dest, func(rec *store.Record) {
		for _, key := range keys {
			if s, ok := statementOf(rec, dest, key); ok && s.value != nil && !s.removed() {
				values[key] = s.value
			}
		}
	})
	return values, err
}

// aboutRead sends the about messages of something by resolved time:
// about.read({dest, reverse, limit, live, old}).
func (n *Node) aboutRead(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	a, err := parseAbout(c)
	if err != nil {
		return err
	}
	o, err := aboutQuery(a.Dest, argument(c, 0))
	if err != nil {
		return err
	}
	return n.readBacklinks(ctx, st, &o)
}

// aboutSocialValueStream sends the social value, and again when it may have
// changed.
func (n *Node) aboutSocialValueStream(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	a, err := parseAbout(c)
	if err != nil {
		return err
	}
	author, err := n.authorOf(a.Dest)
	if err != nil {
		return err
	}
	return n.followAbout(ctx, a, st, func(o *opinions, _ *statement) any { return o.social(n.keys.Feed(), author) })
}

// aboutLatestValueStream sends the newest value, and each new one; with
// authorId those of one feed.
func (n *Node) aboutLatestValueStream(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	a, err := parseAbout(c)
	if err != nil {
		return err
	}
	author, err := refs.ParseFeed(a.Author)
	of := err == nil
	return n.followAbout(ctx, a, st, func(o *opinions, _ *statement) any {
		switch {
		case !of:
			return o.latest()
		case o.values[author] == nil:
			return jsonNull
		}
		return json.RawMessage(o.values[author])
	})
}

// aboutSocialValuesStream sends {author: value} of everybody, and then of who
// says something new.
func (n *Node) aboutSocialValuesStream(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	a, err := parseAbout(c)
	if err != nil {
		return err
	}
	return n.followAbout(ctx, a, st, func(o *opinions, s *statement) any {
		if s == nil {
			return o.all()
		}
		return map[refs.Feed]json.RawMessage{s.author: s.value}
	})
}

// followAbout sends what value makes of the opinions there are, and again after
// each new statement.
func (n *Node) followAbout(ctx context.Context, a aboutArguments, st *muxrpc.Stream, value func(*opinions, *statement) any) error {
	o, after, err := n.opinionsOf(ctx, a, true)
	if err == nil {
		err = st.Send(ctx, value(&o, nil))
	}
	for err == nil {
		if err = n.store.Wait(ctx, after); err != nil {
			break
		}
		var page []store.Record
		if page, err = n.store.LogPage(after, 0, 0, false); err != nil {
			break
		}
		for i := range page {
			after = page[i].Rx
			rec := n.private.reveal(page[i])
			s, ok := statementOf(&rec, a.Dest, a.Key)
			if !ok || falsy(s.value) || err != nil {
				continue
			}
			o.add(s, true)
			err = st.Send(ctx, value(&o, &s))
		}
	}
	return ended(err)
}
