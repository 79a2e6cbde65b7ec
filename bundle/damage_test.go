package bundle_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/ssbsync/ssbsync/bundle"
)

// openDamaged opens a file that must open, and notes nothing but the given
// parts.
func openDamaged(t *testing.T, file []byte, want ...bundle.Part) *bundle.Reader {
	t.Helper()
	r := open(t, file)
	var got []bundle.Part
	for _, e := range r.Damage() {
		got = append(got, e.Part)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("damage %v, want %v", got, want)
	}
	return r
}

// TestManifestFlips flips a bit of every byte of the manifest, of its copy,
// and of both.
func TestManifestFlips(t *testing.T) {
	records := sample(2, 3, 100)
	file := write(t, alice, records, nil)
	whole := open(t, file)
	n := manifestFrame(whole)
	copyAt := len(file) - n - seekTable(whole)
	for i := range n {
		bit := byte(1) << (i % 8)
		front, back, both := bytes.Clone(file), bytes.Clone(file), bytes.Clone(file)
		front[i] ^= bit
		back[copyAt+i] ^= bit
		both[i] ^= bit
		both[copyAt+i] ^= bit
		for _, r := range []*bundle.Reader{
			openDamaged(t, front, bundle.PartManifest),
			openDamaged(t, back, bundle.PartCopy),
		} {
			if r.Name() != whole.Name() || !reflect.DeepEqual(r.Manifest(), whole.Manifest()) {
				t.Fatalf("byte %d flipped: another manifest was read", i)
			}
			if !bytes.Equal(readAll(t, r), values(records)) {
				t.Fatalf("byte %d flipped: other lines came out", i)
			}
		}
		if _, err := bundle.Open(bytes.NewReader(both), int64(len(both)), bundle.Limits{}); !errors.Is(err, bundle.ErrInvalid) {
			t.Fatalf("byte %d flipped in both manifests: %v", i, err)
		}
	}
	t.Logf("%d bytes flipped in three ways", n)
}

// TestSeekTableFlips flips a bit of every byte of the seek table, which no
// reader of ours needs unless the manifest is lost.
func TestSeekTableFlips(t *testing.T) {
	file := write(t, alice, sample(2, 3, 100), nil)
	n := seekTable(open(t, file))
	for i := len(file) - n; i < len(file); i++ {
		readAll(t, openDamaged(t, flip(file, i), bundle.PartSeekTable))
	}
	lost := flip(file, 100) // and a seek table that does not lead to the copy
	lost[len(lost)-9] ^= 1
	if _, err := bundle.Open(bytes.NewReader(lost), int64(len(lost)), bundle.Limits{}); !errors.Is(err, bundle.ErrInvalid) {
		t.Fatalf("without a way to either manifest: %v", err)
	}
}

// manifestFrame returns the size of the manifest with the header of its frame.
func manifestFrame(r *bundle.Reader) int { return 8 + len(r.Manifest().Marshal()) + 64 }

// seekTable returns the size of the seek table.
func seekTable(r *bundle.Reader) int { return 8 + 8*(len(r.Manifest().Frames)+2) + 9 }

// borders returns where each frame of the file begins, and its end.
func borders(r *bundle.Reader) []int {
	at := []int{0, manifestFrame(r)}
	for _, f := range r.Manifest().Frames {
		at = append(at, at[len(at)-1]+int(f.Stored))
	}
	end := at[len(at)-1] + manifestFrame(r)
	return append(at, end, end+seekTable(r))
}

func TestTruncation(t *testing.T) {
	file := write(t, alice, sample(3, 1500, 700), [][]byte{noise(5000), noise(6000)})
	at := borders(open(t, file))
	if at[len(at)-1] != len(file) {
		t.Fatalf("borders %v in a file of %d bytes", at, len(file))
	}
	cuts := append([]int{}, at...)
	for _, b := range at[1:] {
		cuts = append(cuts, b-1, min(b+1, len(file)))
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range randomCuts {
		cuts = append(cuts, rnd.IntN(len(file)))
	}
	for _, cut := range cuts {
		checkTruncated(t, file[:cut], at)
	}
	t.Logf("%d frames, cut at %d places", len(at)-1, len(cuts))
}

// checkTruncated holds that exactly the frames that are whole can be read; at
// is where the frames of the whole file begin.
func checkTruncated(t *testing.T, file []byte, at []int) {
	t.Helper()
	r, err := bundle.Open(bytes.NewReader(file), int64(len(file)), bundle.Limits{})
	if len(file) < at[1] {
		if !errors.Is(err, bundle.ErrInvalid) {
			t.Fatalf("cut at %d, inside of the manifest: %v", len(file), err)
		}
		return
	}
	if err != nil {
		t.Fatalf("cut at %d: %v", len(file), err)
	}
	if r.HasRanges() != (len(file) >= at[2]) {
		t.Fatalf("cut at %d: range table read: %v", len(file), r.HasRanges())
	}
	if (len(r.Damage()) > 0) != (len(file) < at[len(at)-1]) {
		t.Fatalf("cut at %d: damage %v", len(file), r.Damage())
	}
	for i := range r.MessageFrames() {
		_, err := r.ReadFrame(i)
		wantTruncated(t, err, bundle.PartMessages, at[3+i] > len(file))
	}
	for i := range r.BlobFrames() {
		_, _, err := r.ReadBlob(i)
		wantTruncated(t, err, bundle.PartBlob, at[3+r.MessageFrames()+i] > len(file))
	}
}

func wantTruncated(t *testing.T, err error, part bundle.Part, truncated bool) {
	t.Helper()
	if truncated {
		wantFrameError(t, err, part, bundle.Truncated, "")
	} else if err != nil {
		t.Fatalf("a whole frame is not read: %v", err)
	}
}

// TestFlippedFrame flips a bit in each frame; only that frame is lost, and
// its messages are named.
func TestFlippedFrame(t *testing.T) {
	records := sample(3, 1500, 700)
	file := write(t, alice, records, [][]byte{noise(5000), noise(6000)})
	whole := open(t, file)
	at := borders(whole)
	rnd := rand.New(rand.NewPCG(3, 4))
	for i := range whole.Manifest().Frames {
		begin, end := at[1+i], at[2+i]
		r := open(t, flip(file, begin+rnd.IntN(end-begin)))
		if r.HasRanges() != (i > 0) {
			t.Fatalf("frame %d flipped: range table read: %v", i, r.HasRanges())
		}
		report, err := r.Verify(t.Context(), nil)
		if err != nil || len(report.Damage) != 1 {
			t.Fatalf("frame %d flipped: %v, %v", i, report.Damage, err)
		}
		e := report.Damage[0]
		if e.Cause != bundle.Damaged || e.Offset != int64(begin) || e.Size != int64(end-begin) {
			t.Fatalf("frame %d flipped: %v", i, e)
		}
		checkLoss(t, whole, i, e, report, len(records))
	}
	t.Logf("%d frames flipped", len(whole.Manifest().Frames))
}

// checkLoss holds that e names what frame i of the manifest held, and that
// the rest was read.
func checkLoss(t *testing.T, whole *bundle.Reader, i int, e *bundle.FrameError, report bundle.Report, messages int) {
	t.Helper()
	lost, blobs := 0, 0
	switch {
	case i == 0:
		if e.Part != bundle.PartRanges {
			t.Fatalf("range table flipped: %v", e)
		}
	case i <= whole.MessageFrames():
		if e.Index != i-1 || !reflect.DeepEqual(e.Runs, whole.Runs(i-1)) {
			t.Fatalf("frame %d flipped: %v", i, e)
		}
		for _, run := range e.Runs {
			lost += run.Len()
		}
	default:
		blobs = 1
		if k := i - 1 - whole.MessageFrames(); e.Index != k || *e.Blob != whole.Blobs()[k] {
			t.Fatalf("frame %d flipped: %v", i, e)
		}
	}
	if report.Messages != messages-lost || report.Blobs != whole.BlobFrames()-blobs {
		t.Fatalf("frame %d flipped: read %d messages, %d blobs", i, report.Messages, report.Blobs)
	}
}
