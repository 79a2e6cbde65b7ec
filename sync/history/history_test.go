package history_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/history"
)

// author writes a feed into a store.
type author struct {
	t     testing.TB
	pair  *keys.Pair
	store *store.Store
	head  message.Head
}

func newAuthor(t testing.TB, n int, s *store.Store) *author {
	pair := keys.FromSeed([32]byte{9, byte(n), byte(n >> 8)})
	return &author{t, pair, s, message.Head{Feed: pair.Feed()}}
}

func (a *author) feed() refs.Feed { return a.pair.Feed() }

func (a *author) write(n int) {
	a.t.Helper()
	var list []*message.Message
	for range n {
		m, err := message.Create(a.pair, a.head, fmt.Appendf(nil, `{"type":"post","n":%d}`, a.head.Seq+1), float64(a.head.Seq+1), nil)
		if err == nil {
			a.head, err = a.head.Next(m)
		}
		if err != nil {
			a.t.Fatal(err)
		}
		list = append(list, m)
	}
	if _, err := a.store.Append(list); err != nil {
		a.t.Fatal(err)
	}
}

func openStore(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(filepath.Join(t.TempDir(), "store.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// serve returns a session with a peer that serves the store.
func serve(t testing.TB, s *store.Store) *muxrpc.Session {
	t.Helper()
	mux := muxrpc.NewMux()
	mux.Source("createHistoryStream", history.NewServer(s).Serve)
	return session(t, mux)
}

func session(t testing.TB, mux *muxrpc.Mux) *muxrpc.Session {
	t.Helper()
	here, there := muxrpc.Pipe()
	server := muxrpc.NewSession(there, muxrpc.Config{Handler: mux, MaxCalls: 20_000})
	client := muxrpc.NewSession(here, muxrpc.Config{})
	t.Cleanup(func() {
		client.Close()
		if err := server.Wait(); err != nil {
			t.Error(err)
		}
	})
	return client
}

// all receives a stream to its end.
func all(t testing.TB, st *muxrpc.Stream) (items []string) {
	t.Helper()
	for {
		it, err := st.Recv(context.Background())
		if err == io.EOF {
			return items
		}
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, string(it.JSON()))
	}
}

func TestShapes(t *testing.T) {
	s := openStore(t)
	a := newAuthor(t, 1, s)
	a.write(150)
	client := serve(t, s)
	kvt := func(seq int64) string {
		rec, err := s.Get(a.feed(), seq)
		if err != nil {
			t.Fatal(err)
		}
		return string(history.AppendKVT(nil, &rec))
	}
	value := func(seq int64) string {
		rec, _ := s.Get(a.feed(), seq)
		return string(rec.Value)
	}
	key := func(seq int64) string {
		rec, _ := s.Get(a.feed(), seq)
		return `"` + rec.ID.String() + `"`
	}
	id := a.feed().String()
	for _, test := range []struct {
		args        string
		first, last int64
		shape       func(int64) string
	}{
		{`[{"id":"ID"}]`, 1, 150, kvt},
		{`[{"id":"ID","seq":0}]`, 1, 150, kvt},
		{`[{"id":"ID","seq":149}]`, 149, 150, kvt},
		{`[{"id":"ID","sequence":149,"seq":3}]`, 149, 150, kvt},
		{`[{"id":"ID","seq":151}]`, 151, 150, kvt},
		{`[{"id":"ID","seq":1e99}]`, 151, 150, kvt},
		{`[{"id":"ID","seq":-5,"limit":2}]`, 1, 2, kvt},
		{`[{"id":"ID","limit":-1}]`, 1, 150, kvt},
		{`[{"id":"ID","limit":70}]`, 1, 70, kvt},
		{`[{"id":"ID","limit":0}]`, 1, 0, kvt},
		{`[{"id":"ID","limit":null}]`, 1, 150, kvt},
		{`[{"id":"ID","keys":false}]`, 1, 150, value},
		{`[{"id":"ID","keys":0,"live":false,"old":true}]`, 1, 150, value},
		{`[{"id":"ID","values":false,"limit":3}]`, 1, 3, key},
		{`[{"id":"ID","reverse":true,"limit":1}]`, 1, 1, kvt}, // not known to ssb-db
		{`[{"id":"ID","reverse":"x","seq":100}]`, 100, 150, kvt},
		{`["ID",149]`, 149, 150, kvt},
		{`["ID"]`, 1, 150, kvt},
		{`["ID",148,false]`, 148, 150, kvt},
	} {
		args := strings.ReplaceAll(test.args, "ID", id)
		var list []any
		if err := json.Unmarshal([]byte(args), &list); err != nil {
			t.Fatal(err)
		}
		st, err := client.Source(context.Background(), "createHistoryStream", list...)
		if err != nil {
			t.Fatal(err)
		}
		items := all(t, st)
		n := 0
		for seq := test.first; seq <= test.last; seq++ {
			if n < len(items) && items[n] != test.shape(seq) {
				t.Errorf("%s: item %d is %s, want %s", test.args, n, items[n], test.shape(seq))
				break
			}
			n++
		}
		if len(items) != n {
			t.Errorf("%s: %d items, want %d", test.args, len(items), n)
		}
	}
}

func TestBadQueries(t *testing.T) {
	for _, args := range []string{
		``, `{}`, `[]`, `[null]`, `[{}]`, `[{"id":7}]`, `[{"id":"x"}]`, `["x"]`, `[7]`,
		`[{"id":"@AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=.ed25519","seq":"1"}]`,
		`[{"id":"@AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=.ed25519","live":"yes"}]`,
		`["@AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=.ed25519",{}]`,
	} {
		if q, err := history.ParseQuery(json.RawMessage(args)); err == nil {
			t.Errorf("%s: %+v, want an error", args, q)
		}
	}
}

// TestErrorsForEverybody: peers and apps read what is wrong, not types of Go.
func TestErrorsForEverybody(t *testing.T) {
	const feed = `"@AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=.ed25519"`
	for args, want := range map[string]string{
		`7`:                              `createHistoryStream: arguments: cannot be a number`,
		`[7]`:                            `Param 0 must have a .id of type "feedId"`,
		`[[]]`:                           `Param 0 must have a .id of type "feedId"`,
		`[{"id":7}]`:                     `Param 0 must have a .id of type "feedId"`,
		`[{"id":` + feed + `,"seq":{}}]`: `createHistoryStream: options: "{}" is not a number`,
	} {
		if _, err := history.ParseQuery(json.RawMessage(args)); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", args, err, want)
		}
	}
}

func TestLive(t *testing.T) {
	for _, test := range []struct {
		options string
		seqs    []int64 // three messages are there and five follow
		bare    bool
	}{
		{`{"live":true}`, []int64{1, 2, 3, 4, 5, 6, 7, 8}, false},
		{`{"live":true,"reverse":true}`, []int64{1, 2, 3, 4, 5, 6, 7, 8}, false},
		{`{"live":true,"limit":1}`, []int64{1, 4, 5, 6, 7, 8}, false},
		{`{"live":true,"limit":0}`, []int64{4, 5, 6, 7, 8}, false},
		{`{"live":true,"limit":5}`, []int64{1, 2, 3, 4, 5, 6, 7, 8}, false},
		{`{"live":true,"seq":2,"limit":1}`, []int64{2, 4, 5, 6, 7, 8}, false},
		{`{"live":1,"seq":3}`, []int64{3, 4, 5, 6, 7, 8}, false},
		{`{"live":true,"old":false}`, []int64{4, 5, 6, 7, 8}, false},
		{`{"old":false,"limit":1}`, []int64{4, 5, 6, 7, 8}, false},
		{`{"live":true,"seq":4}`, []int64{4, 5, 6, 7, 8}, true},
		{`{"live":true,"seq":6,"limit":1}`, []int64{6, 7, 8}, true},
	} {
		t.Run(test.options, func(t *testing.T) {
			s := openStore(t)
			a, other := newAuthor(t, 1, s), newAuthor(t, 2, s)
			a.write(3)
			server := history.NewServer(s)
			mux := muxrpc.NewMux()
			mux.Source("createHistoryStream", server.Serve)
			var o map[string]any
			json.Unmarshal([]byte(test.options), &o)
			o["id"] = a.feed()
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			st, err := session(t, mux).Source(ctx, "createHistoryStream", o)
			if err != nil {
				t.Fatal(err)
			}
			for server.Live() == 0 {
				time.Sleep(time.Millisecond)
			}
			time.Sleep(20 * time.Millisecond) // it looks at the head next
			other.write(2)
			a.write(1)
			other.write(1)
			a.write(4)
			for _, seq := range test.seqs {
				it, err := st.Recv(ctx)
				if err != nil {
					t.Fatal(err)
				}
				text := string(it.JSON())
				if bare := !strings.HasPrefix(text, `{"key"`); bare != test.bare {
					t.Errorf("item %s: bare %v, want %v", text, bare, test.bare)
				}
				if view, _ := message.Fields(history.Value([]byte(text))); view.Seq != seq || view.Feed != a.feed() {
					t.Errorf("got message %d, want %d", view.Seq, seq)
				}
			}
		})
	}
}

// TestManyLive opens thousands of live streams: each gets its message, and no
// goroutine is left.
func TestManyLive(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("streams", func(t *testing.T) {
		s := openStore(t)
		client := serve(t, s)
		const feeds, streams = 40, 4000
		var authors []*author
		for n := range feeds {
			authors = append(authors, newAuthor(t, n, s))
		}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		var list []*muxrpc.Stream
		for n := range streams {
			st, err := client.Source(ctx, "createHistoryStream", map[string]any{"id": authors[n%feeds].feed(), "live": true, "keys": false})
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, st)
		}
		for _, a := range authors {
			a.write(2)
		}
		for n, st := range list {
			for seq := int64(1); seq <= 2; seq++ {
				it, err := st.Recv(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if view, _ := message.Fields(it.Body); view.Seq != seq || view.Feed != authors[n%feeds].feed() {
					t.Fatalf("stream %d: got message %d", n, view.Seq)
				}
			}
		}
		t.Logf("%d live streams of %d feeds", streams, feeds)
	})
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before+2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<16)
			t.Fatalf("%d goroutines before, %d after\n%s", before, runtime.NumGoroutine(), buf[:runtime.Stack(buf, true)])
		}
	}
}

// TestStoreCloses ends live streams when the store is closed under them.
func TestStoreCloses(t *testing.T) {
	s, err := store.Open(filepath.Join(t.TempDir(), "store.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	server := history.NewServer(s)
	done := make(chan error)
	for n := range 3 {
		go func() {
			q := history.Query{Feed: newAuthor(t, n, s).feed(), First: 1, Limit: -1, Live: true, Old: true}
			done <- server.Stream(context.Background(), q, func(context.Context, []byte) error { return nil })
		}()
	}
	time.Sleep(10 * time.Millisecond)
	s.Close()
	for range 3 {
		if err := <-done; !errors.Is(err, store.ErrClosed) {
			t.Errorf("error %v, want %v", err, store.ErrClosed)
		}
	}
}

// taken collects what a fetcher hands over.
type taken struct {
	mu   sync.Mutex
	seqs map[refs.Feed][]int64
}

func (k *taken) take(_ context.Context, feed refs.Feed, raw []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	view, err := message.Fields(raw)
	k.seqs[feed] = append(k.seqs[feed], view.Seq)
	return err
}

func (k *taken) count(feed refs.Feed) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.seqs[feed])
}

func TestFetch(t *testing.T) {
	s := openStore(t)
	client := serve(t, s)
	var feeds []refs.Feed
	var authors []*author
	for n := range 100 {
		a := newAuthor(t, n, s)
		a.write(n % 7 * 20)
		authors = append(authors, a)
		feeds = append(feeds, a.feed())
	}
	k := &taken{seqs: make(map[refs.Feed][]int64)}
	f := history.Fetcher{Peer: client, Take: k.take, Head: func(feed refs.Feed) (int64, error) { return 5, nil }, Idle: time.Minute}
	if err := f.Fetch(context.Background(), feeds); err != nil {
		t.Fatal(err)
	}
	for _, a := range authors {
		want := max(int(a.head.Seq)-5, 0)
		if got := k.seqs[a.feed()]; len(got) != want || want > 0 && (got[0] != 6 || got[want-1] != a.head.Seq) {
			t.Errorf("feed of %d messages: got %d", a.head.Seq, len(got))
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	f.Head = func(feed refs.Feed) (int64, error) { head, err := s.Head(feed); return head.Seq, err }
	go func() { done <- f.Follow(ctx, feeds) }()
	before := k.count(authors[3].feed())
	for k.count(authors[3].feed()) == before { // streams may not be open yet
		authors[3].write(1)
		time.Sleep(5 * time.Millisecond)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("following ended with %v", err)
	}
}

// TestFetchFromBadPeers gives up what is no use, and no more than that.
func TestFetchFromBadPeers(t *testing.T) {
	s := openStore(t)
	good, bad := newAuthor(t, 1, s), newAuthor(t, 2, s)
	good.write(10)
	bad.write(10)
	server := history.NewServer(s)
	peer := func(mode string) *muxrpc.Session {
		mux := muxrpc.NewMux()
		mux.Source("createHistoryStream", func(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
			q, err := history.ParseQuery(c.Args)
			if err != nil || q.Feed == good.feed() {
				return server.Serve(ctx, c, st)
			}
			switch mode {
			case "refuses":
				return errors.New("no")
			case "stalls":
				<-ctx.Done()
			case "foreign":
				rec, _ := s.Get(good.feed(), 1)
				st.Send(ctx, json.RawMessage(rec.Value))
			case "junk":
				st.Send(ctx, "junk")
			}
			return nil
		})
		return session(t, mux)
	}
	for _, test := range []struct {
		mode string
		want error
	}{{"refuses", nil}, {"stalls", nil}, {"foreign", history.ErrForeign}, {"junk", history.ErrForeign}} {
		mode := test.mode
		k := &taken{seqs: make(map[refs.Feed][]int64)}
		f := history.Fetcher{Peer: peer(mode), Take: k.take, Head: func(refs.Feed) (int64, error) { return 0, nil }, Parallel: 1, Idle: 50 * time.Millisecond}
		if err := f.Fetch(context.Background(), []refs.Feed{good.feed(), bad.feed()}); !errors.Is(err, test.want) {
			t.Errorf("%s: error %v, want %v", mode, err, test.want)
		}
		if n := k.count(good.feed()); n != 10 {
			t.Errorf("%s: %d messages of the other feed, want 10", mode, n)
		}
	}
}

func TestValue(t *testing.T) {
	for in, want := range map[string]string{
		`{"key":"%x","value":{"a":1},"timestamp":3}`: `{"a":1}`,
		` { "key" : "%x" , "value" : {"a":1} }`:      `{"a":1}`,
		`{"previous":null}`:                          `{"previous":null}`,
		`{"key":"%x"}`:                               `{"key":"%x"}`,
		`{"key":`:                                    `{"key":`,
		`7`:                                          `7`,
		``:                                           ``,
	} {
		if got := string(history.Value([]byte(in))); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func FuzzParseQuery(f *testing.F) {
	for _, seed := range []string{
		`[{"id":"@AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=.ed25519","seq":3,"live":true,"keys":0}]`,
		`["@AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=.ed25519",3,1]`, `[]`, `[{"seq":1e400}]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, args []byte) {
		q, err := history.ParseQuery(args)
		if err != nil {
			return
		}
		if q.First < 1 || q.First > math.MaxInt32+1 || q.Limit < -1 || q.Limit > math.MaxInt32+1 {
			t.Errorf("%s: %+v", args, q)
		}
		history.Value(args)
	})
}
