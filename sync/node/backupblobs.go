package node

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
	blobfiles "github.com/ssbsync/ssbsync/store/blobs"
)

// BackupBlobs says which blobs go into a backup.
type BackupBlobs string

// Which blobs go into a backup.
const (
	NoBlobs  BackupBlobs = "none" // also ""
	OwnBlobs BackupBlobs = "own"  // those that were added here: all but the fetched ones
	AllBlobs BackupBlobs = "all"
)

// BackupReport is the last item of ssbsync.backup, when blobs were asked for.
type BackupReport struct {
	Blobs   int64     `json:"blobs"`
	Bytes   int64     `json:"bytes"`   // of the blobs
	Left    int64     `json:"left"`    // fetched ones that were not asked for
	Bad     []BadBlob `json:"bad"`     // the first of those that are damaged: they are not in it
	Damaged int64     `json:"damaged"` // how many there are
}

// blobsToBackUp writes blobs into a backup.
type blobsToBackUp struct {
	ctx    context.Context
	keeper *blobKeeper
	all    bool
	report BackupReport
}

// addTo writes them. They are read one at a time, in small pieces; what comes
// or goes meanwhile is in the backup or is not.
func (w *blobsToBackUp) addTo(add store.AddBlob) error {
	for info, err := range w.keeper.files.All() {
		if err == nil {
			err = context.Cause(w.ctx)
		}
		if err != nil {
			return err
		}
		fetched, err := w.keeper.isFetched(info.ID)
		if err != nil {
			return err
		}
		if fetched != nil && !w.all {
			w.report.Left++
			continue
		}
		if err := w.one(add, info.ID, fetched == nil); err != nil {
			return err
		}
	}
	return w.hollow()
}

// hollow reports the blobs that were to be written and of which only an empty
// file is here.
func (w *blobsToBackUp) hollow() error {
	for id, err := range w.keeper.files.Hollow() {
		if err == nil {
			err = context.Cause(w.ctx)
		}
		if err != nil {
			return err
		}
		if fetched, err := w.keeper.isFetched(id); err != nil {
			return err
		} else if fetched == nil || w.all {
			w.bad(id, fetched == nil, "it is empty")
		}
	}
	return nil
}

// one writes a blob, if it is what its name says: it is read twice, so that
// none has to fit into memory.
func (w *blobsToBackUp) one(add store.AddBlob, id refs.Blob, own bool) error {
	f, err := w.keeper.files.Open(id)
	if errors.Is(err, blobfiles.ErrNotFound) {
		return nil // removed meanwhile
	}
	if err != nil {
		w.bad(id, own, err.Error())
		return nil
	}
	defer f.Close()
	if f.Size() > store.MaxBackupBlob {
		w.bad(id, own, "it is too large for a backup")
		return nil
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		w.bad(id, own, err.Error())
		return nil
	}
	if refs.Blob(sum.Sum(nil)) != id {
		w.bad(id, own, fmt.Sprintf("its %d bytes are something else", f.Size()))
		return nil
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := add(id, f.Size(), f); err != nil {
		return err
	}
	w.report.Blobs++
	w.report.Bytes += f.Size()
	return nil
}

func (w *blobsToBackUp) bad(id refs.Blob, own bool, reason string) {
	w.report.Damaged++
	if len(w.report.Bad) < maxBadBlobs {
		w.report.Bad = append(w.report.Bad, BadBlob{ID: id, Reason: reason, Own: own})
	}
}

// sendBackup sends a backup whose database is in a file, and the report.
func (n *Node) sendBackup(ctx context.Context, st *muxrpc.Stream, o *BackupOptions, h store.BackupHeader, database io.Reader) error {
	w := &streamWriter{ctx: ctx, stream: st}
	if o.Blobs == "" || o.Blobs == NoBlobs {
		return store.WriteBackup(w, h, database, nil)
	}
	list := &blobsToBackUp{ctx: ctx, keeper: n.blobs, all: o.Blobs == AllBlobs, report: BackupReport{Bad: []BadBlob{}}}
	if err := store.WriteBackup(w, h, database, list.addTo); err != nil {
		return err
	}
	return st.Send(ctx, list.report)
}

// check reports what cannot be.
func (b BackupBlobs) check() error {
	switch b {
	case "", NoBlobs, OwnBlobs, AllBlobs:
		return nil
	}
	return usage("ssbsync.backup: blobs: %.20q is neither none, own nor all", string(b))
}
