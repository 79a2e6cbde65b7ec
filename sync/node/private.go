package node

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/ssbsync/ssbsync/spec/envelope"
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

	lately atomic.Uint64 // counts the steps in which messages opened late

	members askCount // counts news of who is in our groups
	makers  sync.Map // handle of a group → refs.Feed: who made it

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
// cleared, and so is what other tables took from the private messages that it
// could read, or lack of those that it could not.
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
		for _, name := range append(p.node.revealing(), privateTables...) {
			if err := errors.Join(tx.Table(name).Clear(), tx.SetCursor(name, 0)); err != nil {
				return err
			}
		}
		return tx.Put([]byte("feed"), self[:])
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
	return p.catchUpTo(ctx, p.node.store.Last())
}

// catchUpTo looks at what was received, at least up to a message that somebody
// has read: it is in the store a moment before the store's Last tells of it.
func (p *privates) catchUpTo(ctx context.Context, rx uint64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.load(); err != nil {
		return err
	}
	for p.done.Load() < max(rx, p.node.store.Last()) {
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
		for i, letter := range p.unseal(page) {
			p.look(batch, &page[i], letter)
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
		if len(batch.late) > 0 {
			p.lately.Add(1)
		}
	}
	p.done.Store(batch.after)
	if batch.members {
		p.members.add()
	}
	return nil
}

// look tries to open a new message.
func (p *privates) look(batch *privateBatch, rec *store.Record, l letter) {
	if !l.private {
		return
	}
	if l.m.isEnvelope() { // the keys are those of the messages before
		l.row, l.content = p.open(l.m)
	}
	if l.row != nil {
		p.opened(batch, rec, l.m, l.row, l.content)
	} else if l.m.isEnvelope() {
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
	blobsIn(content, func(id refs.Blob) { batch.blobs = append(batch.blobs, reference{id, rec.Feed, rx, rec.Seq}) })
	return nil
}

// revealing are the tables outside of this file whose rows depend on which
// private messages can be read. Each follows the receive log from a cursor of its
// name.
func (n *Node) revealing() []string {
	tables := []string{blobRefTable}
	for _, ix := range n.indexes {
		if ix.reveals {
			tables = append(tables, ix.name)
		}
	}
	return tables
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

// read returns the content of a private message that need not be in the store,
// or nil.
func (p *privates) read(m boxed) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.load(); err != nil {
		return nil, err
	}
	_, content := p.open(m)
	return content, nil
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
