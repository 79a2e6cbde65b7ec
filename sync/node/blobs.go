package node

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"time"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
	blobfiles "github.com/ssbsync/ssbsync/store/blobs"
	"github.com/ssbsync/ssbsync/sync/blobs"
)

// blobsDir is where blobs lie in a home folder, as ssb-blobs has it.
const blobsDir = "blobs"

// blobKeeper is what a node does with blobs: it has them, finds out which ones
// messages refer to, wants those that the policy says, and keeps within the
// quota what it fetched.
type blobKeeper struct {
	node     *Node
	settings BlobSettings
	files    *blobfiles.Store
	exchange *blobs.Exchange

	asks      askCount   // wants and pushes of the user and apps
	following sync.Mutex // held while the references follow the receive log

	mu      sync.Mutex // guards what follows
	loaded  bool       // the next two are those of the store
	fetched map[refs.Blob]fetchedBlob
	bytes   int64                     // of fetched
	kept    [blobs.Sympathy + 1]int64 // room for what is being fetched, in bytes
}

// openBlobs opens the folder of blobs.
func (n *Node) openBlobs() (err error) {
	b := &blobKeeper{node: n, settings: n.config.blobSettings()}
	dir := filepath.Join(n.options.Home, blobsDir)
	if b.files, err = blobfiles.Open(dir, blobfiles.Config{Max: b.settings.Max, Now: n.options.Now}); err != nil {
		return err
	}
	b.exchange, err = blobs.New(blobs.Config{
		Blobs: b.files, Store: n.store, Sympathy: b.settings.Sympathy, Pushy: b.settings.Pushy,
		Room: b.room, Fetching: b.fetching, Log: n.options.Log,
	})
	if err != nil {
		return errors.Join(err, b.files.Close())
	}
	n.blobs = b
	return nil
}

// meet talks about blobs with a peer until the session ends.
func (b *blobKeeper) meet(ctx context.Context, remote refs.Feed, session *muxrpc.Session) {
	if err := b.exchange.Serve(ctx, remote, session); err != nil {
		b.node.options.Log.Debug("blobs are not exchanged", "peer", remote, "err", err)
	}
}

// run follows the messages and the policy, and notices what is stored, until
// ctx ends.
func (b *blobKeeper) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	failed := make(chan error, 1)
	go func() {
		failed <- b.exchange.Run(ctx)
		stop()
	}()
	err := b.follow(ctx)
	stop()
	if other := <-failed; other != nil {
		return other
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// Pauses of a running server: how long messages gather before it looks for
// references in them, how often it looks whether the policy has changed, and how
// often at all references anew, for what there was no place for.
const (
	blobPause  = 200 * time.Millisecond
	blobLook   = 5 * time.Second
	blobReview = 10 * time.Minute
)

// follow wants what new messages refer to, until ctx ends.
func (b *blobKeeper) follow(ctx context.Context) error {
	var reviewed time.Time
	var said [blobLen]byte
	var lately uint64
	for {
		last := b.node.store.Last()
		if err := b.catchUp(ctx); err != nil {
			return err
		}
		says, late := b.node.policy.digest(), b.node.private.lately.Load()
		if says != said || late != lately || time.Since(reviewed) > blobReview {
			said, lately, reviewed = says, late, time.Now()
			if err := b.review(ctx); err != nil {
				return err
			}
		}
		if err := b.node.waitForNews(ctx, last, blobLook); err != nil {
			return err
		}
		select { // many messages at a time
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(blobPause):
		}
		if b.node.store.Last()-last > store.MaxPage { // an import goes first
			if err := b.node.waitForQuiet(ctx); err != nil {
				return err
			}
		}
	}
}

// waitForNews returns when a message newer than last was stored, or a time has
// passed.
func (n *Node) waitForNews(ctx context.Context, last uint64, most time.Duration) error {
	waiting, stop := context.WithTimeout(ctx, most)
	defer stop()
	if err := n.store.Wait(waiting, last); err != nil && waiting.Err() == nil {
		return err
	}
	return ctx.Err()
}

// digest changes when the feeds do that are wanted or blocked.
func (p *policy) digest() (sum [blobLen]byte) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	mix := func(feed refs.Feed, salt byte) {
		for i := range sum {
			sum[i] ^= feed[i] + salt // in any order
		}
	}
	for feed, hops := range p.hops {
		mix(feed, byte(1+hops))
	}
	for salt, feeds := range []map[refs.Feed]bool{p.blocked, p.carried, p.kept, p.requested, p.refused, p.grouped} {
		for feed, yes := range feeds {
			if yes {
				mix(feed, byte(150+salt))
			}
		}
	}
	return sum
}
