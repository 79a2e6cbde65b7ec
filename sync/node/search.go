package node

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/views"
)

// searchWindow is how many of the newest messages that are found are ordered by
// rank. Those that are older follow, the newest first.
const searchWindow = 500

// searchQuery sends the messages whose text has all words of a query, or words
// that begin so: search.query({query, limit, rank}) or search.query(query). As
// with npm ssb-search those come first to which others that are found link, then
// the newest; words of fewer than three characters do not count. With rank false
// those come first that arrived last.
func (n *Node) searchQuery(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	o, err := parseSearch(argument(c, 0))
	if err != nil || len(o.words) == 0 {
		return err
	}
	if _, err := n.catchUpViews(ctx); err != nil {
		return err
	}
	s := newSender(st, &query{Limit: o.limit})
	for before := uint64(0); !s.done(); {
		list, err := n.views.Search(o.words, before, o.window())
		if err != nil || len(list) == 0 {
			return err
		}
		found, err := n.found(ctx, o.words, list)
		if err != nil {
			return err
		}
		if o.rank {
			rank(found)
		}
		for _, f := range found {
			if s.done() {
				break
			}
			if err := s.raw(ctx, f.format()); err != nil {
				return ended(err)
			}
		}
		before = list[len(list)-1]
	}
	return nil
}

// searchOptions are the arguments of search.query.
type searchOptions struct {
	words []string
	limit int64 // -1 is none
	rank  bool
}

// window is how many messages are looked up at once.
func (o *searchOptions) window() int {
	if o.rank {
		return searchWindow
	}
	return walkPage
}

// parseSearch reads the arguments of search.query. What is no text has no
// words.
func parseSearch(raw json.RawMessage) (searchOptions, error) {
	var text string
	var o struct {
		Query json.RawMessage `json:"query"`
		Limit *float64        `json:"limit"`
		Rank  setting         `json:"rank"`
	}
	limit := int64(-1)
	if json.Unmarshal(raw, &text) != nil {
		if !falsy(raw) && json.Unmarshal(raw, &o) != nil {
			return searchOptions{}, usage("search.query takes {query, limit}")
		}
		if o.Limit != nil && *o.Limit >= 1 {
			limit = whole(*o.Limit)
		}
		_ = json.Unmarshal(o.Query, &text) // else it is no text
	}
	return searchOptions{views.QueryWords(text), limit, o.Rank != settingFalse}, nil
}

// hit is a message that was found.
type hit struct {
	rec  *store.Record
	at   float64 // claimed
	rank int     // how many of those found link to it
}

// format returns the hit as ssb-search sends it.
func (h *hit) format() []byte {
	item := append([]byte(`{"key":"`), h.rec.ID.String()...)
	item = append(append(item, `","value":`...), h.rec.Value...)
	if h.rank > 0 {
		item = strconv.AppendInt(append(item, `,"rank":`...), int64(h.rank), 10)
	}
	return append(item, '}')
}

// hasWords looks into a message for words.
func hasWords(rec *store.Record, words []string) bool {
	var text string
	return json.Unmarshal(ecmajson.Get(contentOf(rec), "text"), &text) == nil && views.Matches(words, text)
}

// found reads the messages that have the words.
func (n *Node) found(ctx context.Context, words []string, list []uint64) ([]*hit, error) {
	var all []*hit
	for _, rx := range list {
		rec, err := n.record(rx)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		if rec == nil || !views.Exact(words) && !hasWords(rec, words) {
			continue
		}
		all = append(all, &hit{rec: rec, at: claimedTime(*rec)})
	}
	return all, nil
}

// rank orders messages by how many of the others link to them, then by the time
// their authors claim.
func rank(all []*hit) {
	byID := map[string]*hit{}
	for _, h := range all {
		byID[h.rec.ID.String()] = h
	}
	for _, h := range all {
		eachLink(h.rec, func(_, dest []byte) {
			if to := byID[string(dest)]; to != nil {
				to.rank++
			}
		})
	}
	slices.SortStableFunc(all, func(a, b *hit) int { return cmp.Or(cmp.Compare(b.rank, a.rank), cmp.Compare(b.at, a.at)) })
}

// tangleBranch answers the heads of a thread, in order: tangle.branch(root).
// They are those of the root and the messages that name it as their root to
// which no other of them links. As with npm ssb-tangle 1, previous is a link.
func (n *Node) tangleBranch(ctx context.Context, c *muxrpc.Call) (any, error) {
	var root refs.Message
	if err := json.Unmarshal(argument(c, 0), &root); err != nil || root.IsZero() {
		return nil, usage("getBranch requires a valid message")
	}
	if _, err := n.catchUpViews(ctx); err != nil {
		return nil, err
	}
	text := root.String()
	heads := map[string]bool{text: true}
	linked := map[string]bool{}
	err := n.eachOf(ctx, views.Root([]byte(text)), func(rec *store.Record) error {
		if string(ecmajson.Get(contentOf(rec), "root")) == `"`+text+`"` {
			heads[rec.ID.String()] = true
			views.EachString(rec.Value, func(s []byte) {
				if _, err := refs.ParseMessage(string(s)); err == nil {
					linked[string(s)] = true
				}
			})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	list := []string{}
	for id := range heads {
		if !linked[id] {
			list = append(list, id)
		}
	}
	slices.Sort(list)
	return list, nil
}

// eachOf calls yield with the messages that may have a term, in the order of
// their arrival.
func (n *Node) eachOf(ctx context.Context, term views.Term, yield func(*store.Record) error) error {
	for after := uint64(0); ; {
		page, err := n.views.Page(term, after, 0, store.MaxPage, false)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, h := range page {
			rec, err := n.record(h.Rx)
			if err == nil {
				err = ctx.Err()
			}
			if err == nil && rec != nil {
				err = yield(rec)
			}
			if err != nil {
				return err
			}
		}
		after = page[len(page)-1].Rx
	}
}
