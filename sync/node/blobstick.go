package node

import (
	"context"
	"errors"

	"github.com/ssbsync/ssbsync/spec/refs"
	blobfiles "github.com/ssbsync/ssbsync/store/blobs"
	"github.com/ssbsync/ssbsync/sync/blobs"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// stickBlobs are the node's blobs as a visit of a stick sees them.
type stickBlobs struct{ *blobKeeper }

var _ stick.Blobs = stickBlobs{}

// Wanted implements stick.Blobs: what was asked for, and what messages refer to.
func (b stickBlobs) Wanted() ([]refs.Blob, error) {
	list, err := b.missing(context.Background())
	if err != nil {
		return nil, err
	}
	for _, w := range b.exchange.Wants() {
		if w.Origin == blobs.Asked && !b.files.Has(w.ID) {
			list = append(list, w.ID)
		}
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
	if err := b.room(blobs.Referenced, int64(len(data))); err != nil {
		return err
	}
	if err := b.fetching(id, int64(len(data)), blobs.Referenced); err != nil {
		return err
	}
	if _, err := b.files.PutBytes(data, id); err != nil {
		return err
	}
	return b.exchange.Unwant(id)
}

// Offered implements stick.Blobs: what feeds refer to that accept lets through,
// and what is pushed.
func (b stickBlobs) Offered(accept func(refs.Feed) bool) ([]refs.Blob, error) {
	if accept == nil {
		accept = func(refs.Feed) bool { return true }
	}
	ctx := context.Background()
	if err := b.catchUp(ctx, false); err != nil {
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

// isGone reports whether a blob that was here cannot be read any more.
func isGone(err error) bool {
	return errors.Is(err, blobfiles.ErrNotFound) || errors.Is(err, blobfiles.ErrDamaged)
}
