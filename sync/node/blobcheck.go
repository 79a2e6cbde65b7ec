package node

import (
	"context"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
	blobfiles "github.com/ssbsync/ssbsync/store/blobs"
	"github.com/ssbsync/ssbsync/sync/blobs"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// blobOwnTable has blobs that are the user's own though they are not here,
// because their files were damaged or left out of a backup: when they come from
// a peer they are not what was fetched. Its values are empty.
const blobOwnTable = "node.blobown"

// BlobCheck is what ssbsync.check says of the blobs.
type BlobCheck struct {
	Blobs int64     `json:"blobs"` // that are what their names say
	Bytes int64     `json:"bytes"` // of those
	Bad   []BadBlob `json:"bad"`   // the first of those that are not
	Found int64     `json:"found"` // how many there are
	Left  int64     `json:"left"`  // how many were not set aside
}

// BadBlob is a file that is not the blob it is named after.
type BadBlob struct {
	ID     refs.Blob `json:"id"`
	Reason string    `json:"reason"`
	Own    bool      `json:"own"`    // it was added here, not fetched
	Aside  bool      `json:"aside"`  // it was set aside
	Wanted bool      `json:"wanted"` // it is asked for again
}

// maxBadBlobs is how many of them a report names.
const maxBadBlobs = 10_000

// checkBlobs reads all blobs. With repair it sets aside the bad ones and asks
// peers and sticks for them again.
func (n *Node) checkBlobs(ctx context.Context, st *muxrpc.Stream, repair bool) (*BlobCheck, error) {
	_, total, err := n.blobs.files.Usage()
	if err != nil {
		return nil, err
	}
	report := &BlobCheck{Bad: []BadBlob{}}
	tell := progressTo(ctx, st)
	good := func(info blobfiles.Info) error {
		report.Blobs++
		report.Bytes += info.Size
		tell(stick.Progress{Phase: stick.Checking, Bytes: report.Bytes, TotalBytes: total})
		return nil
	}
	err = n.blobs.files.Check(ctx, good, func(bad blobfiles.Bad) error {
		found := BadBlob{ID: bad.ID, Reason: bad.Reason}
		if err := n.blobs.badBlob(bad, &found, repair); err != nil {
			return err
		}
		if !found.Aside {
			report.Left++
		}
		if report.Found++; len(report.Bad) < maxBadBlobs {
			report.Bad = append(report.Bad, found)
		}
		return nil
	})
	return report, err
}

// badBlob says of a bad blob whose it is, and repairs it: it is set aside and,
// unless nobody here cares for it, asked for again.
func (b *blobKeeper) badBlob(bad blobfiles.Bad, found *BadBlob, repair bool) error {
	fetched, err := b.isFetched(bad.ID)
	if err != nil {
		return err
	}
	found.Own = fetched == nil
	if !repair {
		return nil
	}
	wanted := found.Own || fetched.origin != blobs.Sympathy
	if !wanted {
		if wanted, err = b.isReferenced(bad.ID); err != nil {
			return err
		}
	}
	if found.Aside, err = b.setAside(bad, found.Own); err != nil || !found.Aside || !wanted {
		return err
	}
	if err := b.exchange.Want(bad.ID); err != nil {
		return err
	}
	b.asks.add()
	found.Wanted = true
	return nil
}

// isFetched returns what is known of a blob that was fetched, nil of others.
func (b *blobKeeper) isFetched(id refs.Blob) (*fetchedBlob, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.load(); err != nil {
		return nil, err
	}
	if f, ok := b.fetched[id]; ok {
		return &f, nil
	}
	return nil, nil
}

// setAside sets a bad blob aside and reports whether it was still there. That
// it is the user's own is remembered first.
func (b *blobKeeper) setAside(bad blobfiles.Bad, own bool) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if own {
		if err := b.node.store.Table(blobOwnTable).Put(bad.ID[:], nil); err != nil {
			return false, err
		}
	}
	done, err := b.files.SetAside(bad)
	if err != nil || !done {
		return done, err
	}
	return true, b.unfetch(bad.ID)
}

// unfetch no longer counts a blob among those that were fetched. The caller
// holds b.mu.
func (b *blobKeeper) unfetch(id refs.Blob) error {
	b.bytes -= b.fetched[id].size
	delete(b.fetched, id)
	return b.node.store.Table(fetchedTable).Update(func(tx *store.TableTx) error { return tx.Delete(id[:]) })
}
