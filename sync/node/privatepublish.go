package node

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/spec/envelope"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/privatebox"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
)

// contentAt makes the content of a message once its place is known, to which an
// envelope is bound.
type contentAt func(head message.Head) ([]byte, error)

// fixed is content that stays the same wherever it stands.
func fixed(content []byte) contentAt {
	return func(message.Head) ([]byte, error) { return content, nil }
}

// contentFor returns what is published for content: the content itself or, when
// it names recipients, a box for them.
func (n *Node) contentFor(ctx context.Context, content json.RawMessage) (contentAt, error) {
	members, _ := object(content)
	if falsy(members["recps"]) {
		return fixed(content), nil
	}
	content, recps, err := recipients(content)
	if err != nil {
		return nil, err
	}
	if _, err := parseGroup(recps[0]); err == nil {
		return n.groupContentFor(ctx, content, recps)
	}
	box, err := boxFor(content, recps)
	if errors.Is(err, errNoBoxer) {
		err = noBoxer(recps)
	}
	return fixed(box), err
}

// recipients returns content, whose member recps is a list then, and that list.
// Errors are in the words of ssb-db.
func recipients(content json.RawMessage) (json.RawMessage, []string, error) {
	content, err := ecmajson.Compact(content)
	if err != nil {
		return nil, nil, usage("the content is not JSON")
	}
	raw := ecmajson.Get(content, "recps")
	if len(raw) > 0 && raw[0] == '"' {
		raw = append(append([]byte{'['}, raw...), ']')
		content = replaceMember(content, "recps", raw)
	}
	if len(raw) == 0 || raw[0] != '[' {
		return nil, nil, errors.New(`private message field "recps" expects an Array of recipients`)
	}
	var recps []string
	if json.Unmarshal(raw, &recps) != nil {
		return nil, nil, fmt.Errorf("private message requested, but no boxers could encrypt these recps: %.1000s", raw)
	}
	if len(recps) == 0 {
		return nil, nil, errors.New(`private message field "recps" requires at least one recipient`)
	}
	return content, recps, nil
}

var errNoBoxer = errors.New("these are no feeds")

func noBoxer(recps []string) error {
	text, _ := json.Marshal(recps) // strings: never fails
	return fmt.Errorf("private message requested, but no boxers could encrypt these recps: %.1000s", text)
}

// boxFor boxes content for feeds, as ssb-keys does, and returns it as the JSON
// that is published.
func boxFor(content []byte, recps []string) (json.RawMessage, error) {
	feeds := make([]refs.Feed, len(recps))
	for i, text := range recps {
		var err error
		if feeds[i], err = refs.ParseFeed(text); err != nil {
			return nil, errNoBoxer
		}
	}
	box, err := privatebox.Box(rand.Reader, content, feeds)
	return quote(box), err
}

// quote returns a text without special characters as JSON.
func quote(text string) json.RawMessage { return json.RawMessage(`"` + text + `"`) }

// groupContentFor boxes content for a group, and for feeds besides, if the first
// recipient is a group. It puts the message in its place in the group.
func (n *Node) groupContentFor(ctx context.Context, content json.RawMessage, recps []string, tangles ...string) (contentAt, error) {
	id, err := parseGroup(recps[0])
	if err != nil {
		return nil, err
	}
	group, err := n.group(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := n.mayWrite(group); err != nil {
		return nil, err
	}
	recps[0] = id.String() // by that others know it
	keys, err := n.slotKeys(recps[1:])
	if err != nil {
		return nil, err
	}
	if content, err = n.placed(content, group, recps, append([]string{tangleGroup}, tangles...)); err != nil {
		return nil, err
	}
	return n.enveloped(content, append([]envelope.Key{group.key()}, keys...)), nil
}

// enveloped puts content into an envelope for keys.
func (n *Node) enveloped(content []byte, keys []envelope.Key) contentAt {
	return func(head message.Head) ([]byte, error) {
		box, _, err := envelope.At(n.keys.Feed(), head.ID).Box(rand.Reader, content, keys)
		return quote(box), err
	}
}

// slotKeys returns the keys by which slots for feeds and P.O. boxes are closed.
func (n *Node) slotKeys(recps []string) (keys []envelope.Key, err error) {
	for _, text := range recps {
		key, err := n.slotKey(text)
		if errors.Is(err, errNoBoxer) {
			err = noBoxer(recps)
		}
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func (n *Node) slotKey(text string) (key envelope.Key, err error) {
	if feed, err := refs.ParseFeed(text); err == nil && feed == n.keys.Feed() {
		return envelope.Own(n.keys), nil
	} else if err == nil {
		return firstKey(envelope.Direct(n.keys, feed))
	}
	uri, err := refs.ParseURI(text)
	if err != nil || uri.Type != "identity" || uri.Format != "po-box" {
		return key, errNoBoxer
	}
	box, err := base64.StdEncoding.DecodeString(uri.Data)
	if err != nil || len(box) != 32 {
		return key, errNoBoxer
	}
	return firstKey(envelope.POBox(n.keys, [32]byte(box)))
}

// firstKey is the key to write with.
func firstKey(keys []envelope.Key, err error) (envelope.Key, error) {
	if err != nil {
		return envelope.Key{}, err
	}
	return keys[0], nil
}

// placed returns content with its recipients and its place in a group.
func (n *Node) placed(content json.RawMessage, group groupRow, recps, names []string) (json.RawMessage, error) {
	tangles, err := n.tangles(group, names...)
	if err != nil {
		return nil, err
	}
	all := map[string]any{}
	others, _ := object(ecmajson.Get(content, "tangles")) // of other kinds: they stay
	for name, t := range others {
		all[name] = t
	}
	for name, t := range tangles {
		all[name] = t
	}
	text, err := json.Marshal(all)
	if err != nil {
		return nil, err
	}
	content = setMember(content, "tangles", text)
	if text, err = json.Marshal(recps); err != nil {
		return nil, err
	}
	return setMember(content, "recps", text), nil
}

// setMember replaces a member of an object in canonical JSON, or appends it.
func setMember(text []byte, name string, value []byte) []byte {
	if ecmajson.Get(text, name) != nil {
		return replaceMember(text, name, value)
	}
	out := append(make([]byte, 0, len(text)+len(name)+len(value)+8), text[:len(text)-1]...)
	if len(out) > 1 {
		out = append(out, ',')
	}
	out = append(append(append(out, '"'), name...), `":`...)
	return append(append(out, value...), '}')
}

// privatePublish publishes content for feeds, without looking at the content's
// own recps: private.publish(content, recps), as npm ssb-private has it.
func (n *Node) privatePublish(ctx context.Context, c *muxrpc.Call) (any, error) {
	content, err := ecmajson.Compact(argument(c, 0))
	if err != nil || content[0] != '{' {
		return nil, usage("private.publish: the content is no object")
	}
	var recps []string
	if json.Unmarshal(argument(c, 1), &recps) != nil {
		return nil, usage("private.publish: the recipients are no list of feeds")
	}
	if err := checkType(ecmajson.Get(content, "type")); err != nil {
		return nil, err
	}
	box, err := boxFor(content, recps)
	if err != nil {
		return nil, fmt.Errorf("failed to encrypt: %v", err)
	}
	return n.appendOwn(ctx, fixed(box))
}

// appendOwn appends a message to the own feed and answers it once it is durable.
func (n *Node) appendOwn(ctx context.Context, content contentAt) (json.RawMessage, error) {
	rec, err := n.appendRecord(ctx, content)
	if err != nil {
		return nil, err
	}
	return appendKVT(nil, rec), nil
}

func (n *Node) appendRecord(ctx context.Context, content contentAt) (store.Record, error) {
	if err := n.mayPublish(); err != nil {
		return store.Record{}, err
	}
	return n.ingest.Publish(ctx, n.keys.Feed(), func(head message.Head) (*message.Message, error) {
		text, err := content(head)
		if err != nil {
			return nil, err
		}
		return n.create(head, text)
	})
}
