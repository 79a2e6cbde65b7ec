package node

import (
	"context"
	"encoding/json"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/privatebox"
	"github.com/ssbsync/ssbsync/store"
)

// addPrivate adds the methods for private messages, those of npm ssb-private.
func (n *Node) addPrivate(m *muxrpc.Mux) {
	m.Async("private.publish", n.privatePublish)
	m.Sync("private.unbox", n.privateUnbox)
	m.Source("private.read", n.privateRead)
}

// privateUnbox answers what a box holds, or nothing when it is not for us:
// private.unbox(box), or private.unbox({key, value, timestamp}) for a whole
// message. An envelope opens only as part of its message.
func (n *Node) privateUnbox(_ context.Context, c *muxrpc.Call) (any, error) {
	raw := argument(c, 0)
	var text string
	if json.Unmarshal(raw, &text) == nil {
		if key, ok := n.private.box.Key(text); ok {
			if content, ok := privatebox.Open(text, key); ok {
				return json.RawMessage(content), nil
			}
		}
		return nil, nil
	}
	msg, err := ecmajson.Compact(raw)
	if err != nil || msg[0] != '{' {
		return nil, nil
	}
	value := ecmajson.Get(msg, "value")
	view, err := message.Fields(value)
	if err != nil || len(view.Content) == 0 {
		return nil, nil
	}
	m, ok := boxedText(view)
	if !ok {
		return nil, nil
	}
	content, err := n.private.read(m)
	if err != nil || content == nil {
		return nil, err
	}
	return json.RawMessage(replaceMember(msg, "value", unboxedValue(value, content))), nil
}

// unboxedValue is a value as ssb-private hands it out: with its content in
// clear, marked as private and without signature.
func unboxedValue(value, content []byte) []byte {
	out := []byte{'{'}
	for _, name := range []string{"previous", "author", "sequence", "timestamp", "hash"} {
		if member := ecmajson.Get(value, name); member != nil {
			out = append(append(append(out, '"'), name...), `":`...)
			out = append(append(out, member...), ',')
		}
	}
	return append(append(append(out, `"content":`...), content...), `,"private":true}`...)
}

// privateRead sends the private messages that are for us, in the order in which
// they arrived and with their contents in clear: private.read({gt, gte, lt, lte,
// reverse, limit, live, old, keys, values}), where the bounds are receive times.
func (n *Node) privateRead(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	q, err := streamQuery(c)
	if err != nil {
		return err
	}
	if members, _ := object(argument(c, 0)); !falsy(members["query"]) {
		return usage("private.read: queries are not supported")
	}
	after, before, err := n.logBounds(&q)
	if err != nil {
		return err
	}
	q.reveal = n.private.reveal
	if err := n.private.catchUp(ctx); err != nil {
		return ended(err)
	}
	last := n.private.done.Load()
	s := newSender(st, &q)
	if q.Old {
		if err := n.oldPrivate(ctx, s, after, before); err != nil {
			return ended(err)
		}
		if err := s.synced(ctx); err != nil {
			return ended(err)
		}
	}
	if !q.Live {
		return nil
	}
	return ended(n.livePrivate(ctx, s, max(last, after)))
}

// oldPrivate sends what is there between two receive numbers, both excluded;
// before 0 is open.
func (n *Node) oldPrivate(ctx context.Context, s *sender, after, before uint64) error {
	low, high := rxKey(nil, after+1), []byte(nil)
	if before > 0 {
		high = rxKey(nil, before)
	}
	sp := span{index: &index{name: tableOpened}, low: low, high: high}
	sp.items = func(_ []byte, rec *store.Record, yield func([]byte)) { yield(s.query.shape(*rec)) }
	return n.oldIndex(ctx, s, &sp, n.private.done.Load())
}

// livePrivate sends what arrives, and what opens only then because the key of its
// group arrives.
func (n *Node) livePrivate(ctx context.Context, s *sender, after uint64) error {
	for !s.done() {
		if err := n.store.Wait(ctx, after); err != nil {
			return err
		}
		page, err := n.store.LogPage(after, 0, 0, false)
		if err != nil {
			return err
		}
		for i := range page {
			after = page[i].Rx
			if content, _ := n.private.find(&page[i]); content == nil || s.done() {
				continue
			}
			if err := s.send(ctx, page[i]); err != nil {
				return err
			}
		}
	}
	return nil
}
