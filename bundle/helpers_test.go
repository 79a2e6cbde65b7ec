package bundle_test

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// dataSet returns the messages of the largest data set at hand, grouped by
// feed, and the size of their lines.
func dataSet(t testing.TB) (records []bundle.Record, raw int) {
	t.Helper()
	records = inOrder(t)
	for _, r := range records {
		raw += len(r.Value) + 1
	}
	slices.SortFunc(records, func(a, b bundle.Record) int {
		return cmp.Or(a.Feed.Compare(b.Feed), cmp.Compare(a.Seq, b.Seq))
	})
	return records, raw
}

// smallSet is dataSet for tests that do a lot with each message.
func smallSet(t *testing.T) (records []bundle.Record, raw int) {
	t.Helper()
	t.Setenv("SSBSYNC_DATA", "")
	return dataSet(t)
}

// inOrder returns the messages of the largest data set at hand in the order of
// the file.
func inOrder(t testing.TB) (records []bundle.Record) {
	t.Helper()
	name := filepath.Join(os.Getenv("SSBSYNC_DATA"), "fixtures-100k.jsonl.zst")
	if os.Getenv("SSBSYNC_DATA") == "" {
		name = filepath.Join("..", "testdata", "fixtures-2k.jsonl.zst")
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := bundle.NewZstdReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		records = append(records, parseRecord(t, lines.Bytes()))
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return records
}

func parseRecord(t testing.TB, line []byte) bundle.Record {
	var kv struct {
		Key   refs.Message
		Value json.RawMessage
	}
	var value struct {
		Author   refs.Feed
		Sequence int64
	}
	if err := errors.Join(json.Unmarshal(line, &kv), json.Unmarshal(kv.Value, &value)); err != nil {
		t.Fatal(err)
	}
	return bundle.Record{Feed: value.Author, Seq: value.Sequence, ID: kv.Key, Value: kv.Value}
}

// sample makes messages that only this package would take for messages:
// feeds of n each, lines of about size bytes, with a gap after every tenth.
func sample(feeds, n, size int) (records []bundle.Record) {
	rnd := rand.NewChaCha8([32]byte{byte(feeds), byte(n), byte(size)})
	var noise [32]byte
	for f := range feeds {
		feed := refs.Feed(sha256.Sum256(fmt.Append(nil, "feed", f)))
		for i := range n {
			seq := int64(1 + i + i/10)
			value := fmt.Appendf(nil, `{"author":%q,"sequence":%d,"text":"`, feed, seq)
			for len(value) < size-2 {
				rnd.Read(noise[:])
				value = hex.AppendEncode(value, noise[:min(len(noise), (size-len(value))/2)])
			}
			value = append(value, `"}`...)
			records = append(records, bundle.Record{Feed: feed, Seq: seq, ID: sha256.Sum256(value), Value: value})
		}
	}
	return records
}

// write makes a bundle of records and blobs.
func write(t testing.TB, signer *keys.Pair, records []bundle.Record, blobs [][]byte) []byte {
	t.Helper()
	return writeWith(t, bundle.WriterOptions{}, signer, records, blobs)
}

func writeWith(t testing.TB, o bundle.WriterOptions, signer *keys.Pair, records []bundle.Record, blobs [][]byte) []byte {
	t.Helper()
	w := bundle.NewWriter(signer, bundle.Header{Network: bundle.NetworkID([32]byte{7}, nil)}, o)
	for _, r := range records {
		if err := w.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	for _, b := range blobs {
		if err := w.AddBlob(sha256.Sum256(b), b); err != nil {
			t.Fatal(err)
		}
	}
	bound := w.Size()
	var out bytes.Buffer
	m, err := w.Finish(&out)
	if err != nil {
		t.Fatal(err)
	}
	if m.FileSize() != int64(out.Len()) || bound < int64(out.Len()) {
		t.Fatalf("wrote %d bytes, manifest says %d, bound was %d", out.Len(), m.FileSize(), bound)
	}
	return out.Bytes()
}

func open(t testing.TB, file []byte) *bundle.Reader {
	t.Helper()
	r, err := bundle.Open(bytes.NewReader(file), int64(len(file)), bundle.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}
