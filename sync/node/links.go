package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
)

// maxRel is the longest name of a relation that is indexed, in bytes as it is
// spelt in JSON; and maxLink the longest link. Longer ones, which nobody
// writes, would let a message of 8 KiB take a hundred times that.
const (
	maxRel  = 128
	maxLink = 512
)

// newLinksIndex lists the links of messages by what they lead to. Its keys are
// destination, relation and author, each as it is spelt and with a zero byte
// behind it. The links of one author are found in the author's messages.
func newLinksIndex() *index {
	return &index{name: "node.backlinks", title: "links", rows: func(rec *store.Record, add func([]byte)) {
		author := rec.Feed.String()
		eachLink(rec, func(rel, dest []byte) { add(linkKey(dest, rel, []byte(author))) })
	}}
}

func linkKey(parts ...[]byte) []byte {
	key := make([]byte, 0, 160)
	for _, part := range parts {
		key = append(append(key, part...), 0)
	}
	return key
}

// eachLink calls yield with each link of a message's content, as npm ssb-msgs
// finds them: among the members of the content, in arrays there, and as the
// member "link" of objects.
func eachLink(rec *store.Record, yield func(rel, dest []byte)) {
	view, err := message.Fields(rec.Value)
	if err != nil || len(view.Content) == 0 || view.Content[0] != '{' {
		return
	}
	// Stored content is canonical: no error.
	_ = ecmajson.EachMember(view.Content, func(key, value []byte) bool {
		if rel := key[1 : len(key)-1]; len(rel) <= maxRel {
			eachElement(value, func(element []byte) {
				if dest, ok := linkOf(element); ok {
					yield(rel, dest)
				}
			})
		}
		return true
	})
}

// eachElement calls yield with the elements of an array, or of an object that
// is numbered like one, or with the value itself.
func eachElement(value []byte, yield func([]byte)) {
	switch {
	case value[0] == '[':
		var elements []json.RawMessage
		if json.Unmarshal(value, &elements) == nil {
			for _, element := range elements {
				yield(element)
			}
		}
	case value[0] == '{' && !falsy(ecmajson.Get(value, "0")):
		for i := 0; ; i++ {
			element := ecmajson.Get(value, strconv.Itoa(i))
			if falsy(element) {
				return
			}
			yield(element)
		}
	default:
		yield(value)
	}
}

// linkOf returns the link that a value is or has, without quotes.
func linkOf(value []byte) ([]byte, bool) {
	if len(value) > 0 && value[0] == '{' {
		value = ecmajson.Get(value, "link")
	}
	if len(value) < 2 || len(value) > maxLink || value[0] != '"' {
		return nil, false
	}
	text := value[1 : len(value)-1]
	id, _, _ := bytes.Cut(text, []byte("?"))
	if _, err := refs.ParseID(string(id)); err != nil {
		return nil, false
	}
	return text, true
}

// linksQuery is the argument of links.
type linksQuery struct {
	query
	source, dest string // an id, a sigil, or empty
	rel          string // as spelt in JSON
	meta, values bool
}

// linksOptions are those of its members that read streams do not have.
type linksOptions struct {
	Source string `json:"source"`
	Dest   string `json:"dest"`
	Rel    string `json:"rel"`
	Meta   setting
	Values setting
}

// links sends links: links({source, dest, rel, keys, values, meta, reverse,
// limit, live, old}), where source and dest are ids, or @, % or & for all of a
// kind.
func (n *Node) links(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	q, err := parseLinks(argument(c, 0))
	if err != nil {
		return err
	}
	sp := span{index: n.byTarget, low: q.prefix()}
	if len(sp.low) > 0 {
		sp.high = nextKey(sp.low)
	}
	sp.item = func(key []byte, rec *store.Record) []byte {
		parts := bytes.SplitN(key[:len(key)-rxLen], []byte{0}, 4)
		return q.format(parts[2], parts[1], parts[0], rec)
	}
	if len(q.source) > 1 && len(q.dest) <= 1 {
		sp.old = func(ctx context.Context, s *sender, last uint64) error { return n.linksFrom(ctx, s, &q, last) }
	}
	return n.streamIndex(ctx, st, &q.query, &sp)
}

// linksFrom sends the links of one author by relation and destination, up to a
// receive number.
func (n *Node) linksFrom(ctx context.Context, s *sender, q *linksQuery, last uint64) error {
	feed, err := refs.ParseFeed(q.source)
	if err != nil {
		return nil // only feeds write messages
	}
	var keys [][]byte
	for next := int64(1); ctx.Err() == nil; {
		page, err := n.store.FeedPage(feed, next, 0, 0, false)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		for i := range page {
			rec := &page[i]
			next = rec.Seq + 1
			eachLink(rec, func(rel, dest []byte) {
				if rec.Rx <= last && q.matches([]byte(q.source), rel, dest) {
					keys = append(keys, rxKey(linkKey(rel, dest), rec.Rx))
				}
			})
		}
	}
	slices.SortFunc(keys, bytes.Compare)
	keys = slices.CompactFunc(keys, bytes.Equal)
	if q.Reverse {
		slices.Reverse(keys)
	}
	for _, key := range keys {
		if s.done() {
			return nil
		}
		rec, err := n.store.Rx(keyRx(key))
		if err != nil {
			return err
		}
		parts := bytes.SplitN(key[:len(key)-rxLen], []byte{0}, 3)
		if err := s.raw(ctx, q.format([]byte(q.source), parts[0], parts[1], &rec)); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// parseLinks checks and reads the argument of links.
func parseLinks(raw json.RawMessage) (q linksQuery, err error) {
	if falsy(raw) {
		return q, missing(0)
	}
	if err := checkLinks(raw); err != nil {
		return q, err
	}
	if q.query, err = parseQuery(raw); err != nil {
		return q, err
	}
	var o linksOptions
	if err := json.Unmarshal(raw, &o); err != nil {
		return q, usage("links: options: %v", err)
	}
	q.source, q.dest = sigilOf(o.Source), sigilOf(o.Dest)
	q.meta, q.values = o.Meta != settingFalse, o.Values == settingTrue
	if !q.values && !q.meta && !q.Keys {
		return q, errors.New("makes no sense to return stream without results" +
			"set at least one of {keys, values, meta} to true") // the words of ssb-db
	}
	rel, err := json.Marshal(o.Rel)
	if err == nil {
		rel, err = ecmajson.Compact(rel)
	}
	if err == nil {
		q.rel = string(rel[1 : len(rel)-1])
	}
	return q, err
}

// sigilOf returns the sigil for the name of a kind of ids.
func sigilOf(s string) string {
	switch s {
	case "feed":
		return "@"
	case "msg":
		return "%"
	case "blob":
		return "&"
	}
	return s
}

// prefix returns what the keys begin with that can match.
func (q *linksQuery) prefix() []byte {
	switch {
	case len(q.dest) <= 1:
		return []byte(q.dest)
	case q.rel == "":
		return linkKey([]byte(q.dest))
	}
	return linkKey([]byte(q.dest), []byte(q.rel))
}

func (q *linksQuery) matches(source, rel, dest []byte) bool {
	return (q.rel == "" || q.rel == string(rel)) && testLink(source, q.source) && testLink(dest, q.dest)
}

// testLink reports whether a link is the one that is wanted, or of its kind.
func testLink(link []byte, want string) bool {
	if len(want) == 1 {
		return link[0] == want[0]
	}
	return want == "" || string(link) == want
}

// format returns a link in the shape the query asks for, or nil if it is none
// of those that are wanted.
func (q *linksQuery) format(source, rel, dest []byte, rec *store.Record) []byte {
	if !q.matches(source, rel, dest) {
		return nil
	}
	if !q.meta && !(q.Keys && q.values) {
		if q.Keys {
			return strconv.AppendQuote(nil, rec.ID.String())
		}
		return rec.Value
	}
	item := []byte{'{'}
	if q.meta {
		item = appendMember(item, "source", source)
		item = appendMember(item, "rel", rel)
		item = appendMember(item, "dest", dest)
	}
	if q.Keys {
		item = appendMember(item, "key", []byte(rec.ID.String()))
	}
	if q.values {
		item = append(append(item, `"value":`...), rec.Value...)
		item = append(item, ',')
	}
	item[len(item)-1] = '}'
	return item
}

// appendMember appends a member whose value is a string as it is spelt in JSON,
// and a comma.
func appendMember(dst []byte, name string, value []byte) []byte {
	dst = append(append(append(dst, '"'), name...), `":"`...)
	return append(append(dst, value...), `",`...)
}
