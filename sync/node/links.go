package node

import (
	"bytes"
	"cmp"
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

// What the keys of the index keep of a destination and of an author, in
// characters: enough to tell the links apart that anyone writes, and to sort
// them. Whoever wants to can make up ids that begin alike, so that what is read
// is compared with the message. Whole ids would take three times the space.
const (
	destPart   = 12 // sigil and 66 bits
	authorPart = 4  // 24 bits
)

// newLinksIndex lists the links of messages by what they lead to. Its keys are
// the beginning of the destination, the relation as it is spelt and a zero
// byte, and the beginning of the author without sigil. The links of one author
// are found in the author's messages. Private messages for us have the links that
// they have in clear: plain returns them so.
func newLinksIndex(plain func(*store.Record) *store.Record) *index {
	return &index{name: "node.links.3", title: "links", was: []string{"node.links", "node.backlinks", "node.links.2"}, reveals: true,
		rows: func(rec *store.Record, add func([]byte)) {
			author := rec.Feed.String()
			eachLink(plain(rec), func(rel, dest []byte) { add(destKey(dest, rel, author)) })
		}}
}

func destKey(dest, rel []byte, author string) []byte {
	key := append(make([]byte, 0, 64), dest[:min(len(dest), destPart)]...)
	return append(append(append(key, rel...), 0), author[1:1+authorPart]...)
}

// linksAt returns the links of a message that a key of the index stands for,
// each once.
func linksAt(key []byte, rec *store.Record) (found []link) {
	author := rec.Feed.String()
	eachLink(rec, func(rel, dest []byte) {
		l := link{string(rel), string(dest)}
		if bytes.Equal(destKey(dest, rel, author), key) && !slices.Contains(found, l) {
			found = append(found, l)
		}
	})
	return found
}

// link is a link of a message, as it is spelt in JSON.
type link struct{ rel, dest string }

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
// kind. Those of private messages for us are among them, but as in ssb-db their
// values are always those that everybody sees.
func (n *Node) links(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	q, err := parseLinks(argument(c, 0))
	if err != nil {
		return err
	}
	sp := span{index: n.byTarget, low: q.prefix()}
	if len(sp.low) > 0 {
		sp.high = nextKey(sp.low)
	}
	sp.items = func(key []byte, rec *store.Record, yield func([]byte)) {
		source := rec.Feed.String()
		for _, l := range linksAt(key[:len(key)-rxLen], n.private.plain(rec)) {
			if q.matches(source, l.rel, l.dest) {
				yield(q.format(source, l, rec))
			}
		}
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
	var all []sourceLink
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
			eachLink(n.private.plain(rec), func(rel, dest []byte) {
				if l := (link{string(rel), string(dest)}); rec.Rx <= last && q.matches(q.source, l.rel, l.dest) {
					all = append(all, sourceLink{l, rec.Rx})
				}
			})
		}
	}
	slices.SortFunc(all, sourceLink.compare)
	all = slices.Compact(all)
	if q.Reverse {
		slices.Reverse(all)
	}
	for _, l := range all {
		if s.done() {
			return nil
		}
		rec, err := n.store.Rx(l.rx)
		if err != nil {
			return err
		}
		if err := s.raw(ctx, q.format(q.source, l.link, &rec)); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// sourceLink is a link and the message that has it.
type sourceLink struct {
	link
	rx uint64
}

func (l sourceLink) compare(m sourceLink) int {
	return cmp.Or(cmp.Compare(l.rel, m.rel), cmp.Compare(l.dest, m.dest), cmp.Compare(l.rx, m.rx))
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
		return q, usage("links: options: %v", muxrpc.ArgumentError(err))
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
		return []byte(q.dest[:destPart])
	}
	return append([]byte(q.dest[:destPart]+q.rel), 0)
}

func (q *linksQuery) matches(source, rel, dest string) bool {
	return (q.rel == "" || q.rel == rel) && testLink(source, q.source) && testLink(dest, q.dest)
}

// testLink reports whether a link is the one that is wanted, or of its kind.
func testLink(link, want string) bool {
	if len(want) == 1 {
		return link[0] == want[0]
	}
	return want == "" || link == want
}

// format returns a link in the shape the query asks for.
func (q *linksQuery) format(source string, l link, rec *store.Record) []byte {
	if !q.meta && !(q.Keys && q.values) {
		if q.Keys {
			return strconv.AppendQuote(nil, rec.ID.String())
		}
		return rec.Value
	}
	item := []byte{'{'}
	if q.meta {
		item = appendMember(item, "source", source)
		item = appendMember(item, "rel", l.rel)
		item = appendMember(item, "dest", l.dest)
	}
	if q.Keys {
		item = appendMember(item, "key", rec.ID.String())
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
func appendMember(dst []byte, name, value string) []byte {
	dst = append(append(append(dst, '"'), name...), `":"`...)
	return append(append(dst, value...), `",`...)
}
