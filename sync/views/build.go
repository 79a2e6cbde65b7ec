package views

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
)

// batch is what one step adds.
type batch struct {
	rows   map[string][]byte   // postings by key of their row
	names  map[[64]byte]saying // by who and whom
	images map[[64]byte]saying
	closed []uint64 // envelopes that are not for us
	opened []uint64 // of those, the ones that are after all
	after  uint64   // the cursor
	tip    refs.Message
}

// saying is what a message calls a feed.
type saying struct {
	rx   uint64
	text []byte
}

func newBatch(after uint64) *batch {
	return &batch{rows: map[string][]byte{}, names: map[[64]byte]saying{}, images: map[[64]byte]saying{}, after: after}
}

// step indexes the messages of one block at most. mu must be held.
func (v *Views) step(ctx context.Context, side *store.Side) (more bool, err error) {
	var after uint64
	err = side.View(tableMeta, func(tx *store.TableTx) error {
		after, err = cursorIn(tx)
		return err
	})
	if err != nil {
		return false, err
	}
	b := newBatch(after)
	late := v.config.Late() + 1
	if late != v.late {
		if err := v.reopen(ctx, side, b); err != nil {
			return false, err
		}
	}
	if err := v.read(ctx, b); err != nil {
		return false, err
	}
	if b.after > after || len(b.opened) > 0 {
		if err := side.Update(tableTerms, b.commit); err != nil {
			return false, err
		}
	}
	v.late = late
	return b.after < v.config.Store.Last(), nil
}

// read takes in the messages up to the end of a block, or as many as a step
// may have.
func (v *Views) read(ctx context.Context, b *batch) error {
	end := (b.after+1)/BlockSize*BlockSize + BlockSize // the first of the next block
	for left := v.config.Step; ctx.Err() == nil; left -= store.MaxPage {
		if v.config.Step > 0 && left <= 0 {
			return nil
		}
		page, err := v.config.Store.LogPage(b.after, end, max(left, 0), false)
		if err != nil || len(page) == 0 {
			return err
		}
		for i := range page {
			b.add(&page[i], v.config.Plain(&page[i]))
			b.after, b.tip = page[i].Rx, page[i].ID
		}
	}
	return ctx.Err()
}

// reopen takes in the messages that opened late.
func (v *Views) reopen(ctx context.Context, side *store.Side, b *batch) error {
	var list []uint64
	err := side.View(tableClosed, func(tx *store.TableTx) error {
		return tx.Each(nil, nil, func(key, _ []byte) bool {
			list = append(list, binary.BigEndian.Uint64(key))
			return true
		})
	})
	for _, rx := range list {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		rec, err := v.config.Store.Rx(rx)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if plain := v.config.Plain(&rec); plain != &rec {
			b.add(&rec, plain)
			b.opened = append(b.opened, rx)
		}
	}
	return err
}

// add takes in a message, of which plain is the record with its content in
// clear.
func (b *batch) add(rec, plain *store.Record) {
	view, err := message.Fields(plain.Value)
	if err != nil || len(view.Content) == 0 {
		return
	}
	content := view.Content
	if content[0] != '{' {
		if bytes.HasSuffix(content, []byte(`.box2"`)) {
			b.closed = append(b.closed, rec.Rx)
		}
		return
	}
	claimed := view.Timestamp
	if math.IsNaN(claimed) {
		claimed = rec.Received
	}
	typ := stringIn(content, "type")
	if typ != nil {
		b.put(rec.Rx, term(kindType, typ), claimed)
		b.put(rec.Rx, authorTerm(rec.Feed, typ), claimed)
	}
	if root := stringIn(content, "root"); root != nil {
		b.put(rec.Rx, term(kindRoot, root), claimed)
	}
	if channel := stringIn(content, "channel"); channel != nil {
		b.put(rec.Rx, term(kindChannel, channel), 0)
	}
	EachLink(content, func(dest []byte) {
		b.put(rec.Rx, linkTerm(dest, typ), min(claimed, rec.Received))
	})
	if text := ecmajson.Get(content, "text"); len(text) > 2 && text[0] == '"' {
		for _, word := range Words(unquote(text)) {
			b.put(rec.Rx, term(kindWord, []byte(word)), 0)
		}
	}
	b.name(rec, typ, content)
}

// put adds a message to the postings of a term.
func (b *batch) put(rx uint64, term []byte, at float64) {
	key := rowKey(rx/BlockSize, string(term))
	b.rows[string(key)] = appendPosting(b.rows[string(key)], rx, timed(term[0]), at)
}

// name takes in what a message calls feeds, as npm ssb-names does: about
// messages with a name, and the names in mentions; and images of about
// messages. What is taken back leaves a saying without text.
func (b *batch) name(rec *store.Record, typ, content []byte) {
	if string(typ) == "about" {
		about, err := feedIn(content, "about")
		if image := imageIn(content); err == nil && (image != nil || removed(content, "image")) {
			b.images[pair(rec.Feed, about)] = saying{rec.Rx, bytes.Clone(image)}
		}
		if name := stringIn(content, "name"); err == nil && (len(name) > 0 || removed(content, "name")) {
			b.names[pair(rec.Feed, about)] = saying{rec.Rx, bytes.Clone(name)}
			return
		}
	}
	mentions := ecmajson.Get(content, "mentions")
	if len(mentions) == 0 || mentions[0] != '[' {
		return
	}
	eachElement(mentions, func(mention []byte) {
		if mention[0] != '{' {
			return
		}
		link, err := feedIn(mention, "link")
		if name := stringIn(mention, "name"); err == nil && len(name) > 0 {
			b.names[pair(rec.Feed, link)] = saying{rec.Rx, bytes.Clone(name)}
		}
	})
}

// removed reports whether a member takes back what was said before, as
// {"remove": true} does in about messages.
func removed(content []byte, name string) bool {
	object := ecmajson.Get(content, name)
	return len(object) > 0 && object[0] == '{' && string(ecmajson.Get(object, "remove")) == "true"
}

// imageIn returns the blob of an about message, or nil.
func imageIn(content []byte) []byte {
	if removed(content, "image") {
		return nil
	}
	image := stringIn(content, "image")
	if object := ecmajson.Get(content, "image"); len(object) > 0 && object[0] == '{' {
		image = stringIn(object, "link")
	}
	if _, err := refs.ParseBlob(string(image)); err != nil {
		return nil
	}
	return image
}

func feedIn(object []byte, name string) (refs.Feed, error) {
	return refs.ParseFeed(string(stringIn(object, name)))
}

func pair(from, to refs.Feed) (key [64]byte) {
	copy(key[copy(key[:], from[:]):], to[:])
	return key
}

// commit writes the batch.
func (b *batch) commit(tx *store.TableTx) error {
	if err := b.putRows(tx); err != nil {
		return err
	}
	if err := putSayings(tx.Table(tableNames), b.names); err != nil {
		return err
	}
	if err := putSayings(tx.Table(tableImages), b.images); err != nil {
		return err
	}
	closed := tx.Table(tableClosed)
	for _, rx := range b.opened {
		if err := closed.Delete(binary.BigEndian.AppendUint64(nil, rx)); err != nil {
			return err
		}
	}
	for _, rx := range b.closed {
		if err := closed.Put(binary.BigEndian.AppendUint64(nil, rx), nil); err != nil {
			return err
		}
	}
	if b.tip.IsZero() { // nothing but what opened late
		return nil
	}
	return tx.Table(tableMeta).Put(keyCursor, append(binary.BigEndian.AppendUint64(nil, b.after), b.tip[:]...))
}

// putRows adds the postings in the order of the table, which is the fastest.
func (b *batch) putRows(tx *store.TableTx) error {
	keys := make([]string, 0, len(b.rows))
	for key := range b.rows {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		was, err := tx.Get([]byte(key))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err := tx.Put([]byte(key), append(was, b.rows[key]...)); err != nil {
			return err
		}
	}
	return nil
}

// putSayings keeps the latest of what somebody says of somebody.
func putSayings(tx *store.TableTx, all map[[64]byte]saying) error {
	for key, s := range all {
		was, err := tx.Get(key[:])
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if len(was) >= 8 && binary.BigEndian.Uint64(was) > s.rx {
			continue
		}
		if err := tx.Put(key[:], append(binary.BigEndian.AppendUint64(nil, s.rx), s.text...)); err != nil {
			return err
		}
	}
	return nil
}
