package bundle_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// seedFile returns the example, from which all fuzzing begins.
func seedFile(f *testing.F) []byte {
	f.Helper()
	file, err := os.ReadFile(exampleFile)
	if err != nil {
		f.Fatal(err)
	}
	return file
}

// FuzzManifest holds that the parser accepts only what Marshal writes.
func FuzzManifest(f *testing.F) {
	seed := seedFile(f)
	f.Add(seed[8 : 8+binary.LittleEndian.Uint32(seed[4:])-64])
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := bundle.ParseManifest(b)
		if err == nil && !bytes.Equal(m.Marshal(), b) {
			t.Fatalf("%x parses, but prints as %x", b, m.Marshal())
		}
	})
}

// FuzzRangeTable does the same for the range table, with a manifest whose
// counts it can agree with.
func FuzzRangeTable(f *testing.F) {
	a, b := refs.Feed{1}, refs.Feed{2}
	f.Add(table([]refs.Feed{a, b}, [][]run{{{0, 1, 10}, {1, 1, 10}}}, nil), uint32(20))
	f.Add(table([]refs.Feed{a, b}, [][]run{{{1, 3, 3}, {0, 1, 5}}, {{0, 6, 6}, {0, 9, 20}}}, make([]refs.Blob, 1)), uint32(19))
	f.Add(table(nil, nil, make([]refs.Blob, 1)), uint32(0))
	f.Fuzz(func(t *testing.T, b []byte, messages uint32) {
		if len(b) < 12 {
			return
		}
		feeds, frames, blobs := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[8:])
		if frames > 100 || blobs > 100 {
			return
		}
		m := &bundle.Manifest{Messages: messages, Feeds: feeds, Blobs: blobs, Frames: make([]bundle.Frame, 1+frames+blobs)}
		for i := range m.Frames {
			m.Frames[i].Raw = bundle.MaxFrame
		}
		out, err := bundle.ReprintRangeTable(b, m)
		if err == nil && !bytes.Equal(out, b) {
			t.Fatalf("%x parses, but prints as %x", b, out)
		}
	})
}

// FuzzOpen reads damaged files: whatever is read is what was written.
func FuzzOpen(f *testing.F) {
	seed := seedFile(f)
	f.Add(seed)
	f.Add(seed[:len(seed)/2])
	f.Add(flip(seed, 20))
	name := openSeed(f, seed).Name()
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := bundle.Open(bytes.NewReader(b), int64(len(b)), bundle.Limits{})
		if err != nil {
			return
		}
		report, err := r.Verify(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if r.Name() == name && len(report.Damage) == 0 && !bytes.Equal(b, seed) {
			t.Fatal("other bytes under the name of the example, and no damage")
		}
	})
}

func openSeed(f *testing.F, seed []byte) *bundle.Reader {
	r, err := bundle.Open(bytes.NewReader(seed), int64(len(seed)), bundle.Limits{})
	if err != nil {
		f.Fatal(err)
	}
	return r
}

// FuzzFrames reads frames that the exporter signed, whatever is in them. What
// is given out has the size that the manifest says.
func FuzzFrames(f *testing.F) {
	lines := []byte("{\"a\":1}\n{\"a\":2}\n")
	f.Add(compress(lines), uint32(len(lines)), skippable(0x184D2A52, compress(lines)), uint32(len(lines)), true)
	f.Add(compress(lines, zstd.WithEncoderCRC(false)), uint32(len(lines)), skippable(0x184D2A52, lines), uint32(len(lines)), false)
	f.Add(rleBomb(2000), uint32(2000), skippable(0x184D2A52, rleBomb(2000)), uint32(2000), true)
	base := seedFile(f)
	f.Fuzz(func(t *testing.T, frame []byte, raw uint32, blob []byte, blobRaw uint32, packed bool) {
		p := takeApart(t, base)
		p.replace(1, frame, int(raw))
		p.replace(2, blob, int(blobRaw))
		p.manifest.Frames[2].Kind = bundle.KindStoredBlob
		if packed {
			p.manifest.Frames[2].Kind = bundle.KindBlob
		}
		p.manifest.Exporter = p.signer.Feed()
		file := p.file()
		r, err := bundle.Open(bytes.NewReader(file), int64(len(file)), bundle.Limits{})
		if err != nil {
			return
		}
		if got, err := r.ReadFrame(0); err == nil && (len(got) != int(raw) || bytes.Count(got, []byte("\n")) != 2) {
			t.Fatalf("read %q, manifest says %d bytes and 2 lines", got, raw)
		}
		if _, got, err := r.ReadBlob(0); err == nil && len(got) != int(blobRaw) {
			t.Fatalf("read %d bytes, manifest says %d", len(got), blobRaw)
		}
	})
}
