package bundle_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/refs"
)

var alice = keys.FromSeed([32]byte{'a'})

// values returns the lines that a bundle of records must hold.
func values(records []bundle.Record) (out []byte) {
	for _, r := range records {
		out = append(append(out, r.Value...), '\n')
	}
	return out
}

// readAll returns the lines of all message frames.
func readAll(t testing.TB, r *bundle.Reader) (out []byte) {
	t.Helper()
	for i := range r.MessageFrames() {
		lines, err := r.ReadFrame(i)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, lines...)
	}
	return out
}

func TestRoundTrip(t *testing.T) {
	data, _ := dataSet(t)
	for name, records := range map[string][]bundle.Record{
		"one message": sample(1, 1, 100),
		"one feed":    sample(1, 2000, 700),
		"many feeds":  sample(700, 3, 600),
		"long lines":  sample(2, 60, bundle.MaxMessage-8),
		"data set":    data,
	} {
		t.Run(name, func(t *testing.T) {
			file := write(t, alice, records, nil)
			r := open(t, file)
			if len(r.Damage()) > 0 || !r.HasRanges() {
				t.Fatalf("damage in a whole bundle: %v", r.Damage())
			}
			if !bytes.Equal(readAll(t, r), values(records)) {
				t.Fatal("other lines came out")
			}
			checkRuns(t, r, records)
			t.Logf("%d messages, %d frames, %d bytes", len(records), r.MessageFrames(), len(file))
		})
	}
}

// checkRuns holds that the runs of r name each record in the order of lines.
func checkRuns(t *testing.T, r *bundle.Reader, records []bundle.Record) {
	t.Helper()
	for i := range r.MessageFrames() {
		for _, run := range r.Runs(i) {
			for seq := run.First; seq <= run.Last; seq++ {
				if records[0].Feed != run.Feed || records[0].Seq != seq {
					t.Fatalf("run %v at message %d of feed %s", run, records[0].Seq, records[0].Feed)
				}
				if seq == run.Last && run.LastID != bundle.Prefix(records[0].ID) {
					t.Fatalf("run %v ends in another id", run)
				}
				records = records[1:]
			}
		}
	}
	if len(records) > 0 {
		t.Fatalf("%d messages in no run", len(records))
	}
}

func TestBlobs(t *testing.T) {
	blobs := [][]byte{
		bytes.Repeat([]byte("compressible "), 1000),
		noise(3000),
		{},
		noise(20),
		noise(bundle.DefaultMaxBlob),
		noise(21)[1:],
	}
	for _, records := range [][]bundle.Record{nil, sample(2, 20, 300)} {
		r := open(t, write(t, alice, records, blobs))
		ids := r.Blobs()
		if len(ids) != len(blobs) || r.BlobFrames() != len(blobs) {
			t.Fatalf("%d blobs, want %d", len(ids), len(blobs))
		}
		for i, id := range ids {
			got, data, err := r.ReadBlob(i)
			if err != nil || got != id || sha256.Sum256(data) != id || r.BlobSize(i) != int64(len(data)) {
				t.Fatalf("blob %d: %v", i, err)
			}
			if i > 0 && r.BlobSize(i) < r.BlobSize(i-1) {
				t.Fatal("a large blob before a small one")
			}
		}
		if !bytes.Equal(readAll(t, r), values(records)) {
			t.Fatal("other lines came out")
		}
	}
}

// noise returns n bytes that do not compress, equal in each run.
func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte(binary.LittleEndian.AppendUint64(make([]byte, 24), uint64(n)))).Read(b)
	return b
}

func TestDeterministic(t *testing.T) {
	records := sample(30, 140, 700)
	blobs := [][]byte{noise(5000), noise(100), bytes.Repeat([]byte("x"), 5000)}
	want := writeWith(t, bundle.WriterOptions{Workers: 1}, alice, records, blobs)
	for _, workers := range []int{2, 7} {
		slices.Reverse(blobs)
		got := writeWith(t, bundle.WriterOptions{Workers: workers}, alice, records, blobs)
		if !bytes.Equal(got, want) {
			t.Fatalf("%d workers make other bytes than one", workers)
		}
	}
}

// TestPlainZstd reads a bundle as anyone would who does not know the format.
func TestPlainZstd(t *testing.T) {
	records := sample(30, 100, 700)
	file := write(t, alice, records, [][]byte{noise(5000), bytes.Repeat([]byte("x"), 5000)})
	d, err := zstd.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	got, err := io.ReadAll(d)
	if err != nil || !bytes.Equal(got, values(records)) {
		t.Fatalf("plain zstd shows something else than the messages: %v", err)
	}
	if !bundle.IsZstd(file) || !bundle.IsBundle(file) {
		t.Fatal("a bundle is not known as one")
	}
}

// TestSize holds that Size bounds the file, and not by much.
func TestSize(t *testing.T) {
	w := bundle.NewWriter(alice, bundle.Header{}, bundle.WriterOptions{})
	if w.Size() <= 0 {
		t.Fatal("an empty bundle without size")
	}
	before := int64(0)
	for _, r := range sample(10, 900, 700) {
		if err := w.Add(r); err != nil {
			t.Fatal(err)
		}
		if w.Messages()%1000 == 0 && w.Size() < before/2 {
			t.Fatalf("size fell from %d to %d", before, w.Size())
		}
		before = w.Size()
	}
	var out bytes.Buffer
	if _, err := w.Finish(&out); err != nil {
		t.Fatal(err)
	}
	if slack := before - int64(out.Len()); slack < 0 || slack > 6*bundle.MaxFrame {
		t.Fatalf("bound %d for %d bytes", before, out.Len())
	}
}

func TestFull(t *testing.T) {
	o := bundle.WriterOptions{Limits: bundle.Limits{File: 2 << 20}}
	w := bundle.NewWriter(alice, bundle.Header{}, o)
	added := 0
	var err error
	for _, r := range sample(10, 700, 700) {
		if err = w.Add(r); err != nil {
			break
		}
		added++
	}
	if !errors.Is(err, bundle.ErrFull) || added == 0 {
		t.Fatalf("after %d messages: %v", added, err)
	}
	blob := noise(3 << 20)
	if err := w.AddBlob(sha256.Sum256(blob), blob); !errors.Is(err, bundle.ErrFull) {
		t.Fatalf("blob that does not fit: %v", err)
	}
	var out bytes.Buffer
	m, err := w.Finish(&out)
	if err != nil || int(m.Messages) != added || out.Len() > 2<<20 {
		t.Fatalf("%d bytes, %v", out.Len(), err)
	}
}

func TestWriterRefuses(t *testing.T) {
	good := sample(2, 3, 100)
	with := func(edit func(r *bundle.Record)) []bundle.Record {
		records := slices.Clone(good)
		edit(&records[1])
		return records
	}
	for name, c := range map[string]struct {
		records []bundle.Record
		want    string
	}{
		"sequence 0":     {with(func(r *bundle.Record) { r.Seq = 0 }), "sequence 0"},
		"sequence 2^31":  {with(func(r *bundle.Record) { r.Seq = 1 << 31 }), "sequence 2147483648"},
		"same sequence":  {with(func(r *bundle.Record) { r.Seq = 1 }), "after 1"},
		"empty value":    {with(func(r *bundle.Record) { r.Value = nil }), "0 bytes"},
		"long value":     {with(func(r *bundle.Record) { r.Value = noise(bundle.MaxMessage + 1) }), "24577 bytes"},
		"two lines":      {with(func(r *bundle.Record) { r.Value = []byte("{\n}") }), "not one compact line"},
		"torn feed":      {[]bundle.Record{good[0], good[3], good[1]}, "do not stand together"},
		"nothing at all": {nil, "without messages or blobs"},
	} {
		t.Run(name, func(t *testing.T) {
			w := bundle.NewWriter(alice, bundle.Header{}, bundle.WriterOptions{})
			var err error
			for _, r := range c.records {
				if err = w.Add(r); err != nil {
					break
				}
			}
			if err == nil {
				_, err = w.Finish(io.Discard)
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestWriterRefusesBlob(t *testing.T) {
	w := bundle.NewWriter(alice, bundle.Header{}, bundle.WriterOptions{})
	data := noise(10)
	id := refs.Blob(sha256.Sum256(data))
	if w.AddBlob(refs.Blob{1}, data) == nil {
		t.Fatal("took a blob of another hash")
	}
	if err := w.AddBlob(id, data); err != nil {
		t.Fatal(err)
	}
	if w.AddBlob(id, data) == nil {
		t.Fatal("took a blob twice")
	}
	large := noise(bundle.DefaultMaxBlob + 1)
	if w.AddBlob(sha256.Sum256(large), large) == nil {
		t.Fatal("took a blob over the limit")
	}
}

func TestFinishOnce(t *testing.T) {
	if _, err := bundle.NewWriter(alice, bundle.Header{Codec: "other"}, bundle.WriterOptions{}).Finish(io.Discard); err == nil {
		t.Fatal("wrote a codec that it does not know")
	}
	w := bundle.NewWriter(alice, bundle.Header{}, bundle.WriterOptions{})
	records := sample(1, 2, 100)
	if err := w.Add(records[0]); err != nil {
		t.Fatal(err)
	}
	full := errors.New("no space left")
	if _, err := w.Finish(failingWriter{full}); !errors.Is(err, full) {
		t.Fatalf("write error is lost: %v", err)
	}
	if _, err := w.Finish(io.Discard); err == nil {
		t.Fatal("finished twice")
	}
	if w.Add(records[1]) == nil || w.AddBlob(sha256.Sum256(nil), nil) == nil {
		t.Fatal("added to a finished bundle")
	}
}

// TestSeal writes a sealed bundle twice, and none that is not sealed.
func TestSeal(t *testing.T) {
	records := sample(2, 20, 300)
	want := write(t, alice, records, nil)
	w := bundle.NewWriter(alice, bundle.Header{Network: bundle.NetworkID([32]byte{7}, nil)}, bundle.WriterOptions{})
	for _, r := range records {
		if err := w.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.WriteTo(io.Discard); err == nil {
		t.Fatal("wrote a bundle that is not sealed")
	}
	m, err := w.Seal()
	if err != nil || m.FileSize() != int64(len(want)) {
		t.Fatalf("sealed %d of %d bytes: %v", m.FileSize(), len(want), err)
	}
	for range 2 {
		var b bytes.Buffer
		if n, err := w.WriteTo(&b); err != nil || n != int64(len(want)) || !bytes.Equal(b.Bytes(), want) {
			t.Fatalf("wrote %d bytes, want %d: %v", n, len(want), err)
		}
	}
}

// TestBlobOfOneByte stores a blob as it is that would expand to more than a
// reader takes.
func TestBlobOfOneByte(t *testing.T) {
	for _, size := range []int{4000, 1 << 20} {
		blob := make([]byte, size)
		r := open(t, write(t, alice, nil, [][]byte{blob}))
		if stored := r.Manifest().Frames[1].Kind == bundle.KindStoredBlob; stored != (size > 4000) {
			t.Errorf("%d equal bytes: stored as they are: %v", size, stored)
		}
		if _, data, err := r.ReadBlob(0); err != nil || !bytes.Equal(data, blob) {
			t.Errorf("%d equal bytes: %v", size, err)
		}
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

// TestSeekTable reads the seek table as the seekable format defines it: each
// frame can be found and its size before compression is right.
func TestSeekTable(t *testing.T) {
	file := write(t, alice, sample(3, 700, 700), [][]byte{noise(100)})
	foot := file[len(file)-9:]
	if binary.LittleEndian.Uint32(foot[5:]) != 0x8F92EAB1 || foot[4] != 0 {
		t.Fatalf("footer %x", foot)
	}
	n := int(binary.LittleEndian.Uint32(foot))
	table := file[len(file)-9-8*n-8:]
	if head := fmt.Sprintf("%x", table[:4]); head != "5e2a4d18" || int(binary.LittleEndian.Uint32(table[4:])) != len(table)-8 {
		t.Fatalf("seek table begins with %x", table[:8])
	}
	d, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	at := 0
	for i := range n {
		stored := int(binary.LittleEndian.Uint32(table[8+8*i:]))
		raw := int(binary.LittleEndian.Uint32(table[12+8*i:]))
		out, err := d.DecodeAll(file[at:at+stored], nil)
		if err != nil || len(out) != raw {
			t.Fatalf("frame %d: %d bytes, want %d: %v", i, len(out), raw, err)
		}
		at += stored
	}
	if at != len(file)-len(table) {
		t.Fatalf("frames end at %d, seek table begins at %d", at, len(file)-len(table))
	}
}

// TestSettle: a settled writer knows its size, and goes on.
func TestSettle(t *testing.T) {
	records := sample(5, 400, 600)
	w := bundle.NewWriter(alice, bundle.Header{}, bundle.WriterOptions{})
	w.Settle()
	for i, r := range records {
		if err := w.Add(r); err != nil {
			t.Fatal(err)
		}
		if i%500 == 0 {
			w.Settle()
		}
	}
	before := w.Size()
	w.Settle()
	size := w.Size()
	var out bytes.Buffer
	m, err := w.Finish(&out)
	if err != nil {
		t.Fatal(err)
	}
	if size > before || size < m.FileSize() || size-m.FileSize() > 4000 {
		t.Errorf("%d bytes, %d when settled, %d in the end", before, size, m.FileSize())
	}
	if r := open(t, out.Bytes()); !bytes.Equal(readAll(t, r), values(records)) {
		t.Error("other lines came out")
	}
	w.Settle() // a finished one is left alone
}
