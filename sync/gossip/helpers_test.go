package gossip_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/multiserver"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/gossip"
	"github.com/ssbsync/ssbsync/sync/graph"
	"github.com/ssbsync/ssbsync/sync/history"
	"github.com/ssbsync/ssbsync/sync/ingest"
)

var network = [32]byte{'t', 'e', 's', 't'}

// pair returns the identity with a number.
func pair(n int) *keys.Pair { return keys.FromSeed([32]byte{1, byte(n), byte(n >> 8)}) }

// policy is a set of feeds.
type policy struct {
	mu      sync.Mutex
	all     bool
	feeds   map[refs.Feed]bool
	blocked map[refs.Feed]bool
}

func newPolicy(feeds ...refs.Feed) *policy {
	p := &policy{feeds: make(map[refs.Feed]bool), blocked: make(map[refs.Feed]bool)}
	for _, feed := range feeds {
		p.feeds[feed] = true
	}
	return p
}

func (p *policy) Wants(feed refs.Feed) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return (p.all || p.feeds[feed]) && !p.blocked[feed]
}

func (p *policy) Replicated() []refs.Feed {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.feeds))
}

func (p *policy) Blocked(feed refs.Feed) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.blocked[feed]
}

func (p *policy) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// node is a peer with a store, that listens on loopback.
type node struct {
	*gossip.Gossip
	t       testing.TB
	keys    *keys.Pair
	id      refs.Feed
	store   *store.Store
	ingest  *ingest.Pipeline
	graph   *graph.Graph
	policy  *policy
	addr    multiserver.Address
	history *history.Server
	log     *lockedBuffer
	opts    options
	path    string

	stop  context.CancelFunc
	group sync.WaitGroup
}

// options change what startNode starts.
type options struct {
	policy  *policy
	path    string
	limits  gossip.Limits
	noEBT   bool // does not serve ebt.replicate
	network [32]byte
	host    string
	tick    time.Duration
	now     func() time.Time
	proxy   string
	dials   []string // transports
	memory  int64
}

// lockedBuffer is a log.
type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.String()
}

// startNode starts the node with a number; the test ends it, and checks its
// store.
func startNode(t testing.TB, n int, o options) *node {
	t.Helper()
	nd := &node{t: t, keys: pair(n), id: pair(n).Feed(), log: new(lockedBuffer), opts: o}
	if nd.policy = o.policy; nd.policy == nil {
		nd.policy = newPolicy()
	}
	nd.policy.set(func() { nd.policy.feeds[nd.id] = true })
	if nd.path = o.path; nd.path == "" {
		nd.path = filepath.Join(t.TempDir(), "store.db")
	}
	nd.start()
	t.Cleanup(nd.end)
	return nd
}

func (nd *node) start() {
	t, o := nd.t, nd.opts
	t.Helper()
	var err error
	if nd.store, err = store.Open(nd.path, store.Options{}); err != nil {
		t.Fatal(err)
	}
	if nd.graph, err = graph.Open(nd.store); err != nil {
		t.Fatal(err)
	}
	nd.ingest = ingest.New(ingest.Config{Store: nd.store, Memory: o.memory})
	nd.history = history.NewServer(nd.store)
	mux := muxrpc.NewMux()
	mux.Source("createHistoryStream", nd.history.Serve)
	cfg := gossip.Config{
		Keys: nd.keys, Network: network, Store: nd.store, Ingest: nd.ingest, Policy: nd.policy, Graph: nd.graph,
		Handler: func(refs.Feed) muxrpc.Handler { return mux },
		Publish: nd.publishRaw, Limits: o.limits, Tick: o.tick, Now: o.now, Proxy: o.proxy, Transports: o.dials, AllowPrivate: true,
		Log: slog.New(slog.NewTextHandler(nd.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if o.network != [32]byte{} {
		cfg.Network = o.network
	}
	if nd.Gossip, err = gossip.New(cfg); err != nil {
		t.Fatal(err)
	}
	if !o.noEBT {
		mux.Duplex("ebt.replicate", nd.ServeEBT)
	}
	mux.Duplex("gossip.ping", nd.ServePing)
	nd.listen()
}

func (nd *node) listen() {
	host := nd.opts.host
	if host == "" {
		host = "127.0.0.1"
	}
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		nd.t.Fatal(err)
	}
	nd.addr = multiserver.Net(host, uint16(l.Addr().(*net.TCPAddr).Port), nd.id)
	ctx, cancel := context.WithCancel(context.Background())
	nd.stop = cancel
	pipeline, stopPipeline := context.WithCancel(context.Background())
	var work sync.WaitGroup
	nd.group.Go(func() {
		if err := nd.ingest.Run(pipeline); err != nil {
			nd.t.Errorf("pipeline: %v", err)
		}
	})
	work.Go(func() {
		if err := nd.Serve(ctx, l); err != nil {
			nd.t.Errorf("serving: %v", err)
		}
	})
	work.Go(func() {
		if err := nd.Run(ctx); err != nil {
			nd.t.Errorf("gossip: %v", err)
		}
	})
	nd.group.Go(func() { work.Wait(); stopPipeline() })
}

// end stops the node and checks its store.
func (nd *node) end() {
	if nd.stop == nil {
		return
	}
	if nd.t.Failed() {
		nd.t.Logf("log of %s:\n%s\npeers: %+v\nevents: %+v", nd.id, nd.log.text(), nd.Peers(), nd.Events(0))
	}
	nd.stop()
	nd.group.Wait()
	nd.stop = nil
	report, err := nd.store.Check(context.Background(), store.CheckOptions{})
	if err != nil || !report.OK() {
		nd.t.Errorf("check of the store: %v %v", err, report.Problems)
	}
	if err := nd.store.Close(); err != nil {
		nd.t.Error(err)
	}
}

// publishRaw appends a message to the own feed.
func (nd *node) publishRaw(ctx context.Context, content json.RawMessage) (json.RawMessage, error) {
	rec, err := nd.ingest.Publish(ctx, nd.id, func(head message.Head) (*message.Message, error) {
		return message.Create(nd.keys, head, content, float64(head.Seq+1), nil)
	})
	return history.AppendKVT(nil, &rec), err
}

func (nd *node) publish(content string) {
	nd.t.Helper()
	if _, err := nd.publishRaw(context.Background(), json.RawMessage(content)); err != nil {
		nd.t.Fatal(err)
	}
}

// connect dials another node.
func (nd *node) connect(other *node) {
	nd.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := nd.Connect(ctx, other.addr); err != nil {
		nd.t.Fatal(err)
	}
}

func (nd *node) head(feed refs.Feed) int64 {
	head, err := nd.store.Head(feed)
	if err != nil {
		nd.t.Error(err)
	}
	return head.Seq
}

// fill puts n messages of each author, made here, into the store.
func (nd *node) fill(authors []int, n int) {
	nd.t.Helper()
	intake := nd.ingest.Open(ingest.Source{Name: "fill"})
	for _, a := range authors {
		for _, m := range write(nd.t, a, n) {
			if err := intake.Add(context.Background(), m.Value()); err != nil {
				nd.t.Fatal(err)
			}
		}
	}
	if _, err := intake.Flush(context.Background()); err != nil {
		nd.t.Fatal(err)
	}
}

// write makes the first n messages of an author.
func write(t testing.TB, author, n int) []*message.Message {
	t.Helper()
	return writeText(t, author, n, "text")
}

func writeText(t testing.TB, author, n int, text string) []*message.Message {
	t.Helper()
	head := message.Head{Feed: pair(author).Feed()}
	var list []*message.Message
	for i := range n {
		m, err := message.Create(pair(author), head, fmt.Appendf(nil, `{"type":"post","text":"%s %d"}`, text, i+1), float64(i+1), nil)
		if err == nil {
			head, err = head.Next(m)
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, m)
	}
	return list
}

// waitFor waits until a condition holds.
func waitFor(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// equalStores fails unless both stores hold the same messages.
func equalStores(t testing.TB, a, b *store.Store) {
	t.Helper()
	va, err := a.Vector()
	if err != nil {
		t.Fatal(err)
	}
	vb, err := b.Vector()
	if err != nil {
		t.Fatal(err)
	}
	if !va.Equal(vb) {
		t.Fatalf("stores differ: %d and %d feeds", va.Len(), vb.Len())
	}
	for feed, last := range va.All() {
		for seq := int64(1); seq <= last; seq += store.MaxPage {
			pa, err := a.FeedPage(feed, seq, last, 0, false)
			if err != nil {
				t.Fatal(err)
			}
			pb, err := b.FeedPage(feed, seq, last, 0, false)
			if err != nil {
				t.Fatal(err)
			}
			for i := range pa {
				if pa[i].ID != pb[i].ID || !bytes.Equal(pa[i].Value, pb[i].Value) {
					t.Fatalf("feed %s: message %d differs", feed, pa[i].Seq)
				}
			}
		}
	}
}

// sameVector waits until both stores hold the same.
func sameVector(t testing.TB, a, b *node) {
	t.Helper()
	waitFor(t, "equal stores", func() bool {
		va, err1 := a.store.Vector()
		vb, err2 := b.store.Vector()
		return err1 == nil && err2 == nil && va.Equal(vb)
	})
	equalStores(t, a.store, b.store)
}
