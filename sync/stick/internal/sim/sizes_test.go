package sim

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"slices"
	"testing"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/message"
)

// records returns the messages of the small data set in the order in which
// they were received.
func records(t *testing.T) (list []bundle.Record) {
	t.Helper()
	f, err := os.Open("../../../../testdata/fixtures-2k.jsonl.zst")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := bundle.NewZstdReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var raws [][]byte
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct{ Value json.RawMessage }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		raws = append(raws, line.Value)
	}
	for _, r := range message.VerifyBatch(raws, nil, keys.NewVerifier()) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		m := r.Message
		list = append(list, bundle.Record{Feed: m.Feed(), Seq: m.Seq(), ID: m.ID(), Value: m.Value()})
	}
	return list
}

// TestSizes compares the modelled sizes of bundles with those of real ones, the
// mean of all pieces of the data set with so many messages.
func TestSizes(t *testing.T) {
	all := records(t)
	for _, n := range []int{1, 4, 16, 64, 256, 1000} {
		var real, modelled int64
		pieces := 0
		for at := 0; at+n <= len(all) && pieces < 40; at += max(n, len(all)/40) {
			size, runs := packed(t, slices.Clone(all[at:at+n]))
			real += size
			modelled += bundleBytes(int64(n), runs)
			pieces++
		}
		t.Logf("%d bundles of %d messages: %d bytes, modelled %d", pieces, n, real/int64(pieces), modelled/int64(pieces))
		if modelled < real*85/100 || modelled > real*115/100 {
			t.Errorf("%d bundles of %d messages have %d bytes, the model says %d", pieces, n, real, modelled)
		}
	}
}

// packed returns the size of a bundle with some messages, and how many runs
// are in it.
func packed(t *testing.T, recs []bundle.Record) (size, runs int64) {
	t.Helper()
	slices.SortStableFunc(recs, func(a, b bundle.Record) int { return a.Feed.Compare(b.Feed) })
	w := bundle.NewWriter(keys.FromSeed([32]byte{1}), bundle.Header{}, bundle.WriterOptions{})
	for i, r := range recs {
		if i == 0 || recs[i-1].Feed != r.Feed {
			runs++
		}
		if err := w.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	m, err := w.Finish(io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return m.FileSize(), runs
}
