package stick_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/ingest"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// network is the one the tests take place in.
var network = [32]byte{0x55, 0xb5}

// pair returns the n-th identity of the tests.
func pair(n byte) *keys.Pair { return keys.FromSeed([32]byte{n, 0x57}) }

// feed returns the feed of the n-th identity.
func feed(n byte) refs.Feed { return pair(n).Feed() }

// policy is whom a node of the tests knows.
type policy struct {
	own    refs.Feed
	all    bool
	wanted []refs.Feed
	trust  map[refs.Feed]bool
}

func (p *policy) Wants(f refs.Feed) bool { return p.all || f == p.own || slices.Contains(p.wanted, f) }
func (p *policy) WantsAll() bool         { return p.all }
func (p *policy) Wanted() []refs.Feed    { return p.wanted }
func (p *policy) Trusts(f refs.Feed) bool {
	return p.trust[f]
}
func (p *policy) Hops(f refs.Feed) int {
	switch {
	case f == p.own:
		return 0
	case slices.Contains(p.wanted, f):
		return 1
	}
	return -1
}

// node is one peer of the tests.
type node struct {
	t      testing.TB
	path   string
	pair   *keys.Pair
	policy *policy
	store  *store.Store
	ingest *ingest.Pipeline
	peer   *stick.Peer
	full   atomic.Bool // there is no room for what comes in
	rotten bool        // the test has damaged the store
	stop   func()
}

var errFull = errors.New("the disk has 3 bytes left")

// newNode makes the n-th node, which wants every feed and trusts the nodes 1
// to 9.
func newNode(t testing.TB, n byte) *node {
	t.Helper()
	return newNodeAt(t, n, nil)
}

// newNodeAt is newNode with a clock.
func newNodeAt(t testing.TB, n byte, now func() time.Time) *node {
	t.Helper()
	p := &policy{own: feed(n), all: true, trust: make(map[refs.Feed]bool)}
	for i := byte(1); i < 10; i++ {
		p.trust[feed(i)] = true
	}
	return openNodeAt(t, filepath.Join(t.TempDir(), "store.db"), n, p, now)
}

// openNode opens a node on a store file.
func openNode(t testing.TB, path string, n byte, p *policy) *node {
	t.Helper()
	return openNodeAt(t, path, n, p, nil)
}

func openNodeAt(t testing.TB, path string, n byte, p *policy, now func() time.Time) *node {
	t.Helper()
	// A process that a parallel test is just starting inherits the lock of a
	// file for a moment.
	s, err := store.Open(path, store.Options{Now: now, Timeout: 2 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	nd := &node{t: t, path: path, pair: pair(n), policy: p, store: s}
	guard := stick.NewGuard(s, nd.pair.Feed())
	nd.ingest = ingest.New(ingest.Config{
		Store: s, Own: nd.pair.Feed(), Workers: 2,
		Room: func() error {
			if nd.full.Load() {
				return errFull
			}
			return nil
		},
		OnOwn: func(m *message.Message) {
			if err := guard.Prove(m); err != nil {
				t.Error(err)
			}
		},
	})
	nd.peer, err = stick.New(stick.Config{Store: s, Ingest: nd.ingest, Keys: nd.pair, Network: network, Policy: p, Guard: guard})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- nd.ingest.Run(ctx) }()
	nd.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if rep, err := s.Check(context.Background(), store.CheckOptions{}); err != nil || rep.OK() == nd.rotten {
			t.Errorf("store check: %v %v", err, rep.Problems)
		}
		s.Close()
		nd.stop = func() {}
	}
	t.Cleanup(func() { nd.stop() })
	return nd
}

// post publishes count messages to the n-th feed, straight into the store of
// the node.
func (nd *node) post(n byte, count int) {
	nd.t.Helper()
	nd.write(n, count, "message")
}

// write is post with a text of one's own.
func (nd *node) write(n byte, count int, text string) {
	nd.t.Helper()
	head, err := nd.store.Head(feed(n))
	if err != nil {
		nd.t.Fatal(err)
	}
	var batch []*message.Message
	for range count {
		m := next(nd.t, n, head, text)
		if head, err = head.Next(m); err != nil {
			nd.t.Fatal(err)
		}
		batch = append(batch, m)
	}
	if _, err := nd.store.Append(batch); err != nil {
		nd.t.Fatal(err)
	}
}

// made holds the messages the tests made: signing takes most of their time.
var made sync.Map // of a place in a feed and a text to *message.Message

// next makes the message after head in the n-th feed.
func next(t testing.TB, n byte, head message.Head, text string) *message.Message {
	t.Helper()
	type place struct {
		n    byte
		head refs.Message
		text string
	}
	key := place{n, head.ID, text}
	if m, ok := made.Load(key); ok {
		return m.(*message.Message)
	}
	content := fmt.Appendf(nil, `{"type":"post","text":"%s %d of feed %d"}`, text, head.Seq+1, n)
	m, err := message.Create(pair(n), head, content, float64(1500000000000+head.Seq), nil)
	if err != nil {
		t.Fatal(err)
	}
	made.Store(key, m)
	return m
}

// head returns how far the node holds the n-th feed.
func (nd *node) head(n byte) int64 {
	nd.t.Helper()
	h, err := nd.store.Head(feed(n))
	if err != nil {
		nd.t.Fatal(err)
	}
	return h.Seq
}

func (nd *node) wantHead(n byte, seq int64) {
	nd.t.Helper()
	if got := nd.head(n); got != seq {
		nd.t.Errorf("feed %d is held to %d, want %d", n, got, seq)
	}
}

// medium is a folder that becomes a stick.
type medium struct {
	t   testing.TB
	dir string
}

func newMedium(t testing.TB) *medium { return &medium{t, t.TempDir()} }

// open opens the medium; the root stays open for the test.
func (m *medium) open() *stick.Stick {
	m.t.Helper()
	st, err := stick.Create(m.root())
	if err != nil {
		m.t.Fatal(err)
	}
	return st
}

func (m *medium) root() *os.Root {
	m.t.Helper()
	root, err := os.OpenRoot(m.dir)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { root.Close() })
	return root
}

// state returns every file of the medium with the hash of its content.
func (m *medium) state() map[string]string {
	m.t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(m.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		name, _ := filepath.Rel(m.dir, path)
		files[name] = fmt.Sprintf("%x", sha256.Sum256(b))
		return err
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return files
}

// files returns the names on the medium with a suffix.
func (m *medium) files(suffix string) []string {
	var names []string
	for name := range m.state() {
		if strings.HasSuffix(name, suffix) {
			names = append(names, filepath.Join(m.dir, name))
		}
	}
	slices.Sort(names)
	return names
}

// unchanged runs fn and fails if anything on the medium is different after it.
func (m *medium) unchanged(fn func()) {
	m.t.Helper()
	before := m.state()
	fn()
	if after := m.state(); !maps.Equal(before, after) {
		m.t.Errorf("the medium changed: %d files before, %d after", len(before), len(after))
	}
}

// copyTo makes a copy of everything on the medium, as dd or cp would.
func (m *medium) copyTo(dir string) *medium {
	m.t.Helper()
	if err := os.CopyFS(dir, os.DirFS(m.dir)); err != nil {
		m.t.Fatal(err)
	}
	return &medium{m.t, dir}
}

func (nd *node) visit(m *medium) stick.VisitReport {
	nd.t.Helper()
	rep, err := nd.peer.Visit(nd.t.Context(), m.open(), stick.VisitOptions{})
	if err != nil {
		nd.t.Fatalf("visit: %v (%+v)", err, rep)
	}
	return rep
}

func (nd *node) export(m *medium, o stick.ExportOptions) stick.Report {
	nd.t.Helper()
	rep, err := nd.peer.Export(nd.t.Context(), m.open(), o)
	if err != nil {
		nd.t.Fatalf("export: %v", err)
	}
	return rep
}

func (nd *node) importAll(m *medium) stick.Report {
	nd.t.Helper()
	st, err := stick.OpenSource(m.root())
	if err != nil {
		nd.t.Fatalf("opening the source: %v", err)
	}
	rep, err := nd.peer.Import(nd.t.Context(), st, stick.ImportOptions{})
	if err != nil {
		nd.t.Fatalf("import: %v", err)
	}
	return rep
}

// first makes the first message of the feed of a seed.
func first(t testing.TB, seed [32]byte) *message.Message {
	t.Helper()
	p := keys.FromSeed(seed)
	m, err := message.Create(p, message.Head{Feed: p.Feed()}, []byte(`{"type":"post","text":"first"}`), 1500000000000, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
