package store_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
)

var background = context.Background()

// open opens a store that is checked and closed when the test ends.
func open(t testing.TB, path string, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeChecked(t, s) })
	return s
}

// closeChecked checks and closes a store, unless the test closed it already.
func closeChecked(t testing.TB, s *store.Store) {
	t.Helper()
	report, err := s.Check(background, store.CheckOptions{})
	if errors.Is(err, store.ErrClosed) {
		report, err = checkAgain(s.Path())
	}
	if err != nil {
		t.Error(err)
	}
	for _, p := range report.Problems {
		t.Errorf("check: %v", p)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// checkAgain checks a store that the test closed.
func checkAgain(path string) (store.CheckReport, error) {
	s, err := store.Open(path, store.Options{Timeout: time.Second})
	if err != nil {
		return store.CheckReport{}, err
	}
	defer s.Close()
	return s.Check(background, store.CheckOptions{Signatures: true})
}

// temp returns a new store in a folder of its own.
func temp(t testing.TB) *store.Store {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "store.db"), store.Options{})
}

// author returns the n-th test identity.
func author(n int) *keys.Pair {
	var seed [32]byte
	copy(seed[:], fmt.Sprintf("store test author %d", n))
	return keys.FromSeed(seed)
}

// chain makes messages that follow head; the note tells branches apart.
func chain(t testing.TB, pair *keys.Pair, head message.Head, n int, note string) []*message.Message {
	t.Helper()
	head.Feed = pair.Feed()
	msgs := make([]*message.Message, n)
	for i := range msgs {
		content := fmt.Sprintf(`{"type":"post","text":"%s %d"}`, note, head.Seq+1)
		m, err := message.Create(pair, head, []byte(content), float64(1_500_000_000_000+head.Seq), nil)
		if err != nil {
			t.Fatal(err)
		}
		if head, err = head.Next(m); err != nil {
			t.Fatal(err)
		}
		msgs[i] = m
	}
	return msgs
}

// feed makes the first n messages of an author.
func feed(t testing.TB, n int, pair *keys.Pair) []*message.Message {
	t.Helper()
	return chain(t, pair, message.Head{}, n, "note")
}

// interleave mixes feeds, each in its order.
func interleave(feeds ...[]*message.Message) (all []*message.Message) {
	for i := 0; ; i++ {
		before := len(all)
		for _, f := range feeds {
			if i < len(f) {
				all = append(all, f[i])
			}
		}
		if len(all) == before {
			return all
		}
	}
}

// mustAppend appends and expects every message to get this status.
func mustAppend(t testing.TB, s *store.Store, want store.Status, msgs ...*message.Message) []store.Result {
	t.Helper()
	results, err := s.Append(msgs)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range results {
		if r.Status != want {
			t.Fatalf("message %d of %s: %v, want %v", msgs[i].Seq(), msgs[i].Feed(), r.Status, want)
		}
	}
	return results
}

// matches compares a record with the message it must be of.
func matches(t testing.TB, rec store.Record, m *message.Message) {
	t.Helper()
	if rec.Feed != m.Feed() || rec.Seq != m.Seq() || rec.ID != m.ID() || !bytes.Equal(rec.Value, m.Value()) {
		t.Errorf("got message %d of %s, want %d of %s", rec.Seq, rec.Feed, m.Seq(), m.Feed())
	}
}

// dataSet returns the verified messages of a data set in receive order: the
// small one, or the large one where SSBSYNC_DATA says it is.
func dataSet(t testing.TB) []*message.Message {
	t.Helper()
	path := filepath.Join("..", "testdata", "fixtures-2k.jsonl.zst")
	if folder := os.Getenv("SSBSYNC_DATA"); folder != "" {
		path = filepath.Join(folder, "fixtures-100k.jsonl.zst")
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	dec, err := zstd.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	var raws [][]byte
	for lines := bufio.NewScanner(dec); lines.Scan(); {
		var line struct{ Value json.RawMessage }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		raws = append(raws, line.Value)
	}
	return verified(t, raws)
}

func verified(t testing.TB, raws [][]byte) []*message.Message {
	t.Helper()
	msgs := make([]*message.Message, len(raws))
	for i, r := range message.VerifyBatch(raws, nil, keys.NewVerifier()) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		msgs[i] = r.Message
	}
	return msgs
}

// ids returns the ids of records.
func ids(recs []store.Record) (all []refs.Message) {
	for _, r := range recs {
		all = append(all, r.ID)
	}
	return all
}

// isErr checks the class of an error; n tells the cases of a test apart.
func isErr(t testing.TB, n int, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("case %d: got %v, want %v", n, err, want)
	}
}
