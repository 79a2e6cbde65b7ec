// Package node puts the parts of ssbsync together: a home folder with an
// identity and a store, the one way in, the follow graph and the stick, behind
// one API that is called over muxrpc. The command line, apps and peers are all
// clients of that API; a command without a running server opens a node in its
// own process and talks to it over a pipe.
package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/gossip"
	"github.com/ssbsync/ssbsync/sync/graph"
	"github.com/ssbsync/ssbsync/sync/history"
	"github.com/ssbsync/ssbsync/sync/ingest"
	"github.com/ssbsync/ssbsync/sync/stick"
	"github.com/ssbsync/ssbsync/sync/views"
	"github.com/ssbsync/ssbsync/watch"
)

// The files of a home folder that are ours; the others are those of the
// JavaScript programs (secret, config, blobs).
const (
	ownDir    = "ssbsync"
	storeFile = ownDir + "/store.db"
)

// Options say which node to open. Home must be set.
type Options struct {
	Home    string           // the home folder, made when it is not there
	Timeout time.Duration    // how long to wait for another process to leave the store
	Version string           // of the program
	Log     *slog.Logger     // nil = slog.Default()
	Now     func() time.Time // nil = time.Now

	// Created, when set, is called with the id of an identity that Open had
	// to make.
	Created func(id string)

	// OnMedia, when set, is called for every event of a medium while Run runs,
	// from one goroutine, progress included. Visits do not wait for it.
	OnMedia func(MediaEvent)
}

// Node is an opened home folder. Its methods may be called from many
// goroutines.
type Node struct {
	options Options
	home    *os.Root
	config  *Config
	keys    *keys.Pair
	hmac    *keys.HMAC
	caps    [32]byte // access key of the network
	netID   [32]byte // what bundles call it

	store  *store.Store
	ingest *ingest.Pipeline
	graph  *graph.Graph
	policy *policy
	guard  *stick.Guard
	peer   *stick.Peer
	mux    *muxrpc.Mux
	made   made // belongs to the ingest pipeline's writer, which calls create

	arrivals arrivals

	blobs   *blobKeeper
	history *history.Server
	network func() (*gossip.Gossip, error) // made at the first call
	opened  atomic.Pointer[gossip.Gossip]  // what network returned
	server  atomic.Pointer[server]         // nil unless Run does

	media       *mediaLog
	visitor     atomic.Pointer[visitor] // nil unless Run visits media
	mediaSource newMediaSource
	listMedia   func() ([]watch.Medium, error)

	private                   *privates
	claimed, byType, byTarget *index
	indexes                   []*index // all of them
	indexStart                uint64   // how far they had come at the start
	views                     *views.Views

	stop    context.CancelFunc
	stopped chan struct{} // closed when the pipeline has returned
	failed  error         // why it returned; valid once stopped is closed
}

// Open opens the home folder, makes what is missing (identity, store) and
// starts the one way in. Errors wrap store.ErrLocked when another process
// holds the store.
func Open(o Options) (*Node, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	n := &Node{options: o, stopped: make(chan struct{}), media: newMediaLog(), mediaSource: watchMedia, listMedia: watch.Media}
	if err := n.openHome(); err != nil {
		return nil, err
	}
	if err := n.openParts(); err != nil {
		n.home.Close()
		if n.blobs != nil {
			n.blobs.files.Close()
		}
		if n.store != nil {
			n.store.Close()
		}
		return nil, err
	}
	n.start()
	if err := n.resumeCarrying(context.Background()); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// openHome opens the folder and reads config and secret.
func (n *Node) openHome() (err error) {
	if err := os.MkdirAll(filepath.Join(n.options.Home, ownDir), 0o700); err != nil {
		return fmt.Errorf("opening the home folder: %w", err)
	}
	if n.home, err = os.OpenRoot(n.options.Home); err != nil {
		return fmt.Errorf("opening the home folder: %w", err)
	}
	if n.config, err = readConfig(n.home); err == nil {
		n.hmac, err = n.config.HMAC()
	}
	var shs [32]byte
	if err == nil {
		shs, err = n.config.SHS()
	}
	if err == nil {
		n.caps, n.netID = shs, networkID(shs, n.hmac)
		err = n.openIdentity()
	}
	if err != nil {
		n.home.Close()
		return fmt.Errorf("home folder %s: %w", n.options.Home, err)
	}
	return nil
}

// networkID names the network of the caps.
func networkID(shs [32]byte, sign *keys.HMAC) [32]byte {
	if sign == nil {
		return bundle.NetworkID(shs, nil)
	}
	return bundle.NetworkID(shs, sign[:])
}

// openIdentity reads the secret, or makes one.
func (n *Node) openIdentity() (err error) {
	n.keys, err = readSecret(n.home)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if n.keys, err = makeSecret(n.home); err != nil {
		return err
	}
	if n.options.Created != nil {
		n.options.Created(n.keys.Feed().String())
	}
	return nil
}

// openParts opens store, pipeline, graph and stick on top of each other.
func (n *Node) openParts() (err error) {
	path := filepath.Join(n.options.Home, filepath.FromSlash(storeFile))
	if n.store, err = store.Open(path, store.Options{Timeout: n.options.Timeout, Now: n.options.Now}); err != nil {
		return err
	}
	if n.graph, err = graph.Open(n.store); err != nil {
		return err
	}
	n.policy = newPolicy(n)
	n.private = newPrivates(n)
	n.guard = stick.NewGuard(n.store, n.keys.Feed())
	if err := n.openBlobs(); err != nil {
		return err
	}
	n.ingest = ingest.New(ingest.Config{
		Store: n.store, Net: n.hmac, Waiting: store.WaitingLimits{Wanted: n.policy.Wants},
		Own: n.keys.Feed(), OnOwn: n.proved, Room: n.room,
	})
	n.peer, err = stick.New(stick.Config{
		Store: n.store, Ingest: n.ingest, Keys: n.keys, Network: n.netID, Net: n.hmac, Policy: n.policy, Guard: n.guard, Now: n.options.Now,
		Blobs: stickBlobs{n.blobs}, Part: n.config.Ssbsync.StickSize,
	})
	if err == nil {
		err = n.openIndexes()
	}
	n.history = history.NewServer(n.store)
	n.network = sync.OnceValues(n.newGossip)
	n.mux = n.newMux()
	return err
}

// openIndexes lists the indexes and drops what earlier versions left of them.
// They are read and written when they are needed.
func (n *Node) openIndexes() error {
	n.views = n.newViews()
	n.claimed, n.byType, n.byTarget = newClaimedIndex(), newTypeIndex(n.private.plain), newLinksIndex(n.private.plain)
	n.indexes = []*index{n.claimed, n.byType, n.byTarget}
	n.indexStart = n.store.Last()
	for _, ix := range n.indexes {
		if err := n.dropEarlier(ix); err != nil {
			return err
		}
		cursor, err := n.store.Cursor(ix.name)
		if err != nil {
			return err
		}
		n.indexStart = min(n.indexStart, cursor)
	}
	return nil
}

// proved locks publishing when a message signed by our key comes from outside:
// the store is behind what was published.
func (n *Node) proved(m *message.Message) {
	if err := n.guard.Prove(m); err != nil {
		n.options.Log.Error("locking publishing failed", "err", err)
	}
}

// start runs the pipeline until Close.
func (n *Node) start() {
	ctx, stop := context.WithCancel(context.Background())
	n.stop = stop
	go func() {
		defer close(n.stopped)
		n.failed = n.ingest.Run(ctx)
	}()
}

// Close commits what was handed over, ends the pipeline and closes the store.
// It returns the error that had stopped the store before, if any.
func (n *Node) Close() error {
	var network error
	if g := n.opened.Load(); g != nil {
		network = g.Close()
	}
	n.stop()
	<-n.stopped
	failed := n.failed
	if errors.Is(failed, context.Canceled) {
		failed = nil
	}
	return errors.Join(network, failed, n.blobs.files.Close(), n.views.Close(), n.store.Close(), n.home.Close())
}

// Serve answers one client that may call everything: the own user. It returns
// when the connection ends, which the end of ctx brings about.
func (n *Node) Serve(ctx context.Context, conn io.ReadWriteCloser) error {
	session := muxrpc.NewSession(conn, muxrpc.Config{Handler: n.mux, Context: ctx, Log: n.options.Log})
	return session.Wait()
}
