package node

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/spec/envelope"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/privatebox"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
)

// The tables of private messages. They hold keys and names, never a text, and
// follow from the receive log and the secret: what is lost is made again. Their
// cursor has the name of the first.
const (
	tableOpened  = "node.private"         // receive number → scheme and key to read it with
	tableClosed  = "node.private.closed"  // receive numbers of envelopes that did not open
	tableOwner   = "node.private.owner"   // whose secret the tables follow from
	tableGroups  = "node.private.groups"  // id and secret of a group → id of its first message
	tableTips    = "node.private.tips"    // see tangle
	tableMembers = "node.private.members" // a group's handle and a feed → added, excluded
)

// privateTables are all of them.
var privateTables = []string{tableOpened, tableClosed, tableOwner, tableGroups, tableTips, tableMembers}

// The first byte of what tableOpened holds.
const (
	schemeBox      = 1 // a privatebox.Key follows
	schemeEnvelope = 2 // an envelope.ReadKey follows
)

// maxDirect bounds the keys for direct messages that are kept in memory, by
// author.
const maxDirect = 4096

// privates knows which messages are for us and with which key each is read. It
// tries our keys on every private message once, as it arrives; what a group
// wrote before we were let in is tried again when its key comes.
type privates struct {
	node *Node
	box  *privatebox.Reader
	own  envelope.Key
	done atomic.Uint64 // how far it has come in the receive log

	mu     sync.Mutex // held while it follows the receive log
	loaded bool       // the fields below and done are those of the store
	stored uint64     // the cursor in the store: done may be ahead by messages of which nothing is kept
	groups []groupRow
	keys   []envelope.Key // of the groups
	direct map[refs.Feed][]envelope.Key
}

func newPrivates(n *Node) *privates {
	return &privates{node: n, box: privatebox.NewReader(n.keys), own: envelope.Own(n.keys)}
}

// load reads what the store remembers. Tables that another identity left are
// cleared.
func (p *privates) load() error {
	if p.loaded {
		return nil
	}
	self := p.node.keys.Feed()
	p.groups, p.keys, p.direct = nil, nil, map[refs.Feed][]envelope.Key{}
	err := p.node.store.Table(tableOwner).Update(func(tx *store.TableTx) error {
		if owner, err := tx.Get([]byte("feed")); err == nil && bytes.Equal(owner, self[:]) {
			return nil
		}
		for _, name := range privateTables {
			if err := tx.Table(name).Clear(); err != nil {
				return err
			}
		}
		return errors.Join(tx.Put([]byte("feed"), self[:]), tx.SetCursor(tableOpened, 0))
	})
	if err != nil {
		return err
	}
	err = p.node.store.Table(tableGroups).View(func(tx *store.TableTx) error {
		return tx.Each(nil, nil, func(key, value []byte) bool {
			row := rowOf(key, value)
			p.groups, p.keys = append(p.groups, row), append(p.keys, row.key())
			return true
		})
	})
	done, err2 := p.node.store.Cursor(tableOpened)
	if err = errors.Join(err, err2); err == nil {
		p.done.Store(done)
		p.stored = done
		p.loaded = true
	}
	return err
}

// catchUp looks at what was received since the last time.
func (p *privates) catchUp(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.load(); err != nil {
		return err
	}
	for p.done.Load() < p.node.store.Last() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := p.step(ctx); err != nil {
			p.loaded = false // what is in memory may be ahead
			return err
		}
	}
	return nil
}

// step looks at some pages of messages, and writes in one transaction what came
// of it. For a few messages that are not private it does not write at all.
func (p *privates) step(ctx context.Context) error {
	batch := &privateBatch{after: p.done.Load()}
	for range indexPages {
		page, err := p.node.store.LogPage(batch.after, 0, 0, false)
		if err != nil {
			return err
		}
		for i := range page {
			p.look(batch, &page[i])
			batch.after = page[i].Rx
		}
	}
	if err := p.retry(ctx, batch); err != nil {
		return err
	}
	if len(batch.rows)+len(batch.closed) > 0 || batch.after-p.stored >= store.MaxPage {
		if err := p.node.store.Table(tableOpened).Update(batch.commit); err != nil {
			return err
		}
		p.stored = batch.after
	}
	p.done.Store(batch.after)
	return nil
}

// look tries to open a new message.
func (p *privates) look(batch *privateBatch, rec *store.Record) {
	m, ok := boxedOf(rec)
	if !ok {
		return
	}
	if row, content := p.open(m); row != nil {
		p.opened(batch, rec, m, row, content)
	} else if m.isEnvelope() {
		batch.closed = append(batch.closed, rec.Rx)
	}
}

// opened notes that a message opens, and what a group's message says.
func (p *privates) opened(batch *privateBatch, rec *store.Record, m boxed, row, content []byte) {
	batch.rows = append(batch.rows, privateRow{rx: rec.Rx, key: row})
	if m.isEnvelope() {
		p.learn(batch, rec, m, content)
	}
}

// retry tries the keys that the batch brought on the envelopes that are still
// closed; they can hold further keys.
func (p *privates) retry(ctx context.Context, batch *privateBatch) error {
	for len(batch.fresh) > 0 {
		fresh := batch.fresh
		batch.fresh = nil
		closed, err := p.closed()
		if err != nil {
			return err
		}
		for _, rx := range append(closed, batch.closed...) {
			if err := p.retryOne(batch, rx, fresh); err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
	}
	return nil
}

// closed lists the messages that did not open.
func (p *privates) closed() (list []uint64, err error) {
	err = p.node.store.Table(tableClosed).View(func(tx *store.TableTx) error {
		return tx.Each(nil, nil, func(key, _ []byte) bool {
			list = append(list, keyRx(key))
			return true
		})
	})
	return list, err
}

func (p *privates) retryOne(batch *privateBatch, rx uint64, fresh []envelope.Key) error {
	if batch.late[rx] {
		return nil
	}
	rec, err := p.node.store.Rx(rx)
	if err != nil {
		return err
	}
	m, ok := boxedOf(&rec)
	if !ok {
		return nil
	}
	key, ok := m.place().Find(m.text, 1, fresh...)
	if !ok {
		return nil
	}
	row, content := m.openEnvelope(key)
	if row == nil {
		return nil
	}
	if batch.late == nil {
		batch.late = map[uint64]bool{}
	}
	batch.late[rx] = true
	p.opened(batch, &rec, m, row, content)
	// The other indexes have passed it by, or will come to the same rows.
	plain := rec
	plain.Value = replaceContent(rec.Value, content)
	for _, ix := range p.node.indexes {
		ix.rows(&plain, func(key []byte) {
			batch.index = append(batch.index, indexRow{ix.name, rxKey(key, rx)})
		})
	}
	return nil
}

// open tries our keys on a private message. It returns what tableOpened holds
// for it and its content, or nil when it is not for us or its content is no
// JSON object.
func (p *privates) open(m boxed) (row, content []byte) {
	if !m.isEnvelope() {
		key, ok := p.box.Key(m.text)
		if !ok {
			return nil, nil
		}
		return m.openBox(key)
	}
	at := m.place()
	key, ok := at.Find(m.text, 1, p.keys...)
	if !ok {
		key, ok = at.Find(m.text, envelope.MaxSlots, p.keysFor(m.author)...)
	}
	if !ok {
		return nil, nil
	}
	return m.openEnvelope(key)
}

// keysFor returns the keys for what an author writes to us.
func (p *privates) keysFor(author refs.Feed) []envelope.Key {
	if author == p.node.keys.Feed() {
		return []envelope.Key{p.own}
	}
	keys, ok := p.direct[author]
	if !ok {
		keys, _ = envelope.Direct(p.node.keys, author) // none for an odd key
		if len(p.direct) >= maxDirect {
			clear(p.direct)
		}
		p.direct[author] = keys
	}
	return keys
}

// boxed is a private message.
type boxed struct {
	author   refs.Feed
	previous refs.Message
	text     string
}

// boxedOf returns the private message that a record is, if it is one.
func boxedOf(rec *store.Record) (boxed, bool) {
	view, err := message.Fields(rec.Value)
	if err != nil || len(view.Content) == 0 || view.Content[0] != '"' {
		return boxed{}, false
	}
	return boxedText(view)
}

func boxedText(view message.View) (boxed, bool) {
	m := boxed{author: view.Feed, previous: view.Previous}
	if json.Unmarshal(view.Content, &m.text) != nil {
		return m, false
	}
	return m, m.isEnvelope() || strings.HasSuffix(m.text, privatebox.Suffix)
}

func (m boxed) isEnvelope() bool { return strings.HasSuffix(m.text, envelope.Suffix) }

func (m boxed) place() envelope.Place { return envelope.At(m.author, m.previous) }

func (m boxed) openBox(key privatebox.Key) (row, content []byte) {
	content, ok := privatebox.Open(m.text, key)
	if !ok || content[0] != '{' {
		return nil, nil
	}
	return append([]byte{schemeBox}, key[:]...), content
}

func (m boxed) openEnvelope(key envelope.ReadKey) (row, content []byte) {
	content, ok := m.place().Open(m.text, key)
	if !ok || content[0] != '{' {
		return nil, nil
	}
	return append([]byte{schemeEnvelope}, key[:]...), content
}

// openRow opens a message with what tableOpened holds, and returns the key in
// base64 as well.
func (m boxed) openRow(row []byte) (content []byte, unbox string) {
	switch {
	case len(row) == 1+privatebox.KeyLen && row[0] == schemeBox:
		key := privatebox.Key(row[1:])
		_, content = m.openBox(key)
		return content, key.String()
	case len(row) == 1+32 && row[0] == schemeEnvelope:
		key := envelope.ReadKey(row[1:])
		_, content = m.openEnvelope(key)
		return content, key.String()
	}
	return nil, ""
}

// privateBatch is what one step changes in the store.
type privateBatch struct {
	after  uint64 // where the cursor will stand
	rows   []privateRow
	closed []uint64        // envelopes that did not open
	late   map[uint64]bool // of those, and of earlier ones, the ones that opened after all
	index  []indexRow      // rows of other indexes for them
	groups []groupRow
	notes  []groupNote
	fresh  []envelope.Key // of groups that were not known before
}

type privateRow struct {
	rx  uint64
	key []byte
}

type indexRow struct {
	table string
	key   []byte
}

// commit writes the batch.
func (b *privateBatch) commit(tx *store.TableTx) error {
	closed := tx.Table(tableClosed)
	for _, rx := range b.closed {
		if !b.late[rx] {
			if err := closed.Put(rxKey(nil, rx), nil); err != nil {
				return err
			}
		}
	}
	for rx := range b.late {
		if err := closed.Delete(rxKey(nil, rx)); err != nil {
			return err
		}
	}
	for _, row := range b.rows {
		if err := tx.Put(rxKey(nil, row.rx), row.key); err != nil {
			return err
		}
	}
	for _, row := range b.index {
		if err := tx.Table(row.table).Put(row.key, nil); err != nil {
			return err
		}
	}
	for _, row := range b.groups {
		if err := row.put(tx); err != nil {
			return err
		}
	}
	for _, note := range b.notes {
		if err := note.put(tx); err != nil {
			return err
		}
	}
	return tx.SetCursor(tableOpened, b.after)
}

// find returns content and key of a private message that is for us, or nil.
func (p *privates) find(rec *store.Record) (content []byte, unbox string) {
	m, ok := boxedOf(rec)
	if !ok {
		return nil, ""
	}
	if p.done.Load() < rec.Rx && p.catchUp(context.Background()) != nil {
		return nil, "" // a store that cannot be written to is noticed elsewhere
	}
	row, err := p.node.store.Table(tableOpened).Get(binary.BigEndian.AppendUint64(nil, rec.Rx))
	if err != nil {
		return nil, ""
	}
	return m.openRow(row)
}

// plain returns a record with its content in clear if it is for us, else the
// record itself.
func (p *privates) plain(rec *store.Record) *store.Record {
	content, _ := p.find(rec)
	if content == nil {
		return rec
	}
	open := *rec
	open.Value = replaceContent(rec.Value, content)
	return &open
}

// reveal returns a record whose value has its content in clear, as ssb-db hands
// it out, if it is for us, else the record itself.
func (p *privates) reveal(rec store.Record) store.Record {
	if content, unbox := p.find(&rec); content != nil {
		rec.Value = decorate(rec.Value, content, unbox)
	}
	return rec
}

// decorate replaces the content of a value and says what it was, as ssb-db
// does.
func decorate(value, content []byte, unbox string) []byte {
	was := ecmajson.Get(value, "content")
	value = replaceContent(value, content)
	value = append(value[:len(value)-1], `,"meta":{"original":{"content":`...)
	value = append(append(value, was...), `},"private":true,"unbox":"`...)
	value = append(append(value, unbox...), `"},"cyphertext":`...)
	value = append(append(value, was...), `,"private":true,"unbox":"`...)
	return append(append(value, unbox...), `"}`...)
}

// replaceContent returns a copy of a message's value with another content.
func replaceContent(value, content []byte) []byte {
	return replaceMember(value, "content", content)
}

// replaceMember returns a copy of an object in canonical JSON in which the
// member name, if there is one, has another value.
func replaceMember(text []byte, name string, replacement []byte) []byte {
	out := append(make([]byte, 0, len(text)+2*len(replacement)+256), '{')
	// Text that is canonical already: no error.
	_ = ecmajson.EachMember(text, func(key, value []byte) bool {
		if string(key[1:len(key)-1]) == name {
			value = replacement
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, key...), ':'), value...)
		return true
	})
	return append(out, '}')
}
