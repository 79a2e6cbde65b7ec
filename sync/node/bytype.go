package node

import (
	"context"
	"encoding/json"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/store"
)

// newTypeIndex orders messages by the type of their content, then by arrival.
// Its keys are the type as it is spelt in JSON, without quotes, and a zero
// byte. Private messages for us have the type that they have in clear: plain
// returns them so.
func newTypeIndex(plain func(*store.Record) *store.Record) *index {
	return &index{name: "node.type.2", title: "type", reveals: true, was: []string{"node.type"}, rows: func(rec *store.Record, add func([]byte)) {
		view, err := message.Fields(plain(rec).Value)
		if err != nil {
			return
		}
		if typ := ecmajson.Get(view.Content, "type"); len(typ) > 2 && typ[0] == '"' {
			add(typeKey(typ))
		}
	}}
}

// typeKey returns the key of a type, which is a JSON string.
func typeKey(typ []byte) []byte {
	return append(append(make([]byte, 0, len(typ)+rxLen), typ[1:len(typ)-1]...), 0)
}

// messagesByType sends the messages of one type in receive order:
// messagesByType(type), or messagesByType({type, …}), where gt, gte, lt and lte
// are receive times.
func (n *Node) messagesByType(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	q, err := typeQuery(c)
	if err != nil {
		return err
	}
	text, err := json.Marshal(q.Type)
	if err == nil {
		text, err = ecmajson.Compact(text)
	}
	if err != nil {
		return err
	}
	n.privately(&q)
	after, before, err := n.logBounds(&q)
	if err != nil {
		return err
	}
	low, high := typeKey(text), nextKey(typeKey(text))
	items := func(_ []byte, rec *store.Record, yield func([]byte)) { yield(q.shape(*rec)) }
	// What arrives is judged by its time: a bound may be one that is still to come.
	arriving := span{index: n.byType, low: low, high: high, items: func(key []byte, rec *store.Record, yield func([]byte)) {
		if q.spans(rec.Received) {
			items(key, rec, yield)
		}
	}}
	sp := span{index: n.byType, low: rxKey(low, after+1), high: high, items: items, live: &arriving}
	if before > 0 {
		sp.high = rxKey(low, before)
	}
	return n.streamIndex(ctx, st, &q, &sp)
}

// typeQuery reads the argument of messagesByType.
func typeQuery(c *muxrpc.Call) (query, error) {
	raw := argument(c, 0)
	if falsy(raw) {
		return query{}, missing(0)
	}
	var typ string
	if json.Unmarshal(raw, &typ) == nil {
		q, err := parseQuery(nil)
		q.Type = typ
		return q, err
	}
	if err := checkStream(raw, "messagesByTypeOpts"); err != nil {
		return query{}, err
	}
	q, err := parseQuery(raw)
	if err == nil && q.Type == "" {
		err = missingAttr("type", "string")
	}
	return q, err
}

// nextKey returns the first key that does not begin with prefix, whose last
// byte is below 255.
func nextKey(prefix []byte) []byte {
	next := append([]byte(nil), prefix...)
	next[len(next)-1]++
	return next
}
