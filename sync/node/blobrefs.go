package node

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
)

const (
	// blobRefTable says which feeds refer to which blobs: blob id and feed, with
	// receive number and sequence of the latest message that does. It follows the receive
	// log from the cursor of its name and can be rebuilt.
	blobRefTable = "node.blobrefs"

	// blobRefusedTable has the blobs that the user removed: they are not wanted
	// again by themselves. Its values are empty.
	blobRefusedTable = "node.blobrefused"
)

const blobLen = len(refs.Blob{})

// blobsIn calls each with the blobs that a message refers to: whatever looks
// like the id of one in it, be it a link of its own or one in a text.
func blobsIn(content []byte, each func(refs.Blob)) {
	const idLen = 1 + 44 + len(".sha256")
	for {
		at := bytes.IndexByte(content, '&')
		if at < 0 || len(content)-at < idLen {
			return
		}
		if id, err := refs.ParseBlob(string(content[at : at+idLen])); err == nil {
			each(id)
		}
		content = content[at+1:]
	}
}

// reference is a row of blobRefTable.
type reference struct {
	blob refs.Blob
	feed refs.Feed
	rx   uint64
	seq  int64
}

func (r *reference) value() []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, r.rx), uint64(r.seq))
}

func (r *reference) key() []byte {
	return append(append(make([]byte, 0, 2*blobLen), r.blob[:]...), r.feed[:]...)
}

// putLate adds the row of a message that could not be read when its turn came,
// unless a later message of the feed refers to the blob too.
func (r *reference) putLate(tx *store.TableTx) error {
	table := tx.Table(blobRefTable)
	old, err := table.Get(r.key())
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	} else if before, ok := readReference(store.Entry{Key: r.key(), Value: old}); ok && before.rx >= r.rx {
		return nil
	}
	if err != nil {
		return err
	}
	return table.Put(r.key(), r.value())
}

// readReference reads a row; what is none is left out.
func readReference(row store.Entry) (r reference, ok bool) {
	if len(row.Key) != 2*blobLen || len(row.Value) != 16 {
		return r, false
	}
	return reference{
		refs.Blob(row.Key[:blobLen]), refs.Feed(row.Key[blobLen:]),
		binary.BigEndian.Uint64(row.Value), int64(binary.BigEndian.Uint64(row.Value[8:])),
	}, true
}

// catchUp follows the receive log, and wants what is new in it: whoever is the
// first to read a message, a visit or an app, nobody reads it again. A kill in
// between costs only the pages under way.
func (b *blobKeeper) catchUp(ctx context.Context) error {
	if err := b.node.private.catchUp(ctx); err != nil { // which may clear the table
		return err
	}
	b.following.Lock()
	defer b.following.Unlock()
	after, err := b.node.store.Cursor(blobRefTable)
	for err == nil && ctx.Err() == nil && after < b.node.store.Last() {
		var found []reference
		if found, after, err = b.followFrom(after); err == nil {
			b.refer(found)
		}
	}
	if err == nil {
		err = ctx.Err()
	}
	return err
}

// followFrom takes in some pages of the receive log.
func (b *blobKeeper) followFrom(after uint64) (found []reference, last uint64, err error) {
	for range indexPages {
		page, err := b.node.store.LogPage(after, 0, 0, false)
		if err != nil {
			return nil, after, err
		}
		for i := range page {
			rec := &page[i]
			after = rec.Rx
			blobsIn(b.readable(rec), func(id refs.Blob) { found = append(found, reference{id, rec.Feed, rec.Rx, rec.Seq}) })
		}
	}
	err = b.node.store.Table(blobRefTable).Update(func(tx *store.TableTx) error {
		for i := range found {
			if err := tx.Put(found[i].key(), found[i].value()); err != nil {
				return err
			}
		}
		return tx.SetCursor(blobRefTable, after)
	})
	return found, after, err
}

// readable returns the text of a message, that of a private one for us in clear.
// Outside its content there is nothing that looks like the id of a blob.
func (b *blobKeeper) readable(rec *store.Record) []byte {
	if bytes.Contains(rec.Value, []byte(`"content":"`)) {
		rec = b.node.private.plain(rec)
	}
	return rec.Value
}

// refer wants the blobs that feeds which matter refer to.
func (b *blobKeeper) refer(found []reference) {
	ids := make([]refs.Blob, 0, len(found))
	for i := range found {
		if b.matters(found[i].feed) && !b.refused(found[i].blob) {
			ids = append(ids, found[i].blob)
		}
	}
	b.exchange.Refer(ids...)
}

// matters reports whether what a feed refers to is wanted.
func (b *blobKeeper) matters(feed refs.Feed) bool {
	if !b.node.policy.Wants(feed) {
		return false
	}
	limit := b.settings.Hops
	if limit == nil {
		return true
	}
	hops := b.node.policy.Hops(feed)
	return hops >= 0 && hops <= *limit
}

func (b *blobKeeper) refused(id refs.Blob) bool {
	_, err := b.node.store.Table(blobRefusedTable).Get(id[:])
	return err == nil
}

// eachReference calls fn with all references, by blob.
func (b *blobKeeper) eachReference(ctx context.Context, fn func(reference)) error {
	for from := []byte(nil); ; {
		rows, err := b.node.store.Table(blobRefTable).Scan(nil, from, 0)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, row := range rows {
			if r, ok := readReference(row); ok {
				fn(r)
			}
		}
		from = append(rows[len(rows)-1].Key, 0)
	}
}

// referenced returns the blobs to which messages refer that keep reports true
// of, the latest first.
func (b *blobKeeper) referenced(ctx context.Context, keep func(feed refs.Feed, seq int64) bool) ([]refs.Blob, error) {
	var list []reference // one for each blob
	err := b.eachReference(ctx, func(r reference) {
		if !keep(r.feed, r.seq) {
			return
		}
		if n := len(list) - 1; n >= 0 && list[n].blob == r.blob {
			list[n].rx = max(list[n].rx, r.rx)
			return
		}
		list = append(list, r)
	})
	slices.SortFunc(list, func(x, y reference) int {
		return cmp.Or(cmp.Compare(y.rx, x.rx), x.blob.Compare(y.blob))
	})
	ids := make([]refs.Blob, len(list))
	for i := range list {
		ids[i] = list[i].blob
	}
	return ids, err
}

// isReferenced reports whether a feed that matters refers to a blob, or our own.
func (b *blobKeeper) isReferenced(id refs.Blob) (bool, error) {
	for from := []byte(nil); ; {
		rows, err := b.node.store.Table(blobRefTable).Scan(id[:], from, 0)
		if err != nil || len(rows) == 0 {
			return false, err
		}
		for _, row := range rows {
			if r, ok := readReference(row); ok && (r.feed == b.node.keys.Feed() || b.matters(r.feed)) {
				return true, nil
			}
		}
		from = append(rows[len(rows)-1].Key, 0)
	}
}

// maxReferred is how many blobs are wanted at a time because messages refer to
// them.
const maxReferred = 1 << 16

// missing lists the blobs that are not here and wanted because of messages of
// feeds that matter, the latest first.
func (b *blobKeeper) missing(ctx context.Context, matters func(refs.Feed) bool) ([]refs.Blob, error) {
	if err := b.catchUp(ctx); err != nil {
		return nil, err
	}
	all, err := b.referenced(ctx, func(feed refs.Feed, _ int64) bool { return matters(feed) })
	if err != nil {
		return nil, err
	}
	list := all[:0]
	for _, id := range all {
		if len(list) < maxReferred && !b.files.Has(id) && !b.refused(id) {
			list = append(list, id)
		}
	}
	return list, nil
}

// review wants what is missing now, and nothing else that was wanted for that
// reason.
func (b *blobKeeper) review(ctx context.Context) error {
	list, err := b.missing(ctx, b.matters)
	if err != nil {
		return err
	}
	wanted := make(map[refs.Blob]struct{}, len(list))
	for _, id := range list {
		wanted[id] = struct{}{}
	}
	b.exchange.Unrefer(func(id refs.Blob) bool { _, ok := wanted[id]; return ok })
	slices.Reverse(list) // the latest last: they go first
	b.exchange.Refer(list...)
	return nil
}
