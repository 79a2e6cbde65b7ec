package node

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/ssbsync/ssbsync/spec/envelope"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// addGroups adds the methods for private groups, named as those of npm
// ssb-tribes2. There is no invitation to accept: who is added is in. Keys are
// not handed out.
func (n *Node) addGroups(m *muxrpc.Mux) {
	m.Async("tribes2.create", n.groupCreate)
	m.Async("tribes2.get", n.groupGet)
	m.Source("tribes2.list", n.groupList)
	m.Async("tribes2.addMembers", n.groupAddMembers)
	m.Async("tribes2.excludeMembers", n.groupExcludeMembers)
	m.Async("tribes2.publish", n.groupPublish)
	m.Source("tribes2.listMembers", n.groupMembers)
}

// groupInfo is what is told of a group.
type groupInfo struct {
	ID   refs.Cloaked `json:"id"`
	Root refs.Message `json:"root"` // the group's first message

	Excluded bool `json:"excluded,omitempty"` // we were
}

// groupCreate makes a group with us as its only member: tribes2.create(). The
// first message says nothing of the key; the second, which adds us, brings it
// back when only the secret and the feed are left.
func (n *Node) groupCreate(ctx context.Context, _ *muxrpc.Call) (any, error) {
	var group groupRow
	if _, err := rand.Read(group.secret[:]); err != nil {
		return nil, err
	}
	content := []byte(`{"type":"` + typeGroupInit + `","tangles":{"group":{"root":null,"previous":null}}}`)
	keys := []envelope.Key{group.key(), envelope.Own(n.keys)}
	var read envelope.ReadKey
	rec, err := n.appendRecord(ctx, func(head message.Head) ([]byte, error) {
		box, key, err := envelope.At(n.keys.Feed(), head.ID).Box(rand.Reader, content, keys)
		read = key
		return quote(box), err
	})
	if err != nil {
		return nil, err
	}
	group.id, group.root, group.by = read.Cloak(rec.ID), rec.ID, n.keys.Feed()
	if err := n.private.join(group); err != nil {
		return nil, err
	}
	if _, err := n.addMembers(ctx, group, []string{n.keys.Feed().String()}, ""); err != nil {
		return nil, fmt.Errorf("group %s is made, but its key is not in your feed yet: %w", group.id, err)
	}
	return groupInfo{ID: group.id, Root: group.root}, nil
}

// join remembers a group that we made.
func (p *privates) join(group groupRow) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.load(); err != nil {
		return err
	}
	if !p.mayKeep(group) {
		return fmt.Errorf("there are %d private groups already", len(p.groups))
	}
	if err := p.node.store.Table(tableGroups).Update(group.put); err != nil {
		return err
	}
	p.groups, p.keys = append(p.groups, group), append(p.keys, group.key())
	return nil
}

// groupArgument reads an argument as the id of a group that we can write to.
func (n *Node) groupArgument(ctx context.Context, c *muxrpc.Call) (groupRow, error) {
	var text string
	if json.Unmarshal(argument(c, 0), &text) != nil {
		return groupRow{}, usage("%s: the group is missing", c.Name())
	}
	id, err := parseGroup(text)
	if err != nil {
		return groupRow{}, usage("%s: %v", c.Name(), err)
	}
	return n.group(ctx, id)
}

// groupGet answers what is known of a group: tribes2.get(id).
func (n *Node) groupGet(ctx context.Context, c *muxrpc.Call) (any, error) {
	group, err := n.groupArgument(ctx, c)
	if err != nil {
		return nil, err
	}
	out, err := n.excluded(group, n.keys.Feed())
	return groupInfo{group.id, group.root, out}, err
}

// groupList sends the groups that we are in, and with {excluded: true} those
// from which we were excluded: tribes2.list({excluded}).
func (n *Node) groupList(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	var o struct {
		Excluded setting `json:"excluded"`
	}
	if err := options(c, &o); err != nil {
		return err
	}
	rows, err := n.groupRows(ctx, nil)
	if err != nil {
		return err
	}
	for _, row := range rows {
		ok, err := n.isGroup(row)
		out := false
		if err == nil && ok {
			out, err = n.excluded(row, n.keys.Feed())
		}
		if err == nil && ok && out == o.Excluded.truthy() {
			err = st.Send(ctx, groupInfo{row.id, row.root, out})
		}
		if err != nil {
			return ended(err)
		}
	}
	return nil
}

// groupAddMembers lets feeds into a group: tribes2.addMembers(id, feeds, {text}).
// They and the members read the message, which has the key. As with ssb-tribes2
// the answer is a list of messages, of one.
func (n *Node) groupAddMembers(ctx context.Context, c *muxrpc.Call) (any, error) {
	group, err := n.groupArgument(ctx, c)
	if err != nil {
		return nil, err
	}
	var feeds []string
	if json.Unmarshal(argument(c, 1), &feeds) != nil || len(feeds) == 0 {
		return nil, usage("tribes2.addMembers: no feeds are given")
	}
	if len(feeds) > maxMembers {
		return nil, usage("tribes2.addMembers: %d feeds are given, at most %d can be added at once", len(feeds), maxMembers)
	}
	var o struct{ Text string }
	if raw := argument(c, 2); !falsy(raw) && json.Unmarshal(raw, &o) != nil {
		return nil, usage("tribes2.addMembers: the options are no object")
	}
	msg, err := n.addMembers(ctx, group, feeds, o.Text)
	return []json.RawMessage{msg}, err
}

func (n *Node) addMembers(ctx context.Context, group groupRow, feeds []string, text string) (json.RawMessage, error) {
	if err := n.mayAdd(group, feeds); err != nil {
		return nil, err
	}
	content, err := json.Marshal(struct {
		Type     string       `json:"type"`
		Version  string       `json:"version"`
		GroupKey string       `json:"groupKey"`
		Root     refs.Message `json:"root"`
		Text     string       `json:"text,omitempty"`
	}{typeAddMember, "v1", base64.StdEncoding.EncodeToString(group.secret[:]), group.root, text})
	if err != nil {
		return nil, err
	}
	made, err := n.groupContentFor(ctx, content, append([]string{group.id.String()}, feeds...), tangleMembers)
	if err != nil {
		return nil, err
	}
	return n.appendOwn(ctx, made)
}

// groupPublish publishes content in an envelope for its recps, of which the
// first may be a group: tribes2.publish(content). Without a group it is a direct
// message of the newer scheme, for up to sixteen feeds and P.O. boxes.
func (n *Node) groupPublish(ctx context.Context, c *muxrpc.Call) (any, error) {
	content := argument(c, 0)
	if err := checkContent(content); err != nil {
		return nil, err
	}
	if members, ok := object(content); !ok || falsy(members["recps"]) {
		return nil, usage("tribes2.publish: the content has no recps")
	}
	content, recps, err := recipients(content)
	if err != nil {
		return nil, err
	}
	var made contentAt
	if _, err := parseGroup(recps[0]); err == nil {
		made, err = n.groupContentFor(ctx, content, recps)
		if err != nil {
			return nil, err
		}
	} else {
		keys, err := n.slotKeys(recps)
		if err != nil {
			return nil, err
		}
		made = n.enveloped(content, keys)
	}
	return n.appendOwn(ctx, made)
}

// groupMembers sends who is in a group: tribes2.listMembers(id), as one item
// {added, toExclude}.
func (n *Node) groupMembers(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	group, err := n.groupArgument(ctx, c)
	if err != nil {
		return err
	}
	added, excluded, err := n.members(group)
	if err != nil {
		return err
	}
	return ended(st.Send(ctx, struct {
		Added     []refs.Feed `json:"added"`
		ToExclude []refs.Feed `json:"toExclude"`
	}{added, excluded}))
}
