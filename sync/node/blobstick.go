package node

import (
	"context"
	"fmt"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store/durable"
	"github.com/ssbsync/ssbsync/sync/blobs"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// stickBlobs are the node's blobs as a visit of a stick sees them.
type stickBlobs struct{ *blobKeeper }

var _ stick.Blobs = stickBlobs{}

// maxHaveBlobs is how many blobs a stick is asked for at a time: who does not
// trust us passes over a have with too much in it.
const maxHaveBlobs = 1 << 13

// Wanted implements stick.Blobs: what was asked for, and what messages refer to.
func (b stickBlobs) Wanted(too func(refs.Feed) bool) ([]refs.Blob, error) {
	matters := b.matters
	if too != nil && b.settings.Hops == nil {
		matters = func(feed refs.Feed) bool { return too(feed) || b.matters(feed) }
	}
	missing, err := b.missing(context.Background(), matters)
	if err != nil {
		return nil, err
	}
	var list []refs.Blob
	for _, w := range b.exchange.Wants() {
		if w.Origin == blobs.Asked && !b.files.Has(w.ID) {
			list = append(list, w.ID)
		}
	}
	list = append(list, missing...)
	if too == nil {
		list = list[:min(len(list), maxHaveBlobs)]
	}
	return list, nil
}

// Size implements stick.Blobs.
func (b stickBlobs) Size(id refs.Blob) (int64, bool) {
	size, err := b.files.Size(id)
	return size, err == nil
}

// Get implements stick.Blobs.
func (b stickBlobs) Get(id refs.Blob) ([]byte, error) { return b.files.ReadAll(id, 0) }

// Put implements stick.Blobs.
func (b stickBlobs) Put(id refs.Blob, data []byte) error {
	done, err := b.room(blobs.Referenced, int64(len(data)))
	if err != nil {
		return fmt.Errorf("%w: %v", stick.ErrNoRoom, err)
	}
	defer done()
	if err := b.fetching(id, int64(len(data)), blobs.Referenced); err != nil {
		return err
	}
	if _, err := b.files.PutBytes(data, id); err != nil {
		if durable.IsFull(err) {
			err = fmt.Errorf("%w: %v", stick.ErrNoRoom, err)
		}
		return err
	}
	return b.exchange.Unwant(id)
}

// Offered implements stick.Blobs. What is pushed is offered always.
func (b stickBlobs) Offered(accept func(feed refs.Feed, seq int64) bool) ([]refs.Blob, error) {
	if b.empty() {
		return nil, nil // what messages refer to need not be known, which may be work
	}
	ctx := context.Background()
	if err := b.catchUp(ctx); err != nil {
		return nil, err
	}
	all, err := b.referenced(ctx, accept)
	if err != nil {
		return nil, err
	}
	all = append(all, b.exchange.Pushing()...)
	list := all[:0]
	for _, id := range all {
		if b.files.Has(id) {
			list = append(list, id)
		}
	}
	return list, nil
}

// empty reports whether there are no blobs at all.
func (b stickBlobs) empty() bool {
	for range b.files.All() {
		return false // a blob, or an error which somebody else will tell
	}
	return true
}
