package blobs_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
	files "github.com/ssbsync/ssbsync/store/blobs"
	"github.com/ssbsync/ssbsync/sync/blobs"
)

// patience is how long a test waits for what must happen.
const patience = 2 * time.Minute

// node is a peer with its exchange running.
type node struct {
	*blobs.Exchange
	t     testing.TB
	id    refs.Feed
	dir   string
	files *files.Store
	store *store.Store
	close func()

	mu     sync.Mutex
	served map[refs.Blob]int // how often blobs.get was called
	now    int               // blobs.get under way
	most   int
}

// newNode starts a node in a folder of its own.
func newNode(t testing.TB, number byte, config blobs.Config) *node {
	t.Helper()
	return openNode(t, t.TempDir(), number, config)
}

func openNode(t testing.TB, dir string, number byte, config blobs.Config) *node {
	t.Helper()
	n := &node{t: t, dir: dir, served: make(map[refs.Blob]int)}
	n.id[0] = number
	var err error
	if n.files, err = files.Open(filepath.Join(dir, "blobs"), files.Config{}); err != nil {
		t.Fatal(err)
	}
	if n.store, err = store.Open(filepath.Join(dir, "store.db"), store.Options{Timeout: patience}); err != nil {
		t.Fatal(err)
	}
	config.Blobs, config.Store = n.files, n.store
	if n.Exchange, err = blobs.New(config); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	n.close = sync.OnceFunc(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		n.files.Close()
		if err := n.store.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(n.close)
	return n
}

// handler serves a peer as a node does.
func (n *node) handler(remote refs.Feed) muxrpc.Handler {
	m := muxrpc.NewMux()
	m.Source("blobs.createWants", func(ctx context.Context, _ *muxrpc.Call, st *muxrpc.Stream) error {
		return n.ServeWants(ctx, remote, st)
	})
	m.Source("blobs.get", func(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
		var o struct{ Key refs.Blob }
		if err := c.DecodeArgs(&o); err != nil {
			return err
		}
		return n.Give(ctx, remote, st, func() (io.ReadCloser, error) { return n.open(o.Key) })
	})
	return m
}

func (n *node) open(id refs.Blob) (io.ReadCloser, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.served[id]++
	n.now++
	n.most = max(n.most, n.now)
	f, err := n.files.Open(id)
	return &countedFile{f, n}, err
}

func (n *node) wasAsked(id refs.Blob) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.served[id] > 0
}

type countedFile struct {
	*files.File
	n *node
}

func (f *countedFile) Close() error {
	f.n.mu.Lock()
	f.n.now--
	f.n.mu.Unlock()
	return f.File.Close()
}

// connect lets two nodes talk until the function it returns is called, or the
// test ends.
func connect(t testing.TB, a, b *node) (disconnect func()) {
	t.Helper()
	near, far := muxrpc.Pipe()
	sa := muxrpc.NewSession(near, muxrpc.Config{Handler: a.handler(b.id)})
	sb := muxrpc.NewSession(far, muxrpc.Config{Handler: b.handler(a.id)})
	var group sync.WaitGroup
	serve := func(n *node, remote refs.Feed, s *muxrpc.Session) {
		group.Go(func() {
			ctx, stop := context.WithCancel(context.Background())
			go func() { <-s.Done(); stop() }()
			if err := n.Serve(ctx, remote, s); err != nil {
				t.Errorf("Serve: %v", err)
			}
			s.Wait()
		})
	}
	serve(a, b.id, sa)
	serve(b, a.id, sb)
	disconnect = sync.OnceFunc(func() {
		sa.Close()
		sb.Close()
		group.Wait()
	})
	t.Cleanup(disconnect)
	return disconnect
}

// stranger is a peer that does as the test wants. It hears what the node says
// on wants.
type stranger struct {
	t     testing.TB
	id    refs.Feed
	node  *node
	sess  *muxrpc.Session
	heard chan map[string]int64
	say   chan string // frames
	done  chan struct{}
}

// meet connects a stranger, which serves blobs.get as it likes.
func meet(t testing.TB, n *node, number byte, get muxrpc.Serve) *stranger {
	t.Helper()
	s := &stranger{t: t, node: n, heard: make(chan map[string]int64, 1<<16), say: make(chan string, 1<<12), done: make(chan struct{})}
	s.id[0], s.id[1] = number, 1
	m := muxrpc.NewMux()
	m.Source("blobs.createWants", func(ctx context.Context, _ *muxrpc.Call, st *muxrpc.Stream) error {
		for {
			select {
			case frame := <-s.say:
				if err := st.Send(ctx, json.RawMessage(frame)); err != nil {
					return err
				}
			case <-ctx.Done():
				return nil
			}
		}
	})
	if get != nil {
		m.Source("blobs.get", get)
	}
	near, far := muxrpc.Pipe()
	ours := muxrpc.NewSession(near, muxrpc.Config{Handler: n.handler(s.id)})
	s.sess = muxrpc.NewSession(far, muxrpc.Config{Handler: m})
	go func() {
		defer close(s.done)
		ctx, stop := context.WithCancel(context.Background())
		defer stop()
		go func() { <-ours.Done(); stop() }()
		if err := n.Serve(ctx, s.id, ours); err != nil {
			t.Errorf("Serve: %v", err)
		}
		ours.Wait()
	}()
	st, err := s.sess.Source(context.Background(), "blobs.createWants")
	if err != nil {
		t.Fatal(err)
	}
	listening := make(chan struct{})
	go func() {
		defer close(listening)
		for {
			item, err := st.Recv(context.Background())
			if err != nil {
				return
			}
			var frame map[string]int64
			if err := item.Unmarshal(&frame); err != nil {
				t.Errorf("a frame: %v", err)
				return
			}
			s.heard <- frame
		}
	}()
	t.Cleanup(func() { s.leave(); <-listening })
	return s
}

func (s *stranger) leave() {
	s.sess.Close()
	<-s.done
}

// hear waits until the node said a number of a blob.
func (s *stranger) hear(id refs.Blob) int64 {
	s.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case frame := <-s.heard:
			if number, ok := frame[id.String()]; ok {
				return number
			}
		case <-deadline:
			s.t.Fatalf("nothing was said of %s", id)
		}
	}
}

// frame is one note in a frame.
func frame(id refs.Blob, number int64) string {
	return string(blobs.AppendFrame([]blobs.Note{{ID: id, Number: number}}))
}

func (n *node) add(data []byte) refs.Blob {
	n.t.Helper()
	info, err := n.files.PutBytes(data, refs.Blob{})
	if err != nil {
		n.t.Fatal(err)
	}
	return info.ID
}

func (n *node) want(ids ...refs.Blob) {
	n.t.Helper()
	for _, id := range ids {
		if err := n.Want(id); err != nil {
			n.t.Fatal(err)
		}
	}
}

// gets waits until blobs are there.
func (n *node) gets(ids ...refs.Blob) {
	n.t.Helper()
	ctx, stop := context.WithTimeoutCause(context.Background(), patience, errors.New("too late"))
	defer stop()
	for _, id := range ids {
		if err := n.Wait(ctx, id); err != nil {
			n.t.Fatalf("blob %s: %v", id, err)
		}
		if err := n.files.Verify(id); err != nil {
			n.t.Error(err)
		}
	}
}

// until waits for something.
func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	for began := time.Now(); !done(); time.Sleep(time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func random(size int, seed uint64) []byte {
	data := make([]byte, size)
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	rand.NewChaCha8(key).Read(data)
	return data
}
