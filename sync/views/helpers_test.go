package views_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/views"
)

// small is the data set of the tests.
var small = filepath.Join("..", "..", "testdata", "fixtures-2k.jsonl.zst")

// fill opens a store and fills it with a data set.
func fill(t testing.TB, dir, data string) *store.Store {
	t.Helper()
	s, err := store.Open(filepath.Join(dir, "store.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if data != "" {
		appendFile(t, s, data)
	}
	return s
}

func appendFile(t testing.TB, s *store.Store, data string) {
	t.Helper()
	file, err := os.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	dec, err := zstd.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	lines := bufio.NewScanner(dec)
	lines.Buffer(nil, 1<<20)
	verifier := keys.NewVerifier()
	var raws [][]byte
	flush := func() {
		var msgs []*message.Message
		for _, r := range message.VerifyBatch(raws, nil, verifier) {
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			msgs = append(msgs, r.Message)
		}
		if _, err := s.Append(msgs); err != nil {
			t.Fatal(err)
		}
		raws = nil
	}
	for lines.Scan() {
		var line struct{ Value json.RawMessage }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if raws = append(raws, line.Value); len(raws) == 4096 {
			flush()
		}
	}
	flush()
}

var owner = keys.FromSeed([32]byte{1}).Feed()

// open returns views of the store, in a file beside it.
func open(t testing.TB, s *store.Store, with func(*views.Config)) *views.Views {
	t.Helper()
	c := views.Config{Store: s, Path: filepath.Join(filepath.Dir(s.Path()), "views.db"), Owner: owner}
	if with != nil {
		with(&c)
	}
	v := views.New(c)
	t.Cleanup(func() { v.Close() })
	return v
}

func catchUp(t testing.TB, v *views.Views) {
	t.Helper()
	if err := v.CatchUp(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func dump(t testing.TB, v *views.Views) string {
	t.Helper()
	text, err := v.Dump()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// author writes messages of one feed.
type author struct {
	pair *keys.Pair
	head message.Head
}

func newAuthor(n byte) *author {
	pair := keys.FromSeed([32]byte{n})
	return &author{pair, message.Head{Feed: pair.Feed()}}
}

func (a *author) feed() refs.Feed { return a.pair.Feed() }

// write appends a message to the store and returns its receive number.
func (a *author) write(t testing.TB, s *store.Store, content string) (rx uint64, id refs.Message) {
	t.Helper()
	m, err := message.Create(a.pair, a.head, []byte(content), float64(1000*(a.head.Seq+1)), nil)
	if err == nil {
		a.head, err = a.head.Next(m)
	}
	if err == nil {
		var results []store.Result
		if results, err = s.Append([]*message.Message{m}); err == nil && results[0].Status != store.Stored {
			err = fmt.Errorf("%v", results[0].Status)
		}
		rx = results[0].Rx
	}
	if err != nil {
		t.Fatalf("writing %s: %v", content, err)
	}
	return rx, m.ID()
}
