package node

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ssbsync/ssbsync/spec/envelope"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
)

// Private groups are those of npm ssb-tribes 4: all messages are on the classic
// feeds of the members, in the forms of private-group-spec, version 1.

const (
	// maxGroupKeys bounds how many keys of groups are tried on a message, at some
	// microseconds each. Anyone can add us to as many groups as he likes: of one
	// feed's so many are kept, and the last places are for groups of our own.
	maxGroupKeys  = 256
	maxFeedsKeys  = 32
	maxTheirsKeys = maxGroupKeys - 64

	// maxTips bounds how many messages a new one of a group names as those
	// before it.
	maxTips = 8

	// maxMembers is how many can be added to a group at once: the group takes
	// the first slot.
	maxMembers = envelope.MaxSlots - 1
)

// Types of messages by which a group is managed.
const (
	typeGroupInit     = "group/init"
	typeAddMember     = "group/add-member"
	typeExcludeMember = "group/exclude-member"
)

// The tangles of a group: the order of all its messages, and of those about its
// members.
const (
	tangleGroup   = "group"
	tangleMembers = "members"
)

// tangle is the place of a message in a group.
type tangle struct {
	Root     *refs.Message  `json:"root"`
	Previous []refs.Message `json:"previous"`
}

// groupContent is what the messages of a group have in common, and those that
// manage it.
type groupContent struct {
	Type     string            `json:"type"`
	GroupKey string            `json:"groupKey"`
	Root     string            `json:"root"`
	Recps    []string          `json:"recps"`
	Excludes []string          `json:"excludes"`
	Tangles  map[string]tangle `json:"tangles"`
}

// groupRow is a key of a group. That the key and the first message belong to
// this group is known when that message is there, see Node.group.
type groupRow struct {
	id     refs.Cloaked
	secret [32]byte
	root   refs.Message
	by     refs.Feed // from whom we have the key
}

// same reports whether two rows say the same of a group.
func (g groupRow) same(other groupRow) bool {
	return g.id == other.id && g.secret == other.secret && g.root == other.root
}

func (g groupRow) key() envelope.Key { return envelope.Group(g.secret) }

// opens reports whether a message is for the holders of the key.
func (g groupRow) opens(m boxed) bool {
	_, ok := m.place().Find(m.text, 1, g.key())
	return ok
}

// handle is what tables call the group. It follows from the key as well, since
// anyone can claim that a key is that of a group.
func (g groupRow) handle() [32]byte { return sha256.Sum256(append(g.id[:], g.secret[:]...)) }

func (g groupRow) put(tx *store.TableTx) error {
	return tx.Table(tableGroups).Put(append(g.id[:], g.secret[:]...), append(g.root[:], g.by[:]...))
}

// rowOf is the opposite of put.
func rowOf(key, value []byte) groupRow {
	row := groupRow{id: refs.Cloaked(key[:32]), secret: [32]byte(key[32:]), root: refs.Message(value[:32])}
	copy(row.by[:], value[32:])
	return row
}

// groupNote is what a message of a group says about the group.
type groupNote struct {
	group    [32]byte // its handle
	id       refs.Message
	tangles  map[string]tangle
	added    []string
	excluded []string
}

// learn reads a message of a group, and a key from one that adds members.
func (p *privates) learn(batch *privateBatch, rec *store.Record, m boxed, text []byte) {
	var content groupContent
	if json.Unmarshal(text, &content) != nil {
		return
	}
	switch content.Type {
	case typeGroupInit, typeAddMember, typeExcludeMember:
		batch.members = true
	}
	if len(content.Recps) == 0 {
		return
	}
	id, err := parseGroup(content.Recps[0])
	if err != nil {
		return
	}
	note := groupNote{id: rec.ID, tangles: content.Tangles}
	switch content.Type {
	case typeAddMember:
		row, ok := content.keyRow(id)
		row.by = m.author
		if !ok || !p.addGroup(batch, m, row) {
			return
		}
		note.added = content.Recps[1:]
	case typeExcludeMember:
		note.excluded = content.Excludes
	}
	for _, group := range p.groups {
		if group.id == id && group.opens(m) { // else its writer was not in the group
			note.group = group.handle()
			batch.notes = append(batch.notes, note)
		}
	}
}

// keyRow returns the key that a message adds members with.
func (c *groupContent) keyRow(id refs.Cloaked) (row groupRow, ok bool) {
	secret, err := base64.StdEncoding.DecodeString(c.GroupKey)
	root, err2 := refs.ParseMessage(c.Root)
	if err != nil || err2 != nil || len(secret) != 32 {
		return row, false
	}
	return groupRow{id: id, secret: [32]byte(secret), root: root}, true
}

// addGroup remembers a key, unless it is not that of the first slot, or there
// are too many. It reports whether the key is known now.
func (p *privates) addGroup(batch *privateBatch, m boxed, row groupRow) bool {
	if !row.opens(m) {
		return false
	}
	if slices.ContainsFunc(p.groups, row.same) {
		return true
	}
	if !p.mayKeep(row) {
		p.node.options.Log.Warn("too many private groups: the key of another one is not kept", "from", row.by)
		return false
	}
	p.groups = append(p.groups, row)
	p.keys = append(p.keys, row.key())
	batch.groups = append(batch.groups, row)
	batch.fresh = append(batch.fresh, row.key())
	return true
}

// mayKeep reports whether there is a place for the key of another group.
func (p *privates) mayKeep(row groupRow) bool {
	if row.by == p.node.keys.Feed() {
		return len(p.groups) < maxGroupKeys
	}
	theirs := 0
	for _, group := range p.groups {
		if group.by == row.by {
			theirs++
		}
	}
	return theirs < maxFeedsKeys && len(p.groups) < maxTheirsKeys
}

// Bits of tableMembers. Who was excluded stays so, whatever comes later, since
// there is no order between the two: as in ssb-tribes.
const (
	memberAdded    = 1
	memberExcluded = 2
)

func (g groupNote) put(tx *store.TableTx) error {
	for name, t := range g.tangles {
		if name == tangleGroup || name == tangleMembers {
			if err := g.putTangle(tx.Table(tableTips), name, t); err != nil {
				return err
			}
		}
	}
	err := g.putMembers(tx.Table(tableMembers), g.added, memberAdded)
	return errors.Join(err, g.putMembers(tx.Table(tableMembers), g.excluded, memberExcluded))
}

// Keys of tableTips are the handle of a group, a tangle, a zero byte, a state and
// the id of a message: a tip that no other message names as the one before it, or
// one that is named.
const (
	stateNamed = 'n'
	stateTip   = 't'
)

// present is the value of tips: a row without one is not seen by the transaction
// that puts it.
var present = []byte{1}

func tipKey(group [32]byte, name string, state byte, id refs.Message) []byte {
	key := append(append(group[:], name...), 0, state)
	return append(key, id[:]...)
}

func (g groupNote) putTangle(tx *store.TableTx, name string, t tangle) error {
	for _, id := range t.Previous {
		if err := tx.Put(tipKey(g.group, name, stateNamed, id), present); err != nil {
			return err
		}
		if err := tx.Delete(tipKey(g.group, name, stateTip, id)); err != nil {
			return err
		}
	}
	_, err := tx.Get(tipKey(g.group, name, stateNamed, g.id))
	if errors.Is(err, store.ErrNotFound) {
		return tx.Put(tipKey(g.group, name, stateTip, g.id), present)
	}
	return err
}

func (g groupNote) putMembers(tx *store.TableTx, feeds []string, bit byte) error {
	for _, text := range feeds {
		feed, err := refs.ParseFeed(text)
		if err != nil {
			continue // a feed of another format, or a P.O. box
		}
		key := append(g.group[:], feed[:]...)
		bits := []byte{0}
		if was, err := tx.Get(key); err == nil && len(was) == 1 {
			bits = was
		}
		if err := tx.Put(key, []byte{bits[0] | bit}); err != nil {
			return err
		}
	}
	return nil
}

// groupURI begins the id of a group as an ssb: URI.
const groupURI = "ssb:identity/group/"

// parseGroup reads the id of a group, classic or as a URI.
func parseGroup(s string) (refs.Cloaked, error) {
	data, ok := strings.CutPrefix(s, groupURI)
	if !ok {
		return refs.ParseCloaked(s)
	}
	raw, err := base64.URLEncoding.DecodeString(data)
	if err != nil || len(raw) != 32 || base64.URLEncoding.EncodeToString(raw) != data {
		return refs.Cloaked{}, fmt.Errorf("%q is not the id of a group", s)
	}
	return refs.Cloaked(raw), nil
}

// group returns a group that we can write to: of which the first message is
// there, which its key opens and from which its id follows.
func (n *Node) group(ctx context.Context, id refs.Cloaked) (groupRow, error) {
	rows, err := n.groupRows(ctx, id[:])
	if err != nil {
		return groupRow{}, err
	}
	for _, row := range rows {
		if ok, err := n.isGroup(row); ok || err != nil {
			return row, err
		}
	}
	if len(rows) > 0 {
		return groupRow{}, fmt.Errorf("the first message of group %s is not here yet", id)
	}
	return groupRow{}, fmt.Errorf("unknown group %s", id)
}

// groupRows lists the keys of one group, or of all.
func (n *Node) groupRows(ctx context.Context, prefix []byte) (rows []groupRow, err error) {
	if err := n.private.catchUp(ctx); err != nil {
		return nil, err
	}
	err = n.store.Table(tableGroups).View(func(tx *store.TableTx) error {
		return tx.Each(prefix, nil, func(key, value []byte) bool {
			rows = append(rows, rowOf(key, value))
			return true
		})
	})
	return rows, err
}

// isGroup reports whether a key is that of the group with its id.
func (n *Node) isGroup(row groupRow) (bool, error) {
	rec, err := n.store.ByID(row.root)
	if err != nil {
		return false, ignoreNotFound(err)
	}
	m, ok := boxedOf(&rec)
	if !ok {
		return false, nil
	}
	key, ok := m.place().Find(m.text, 1, row.key())
	return ok && key.Cloak(rec.ID) == row.id, nil
}

// tangles returns the place of a new message in a group.
func (n *Node) tangles(row groupRow, names ...string) (map[string]tangle, error) {
	all := map[string]tangle{}
	for _, name := range names {
		prefix := tipKey(row.handle(), name, stateTip, refs.Message{})
		tips, err := n.store.Table(tableTips).Scan(prefix[:len(prefix)-32], nil, maxTips)
		if err != nil {
			return nil, err
		}
		t := tangle{Root: &row.root}
		for _, tip := range tips {
			t.Previous = append(t.Previous, refs.Message(tip.Key[len(tip.Key)-32:]))
		}
		if len(tips) == 0 {
			t.Previous = []refs.Message{row.root}
		}
		all[name] = t
	}
	return all, nil
}

// members lists who was added to a group, and who was excluded.
func (n *Node) members(group groupRow) (added, excluded []refs.Feed, err error) {
	added, excluded = []refs.Feed{}, []refs.Feed{}
	handle := group.handle()
	err = n.store.Table(tableMembers).View(func(tx *store.TableTx) error {
		return tx.Each(handle[:], nil, func(key, bits []byte) bool {
			if feed := refs.Feed(key[32:]); bits[0]&memberExcluded != 0 {
				excluded = append(excluded, feed)
			} else {
				added = append(added, feed)
			}
			return true
		})
	})
	return added, excluded, err
}
