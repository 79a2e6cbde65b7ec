package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// BackupOptions are the options of ssbsync.backup.
type BackupOptions struct {
	// Move locks publishing for good before the store is copied: the
	// identity goes on elsewhere.
	Move bool `json:"move,omitempty"`

	Blobs BackupBlobs `json:"blobs,omitempty"`
}

// backup sends a backup (spec/backup.md) as bytes: ssbsync.backup({move, blobs}).
// With blobs, own or all, a report follows (BackupReport). The backup has no
// identity: who may have that has the home folder, and need not ask.
func (n *Node) backup(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	var o BackupOptions
	if err := options(c, &o); err != nil {
		return err
	}
	if err := o.Blobs.check(); err != nil {
		return err
	}
	if o.Move {
		if err := n.lockMoved(ctx); err != nil {
			return fmt.Errorf("locking publishing: %w", err)
		}
	}
	spool, h, err := n.snapshot()
	if err != nil {
		return spaceError(fmt.Errorf("backing up: %w", err))
	}
	defer os.Remove(spool.Name())
	defer spool.Close()
	h.Network, h.Created = n.netID, n.options.Now().UnixMilli()
	if o.Blobs == OwnBlobs || o.Blobs == AllBlobs {
		info, err := spool.Stat()
		if err != nil {
			return fmt.Errorf("backing up: %w", err)
		}
		h.Packed = info.Size()
	}
	return n.sendBackup(ctx, st, &o, h, spool)
}

// lockMoved locks publishing and returns when no publication is under way any
// more.
func (n *Node) lockMoved(ctx context.Context) error {
	if err := n.guard.Lock(stick.LockMoved); err != nil {
		return err
	}
	// Whatever passed the guard before the lock is committed before the
	// writer turns to this.
	stop := errors.New("nothing to publish")
	_, err := n.ingest.Publish(ctx, n.keys.Feed(), func(message.Head) (*message.Message, error) { return nil, stop })
	if errors.Is(err, stop) {
		return nil
	}
	return err
}

// snapshot copies the store, compressed, into a file of our own disk, from
// which it is sent at whatever pace: the database must not wait for who reads
// the copy.
func (n *Node) snapshot() (spool *os.File, h store.BackupHeader, err error) {
	spool, err = os.CreateTemp(filepath.Join(n.options.Home, ownDir), "backup-*.tmp")
	if err != nil {
		return nil, h, err
	}
	os.Remove(spool.Name()) // where that is possible, so that nothing stays if we are killed
	h, err = n.store.Snapshot(n.keys.Feed(), &roomyWriter{node: n, w: spool})
	if err == nil {
		_, err = spool.Seek(0, io.SeekStart)
	}
	if err != nil {
		spool.Close()
		os.Remove(spool.Name())
		return nil, h, err
	}
	return spool, h, nil
}

// roomEvery is after how many bytes a roomyWriter looks at the disk again.
const roomEvery = 16 << 20

// roomyWriter writes as long as it does not use up the reserve of the disk.
type roomyWriter struct {
	node *Node
	w    io.Writer
	left int // bytes until it looks again
}

func (w *roomyWriter) Write(b []byte) (int, error) {
	if w.left -= len(b); w.left < 0 {
		if err := w.node.room(); err != nil {
			return 0, &muxrpc.RemoteError{Name: ErrorNoSpace, Message: err.Error()}
		}
		w.left = roomEvery
	}
	return w.w.Write(b)
}
