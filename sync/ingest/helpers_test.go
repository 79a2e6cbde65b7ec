package ingest_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/ingest"
)

// pair returns the n-th identity of the tests.
func pair(n byte) *keys.Pair { return keys.FromSeed([32]byte{n, 0x55, 0xb5}) }

// grow appends n messages to a feed and returns their values and the new head.
func grow(t testing.TB, p *keys.Pair, head message.Head, n int, text string) ([][]byte, message.Head) {
	t.Helper()
	head.Feed = p.Feed()
	var raws [][]byte
	for range n {
		content := fmt.Appendf(nil, `{"type":"post","text":"%s %d"}`, text, head.Seq+1)
		m, err := message.Create(p, head, content, float64(1500000000000+head.Seq), nil)
		if err != nil {
			t.Fatal(err)
		}
		if head, err = head.Next(m); err != nil {
			t.Fatal(err)
		}
		raws = append(raws, m.Value())
	}
	return raws, head
}

// feed returns n messages of the n-th identity, from the first on.
func feed(t testing.TB, who byte, n int) [][]byte {
	raws, _ := grow(t, pair(who), message.Head{}, n, "hello")
	return raws
}

// corpus returns some feeds of different lengths, in turns. It is made once.
var corpus = sync.OnceValue(func() [][]byte {
	var feeds [][][]byte
	for who := range byte(7) {
		feeds = append(feeds, feed(new(testing.T), 100+who, 20+17*int(who)))
	}
	var all [][]byte
	for n := 0; len(feeds) > 0; n++ {
		feeds = slices.DeleteFunc(feeds, func(f [][]byte) bool { return n >= len(f) })
		for _, f := range feeds {
			all = append(all, f[n])
		}
	}
	return all
})

// dataSet returns the values of the messages in the data set.
func dataSet(t testing.TB) (values [][]byte) {
	eachValue(t, func(value []byte) { values = append(values, bytes.Clone(value)) })
	return values
}

// eachValue reads the data set: the large one if SSBSYNC_DATA names the folder
// that has it, else testdata's.
func eachValue(t testing.TB, f func(value []byte)) {
	t.Helper()
	path := filepath.Join("..", "..", "testdata", "fixtures-2k.jsonl.zst")
	if folder := os.Getenv("SSBSYNC_DATA"); folder != "" {
		path = filepath.Join(folder, "fixtures-100k.jsonl.zst")
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	dec, err := zstd.NewReader(file, zstd.WithDecoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	n := 0
	lines := bufio.NewScanner(dec)
	for lines.Scan() {
		f(ecmajson.Get(lines.Bytes(), "value"))
		n++
	}
	if lines.Err() != nil || n == 0 {
		t.Fatalf("%s: %d messages, %v", path, n, lines.Err())
	}
}

// faulty is a store whose writes can be held up or fail.
type faulty struct {
	*store.Store
	before func() error // before an Append
	after  func() error // after one that succeeded
}

func (f *faulty) Append(msgs []*message.Message) ([]store.Result, error) {
	if f.before != nil {
		if err := f.before(); err != nil {
			return nil, err
		}
	}
	results, err := f.Store.Append(msgs)
	if err == nil && f.after != nil {
		err = f.after()
	}
	return results, err
}

// rig is a pipeline that runs on a store of its own.
type rig struct {
	*ingest.Pipeline
	t     testing.TB
	store *store.Store
	halt  context.CancelFunc
	ended chan struct{}
	err   error // of Run; read it after ended
}

// openStore makes a store that is checked and closed when the test ends.
func openStore(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(filepath.Join(t.TempDir(), "store.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		checkStore(t, s)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func checkStore(t testing.TB, s *store.Store) {
	t.Helper()
	report, err := s.Check(context.Background(), store.CheckOptions{})
	if err != nil || !report.OK() {
		t.Errorf("the store is not in order: %v %v", err, report.Problems)
	}
}

// start runs a pipeline on a new store until the test ends; the leak check of
// its goroutines is part of that.
func start(t testing.TB, cfg ingest.Config) *rig {
	t.Helper()
	return startOn(t, openStore(t), cfg)
}

// startOn is start on a store that is there. Config.Store may wrap it.
func startOn(t testing.TB, s *store.Store, cfg ingest.Config) *rig {
	t.Helper()
	if cfg.Store == nil {
		cfg.Store = s
	}
	goroutines := runtime.NumGoroutine()
	ctx, halt := context.WithCancel(context.Background())
	r := &rig{Pipeline: ingest.New(cfg), t: t, store: s, halt: halt, ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		r.err = r.Run(ctx)
	}()
	t.Cleanup(func() {
		r.stop()
		noLeak(t, goroutines)
	})
	return r
}

// stop ends the pipeline and returns the error of Run.
func (r *rig) stop() error {
	r.halt()
	select {
	case <-r.ended:
		return r.err
	case <-time.After(time.Minute):
		panic("Run does not end")
	}
}

// noLeak fails the test unless the number of goroutines falls back.
func noLeak(t testing.TB, want int) {
	t.Helper()
	for range 200 {
		if runtime.NumGoroutine() <= want {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	stacks := make([]byte, 1<<16)
	t.Errorf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), want, stacks[:runtime.Stack(stacks, true)])
}

// add hands over messages.
func add(t testing.TB, i *ingest.Intake, raws ...[]byte) {
	t.Helper()
	for _, raw := range raws {
		if err := i.Add(context.Background(), raw); err != nil {
			t.Fatal(err)
		}
	}
}

// flush returns the summary of an intake after checking that it adds up.
func flush(t testing.TB, i *ingest.Intake) ingest.Summary {
	t.Helper()
	s, err := i.Flush(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	balanced(t, s)
	return s
}

func balanced(t testing.TB, s ingest.Summary) {
	t.Helper()
	in := s.Messages + s.Retried
	out := s.New + s.Duplicate + s.Rejected + s.Refused + s.Waiting + s.Evicted + s.Forked + s.Frozen + s.Lost
	if in != out {
		t.Errorf("%d messages came and %d have a fate: %s", in, out, counts(s))
	}
}

// counts prints the counters of a summary that are not zero.
func counts(s ingest.Summary) string {
	names := []string{"messages", "new", "duplicate", "rejected", "refused", "waiting", "evicted", "forked", "frozen", "lost", "retried", "newfeeds"}
	values := []int64{s.Messages, s.New, s.Duplicate, s.Rejected, s.Refused, s.Waiting, s.Evicted, s.Forked, s.Frozen, s.Lost, s.Retried, s.NewFeeds}
	var text []byte
	for n, name := range names {
		if values[n] != 0 {
			text = fmt.Appendf(text, " %s=%d", name, values[n])
		}
	}
	return string(bytes.TrimSpace(text))
}

// expect compares the counters of a summary.
func expect(t testing.TB, what string, s ingest.Summary, want string) {
	t.Helper()
	if got := counts(s); got != want {
		t.Errorf("%s:\n got %s\nwant %s", what, got, want)
	}
}

// contents returns the messages of a store by feed, for comparison.
func contents(t testing.TB, s *store.Store) map[refs.Feed][]string {
	t.Helper()
	all := make(map[refs.Feed][]string)
	heads, err := s.Heads()
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range heads {
		for seq := int64(1); seq <= h.Seq; {
			page, err := s.FeedPage(h.Feed, seq, 0, 0, false)
			if err != nil {
				t.Fatal(err)
			}
			for _, rec := range page {
				all[h.Feed] = append(all[h.Feed], rec.ID.String()+" "+string(rec.Value))
			}
			seq += int64(len(page))
		}
	}
	return all
}

// same fails the test unless a store holds exactly the given messages.
func same(t testing.TB, s *store.Store, raws [][]byte) {
	t.Helper()
	want := make(map[refs.Feed][]string)
	for _, raw := range raws {
		m, err := message.Verify(raw, nil)
		if err != nil {
			t.Fatal(err)
		}
		want[m.Feed()] = append(want[m.Feed()], m.ID().String()+" "+string(m.Value()))
	}
	got := contents(t, s)
	if len(got) != len(want) {
		t.Errorf("the store holds %d feeds, want %d", len(got), len(want))
	}
	for feed := range want {
		if !slices.Equal(got[feed], want[feed]) {
			t.Errorf("feed %s: the store holds %d messages, want %d, or others", feed, len(got[feed]), len(want[feed]))
		}
	}
	if w, err := s.WaitingStats(); err != nil || w.Messages != 0 {
		t.Errorf("%d messages wait (%v)", w.Messages, err)
	}
}

// stopped fails the test unless err says that the pipeline stopped for cause.
func stopped(t testing.TB, what string, err, cause error) {
	t.Helper()
	if !errors.Is(err, ingest.ErrStopped) || cause != nil && !errors.Is(err, cause) {
		t.Errorf("%s: %v", what, err)
	}
}

// noWaiting is a store whose waiting area fails with an error.
type noWaiting struct {
	*store.Store
	err error
}

func (s *noWaiting) AddWaiting([]*message.Message, store.WaitingLimits) (store.WaitingResult, error) {
	return store.WaitingResult{}, s.err
}
