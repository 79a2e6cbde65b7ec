package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/ingest"
)

// addReads adds the methods by which apps read messages one by one or as
// streams, those of npm ssb-db.
func (n *Node) addReads(m *muxrpc.Mux) {
	m.Async("get", n.get)
	m.Async("getLatest", n.getLatest)
	m.Async("latestSequence", n.latestSequence)
	m.Async("getFeedState", n.getFeedState)
	m.Async("getVectorClock", n.getVectorClock)
	m.Async("add", n.add)
	m.Source("latest", n.latest)
	m.Source("createLogStream", n.createLogStream)
	m.Source("createRawLogStream", n.createRawLogStream)
	m.Source("createSequenceStream", n.createSequenceStream)
	m.Source("createFeedStream", n.createFeedStream)
	m.Source("createUserStream", n.createUserStream)
	m.Source("createHistoryStream", n.createHistoryStream)
	m.Source("messagesByType", n.messagesByType)
	m.Source("links", n.links)
	n.addViews(m)
}

// get answers the value of a message: get(id), get({id, meta, private, unbox})
// or, by its number in createRawLogStream, get(number) for the whole. With
// private, content that is for us comes in clear, and with unbox, or as
// "id?unbox=key", what that key opens.
func (n *Node) get(_ context.Context, c *muxrpc.Call) (any, error) {
	raw := bytes.TrimSpace(argument(c, 0))
	if falsy(raw) && string(raw) != "0" {
		return nil, missing(0)
	}
	var text string
	var number float64
	var want struct {
		ID   string  `json:"id"`
		Meta setting `json:"meta"`

		Private setting `json:"private"`
		Unbox   string  `json:"unbox"`
	}
	switch {
	case json.Unmarshal(raw, &number) == nil:
		return n.getNumber(number)
	case json.Unmarshal(raw, &text) == nil:
		if text[0] != '%' || !isLink(text) {
			return nil, wrongType(0, "object")
		}
	case json.Unmarshal(raw, &want) == nil:
		text = want.ID
	default:
		return nil, wrongType(0, "object")
	}
	name, query, _ := strings.Cut(text, "?")
	id, err := refs.ParseMessage(name)
	if err != nil {
		return nil, errors.New("ssb-db.get: key *must* be a ssb message id or a flume offset")
	}
	reveal := func(rec store.Record) store.Record { return rec }
	if query != "" { // a link with a key
		link, err := refs.ParseLink(text)
		if err != nil {
			return nil, err
		}
		want.Private, want.Unbox = settingTrue, strings.ReplaceAll(link.Query.Get("unbox"), " ", "+")
	}
	switch {
	case want.Private == settingTrue && want.Unbox != "":
		reveal = func(rec store.Record) store.Record { return revealWith(rec, want.Unbox) }
	case want.Private == settingTrue:
		reveal = n.private.reveal
	}
	return n.getID(id, want.Meta.truthy(), reveal)
}

func (n *Node) getID(id refs.Message, whole bool, reveal func(store.Record) store.Record) (any, error) {
	rec, err := n.store.ByID(id)
	if err == nil {
		rec = reveal(rec)
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, &muxrpc.RemoteError{Name: "NotFoundError", Message: fmt.Sprintf("Key not found in database [%s]", id)}
	case err != nil:
		return nil, err
	case whole:
		return json.RawMessage(appendKVT(nil, rec)), nil
	}
	return json.RawMessage(rec.Value), nil
}

func (n *Node) getNumber(number float64) (any, error) {
	if !(number >= 0 && number < math.MaxInt64/2) || number != math.Trunc(number) {
		return nil, fmt.Errorf("there is no message number %v", number)
	}
	rec, err := n.store.Rx(uint64(number) + 1)
	if errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("there is no message number %v", number)
	}
	return json.RawMessage(appendKVT(nil, rec)), err
}

// getLatest answers the newest message of a feed as {key, value}, or no value.
func (n *Node) getLatest(_ context.Context, c *muxrpc.Call) (any, error) {
	head, err := n.headParam(c)
	if err != nil || head.Seq == 0 {
		return nil, err
	}
	rec, err := n.store.Get(head.Feed, head.Seq)
	if err != nil {
		return nil, err
	}
	return struct {
		Key   refs.Message    `json:"key"`
		Value json.RawMessage `json:"value"`
	}{rec.ID, rec.Value}, nil
}

// latestSequence answers the sequence of the newest message of a feed.
func (n *Node) latestSequence(_ context.Context, c *muxrpc.Call) (any, error) {
	head, err := n.headParam(c)
	if err == nil && head.Seq == 0 {
		err = fmt.Errorf("not found:%s", head.Feed)
	}
	return head.Seq, err
}

// getFeedState answers id and sequence of the newest message of a feed.
func (n *Node) getFeedState(_ context.Context, c *muxrpc.Call) (any, error) {
	head, err := n.headParam(c)
	if err != nil {
		return nil, err
	}
	state := struct {
		ID       *refs.Message `json:"id"`
		Sequence int64         `json:"sequence"`
	}{Sequence: head.Seq}
	if head.Seq > 0 {
		state.ID = &head.ID
	}
	return state, nil
}

func (n *Node) headParam(c *muxrpc.Call) (message.Head, error) {
	feed, err := feedParam(c)
	if err != nil {
		return message.Head{}, err
	}
	return n.store.Head(feed)
}

// getVectorClock answers the sequence of each feed.
func (n *Node) getVectorClock(context.Context, *muxrpc.Call) (any, error) {
	heads, err := n.store.Heads()
	if err != nil {
		return nil, err
	}
	clock := make(map[refs.Feed]int64, len(heads))
	for _, head := range heads {
		clock[head.Feed] = head.Seq
	}
	return clock, nil
}

// latest sends id, sequence and claimed time of the newest message of each
// feed.
func (n *Node) latest(ctx context.Context, _ *muxrpc.Call, st *muxrpc.Stream) error {
	heads, err := n.store.Heads()
	if err != nil {
		return err
	}
	for _, head := range heads {
		rec, err := n.store.Get(head.Feed, head.Seq)
		if err != nil {
			return err
		}
		err = st.Send(ctx, struct {
			ID       refs.Feed `json:"id"`
			Sequence int64     `json:"sequence"`
			TS       float64   `json:"ts"`
		}{rec.Feed, rec.Seq, claimedTime(rec)})
		if err != nil {
			return ended(err)
		}
	}
	return nil
}

// add takes in a message that somebody else signed, and answers it whole.
func (n *Node) add(ctx context.Context, c *muxrpc.Call) (any, error) {
	raw := argument(c, 0)
	if falsy(raw) {
		return nil, missing(0)
	}
	if err := checkMessage(raw); err != nil {
		return nil, err
	}
	intake := n.ingest.Open(ingest.Source{Name: "add"})
	if err := intake.Add(ctx, raw); err != nil {
		return nil, err
	}
	sum, err := intake.Flush(ctx)
	if err != nil {
		return nil, err
	}
	view, _ := message.Fields(raw) // what is no message was rejected
	switch {
	case len(sum.Rejects) > 0:
		return nil, fmt.Errorf("invalid message: %s", sum.Rejects[0].Reason)
	case sum.New == 0:
		head, err := n.store.Head(view.Feed)
		if err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("invalid message: expected sequence %d but got:%d, on feed:%s", head.Seq+1, view.Seq, view.Feed)
	}
	rec, err := n.store.Get(view.Feed, view.Seq)
	return json.RawMessage(appendKVT(nil, rec)), err
}

// checkMessage says what ssb-server says of a message that lacks something.
func checkMessage(raw json.RawMessage) error {
	members, ok := object(raw)
	if !ok {
		return wrongType(0, "msg")
	}
	content := members["content"]
	if falsy(content) || content[0] != '"' && content[0] != '{' {
		return missingAttr("content", "object|string")
	}
	if fields, ok := object(content); ok && (falsy(fields["type"]) || fields["type"][0] != '"') {
		return missingAttr("content.type", "string")
	}
	var author refs.Feed
	if falsy(members["author"]) || json.Unmarshal(members["author"], &author) != nil {
		return missingAttr("author", "feedId")
	}
	for _, field := range []struct {
		name, typ string
		first     string
	}{{"sequence", "number", "-0123456789"}, {"timestamp", "number", "-0123456789"}, {"signature", "string", `"`}} {
		if value := members[field.name]; len(value) == 0 || strings.IndexByte(field.first, value[0]) < 0 {
			return missingAttr(field.name, field.typ)
		}
	}
	return nil
}
