package bundle_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// parts is a bundle taken apart, to put together another one that the
// exporter signed, however wrong it is.
type parts struct {
	manifest *bundle.Manifest
	frames   [][]byte // as in the file
	extra    []byte   // after the frame table, inside the signature
	signer   *keys.Pair
}

func takeApart(t testing.TB, file []byte) *parts {
	t.Helper()
	n := binary.LittleEndian.Uint32(file[4:])
	m, err := bundle.ParseManifest(file[8 : 8+n-64])
	if err != nil {
		t.Fatal(err)
	}
	p := &parts{manifest: m, signer: alice}
	at := 8 + n
	for _, f := range m.Frames {
		p.frames = append(p.frames, file[at:at+f.Stored])
		at += f.Stored
	}
	return p
}

// replace puts another frame in the place of frame i of the manifest.
func (p *parts) replace(i int, stored []byte, raw int) {
	p.frames[i] = stored
	f := &p.manifest.Frames[i]
	f.Stored, f.Raw, f.Sum = uint32(len(stored)), uint32(raw), sha256.Sum256(stored)
}

// replaceRanges puts another range table in its place.
func (p *parts) replaceRanges(table []byte) {
	p.replace(0, skippable(0x184D2A51, compress(table)), len(table))
}

// file puts the bundle together and signs it.
func (p *parts) file() []byte {
	body := append(p.manifest.Marshal(), p.extra...)
	sig := p.signer.Sign(append([]byte("ssbsync bundle v1"), body...))
	head := skippable(0x184D2A50, append(body, sig[:]...))
	out := append([]byte{}, head...)
	var seek []byte
	entry := func(stored, raw int) {
		seek = binary.LittleEndian.AppendUint32(seek, uint32(stored))
		seek = binary.LittleEndian.AppendUint32(seek, uint32(raw))
	}
	entry(len(head), 0)
	for i, f := range p.frames {
		out = append(out, f...)
		if p.manifest.Frames[i].Kind == bundle.KindMessages {
			entry(len(f), int(p.manifest.Frames[i].Raw))
		} else {
			entry(len(f), 0)
		}
	}
	entry(len(head), 0)
	seek = binary.LittleEndian.AppendUint32(seek, uint32(len(p.frames)+2))
	seek = append(seek, 0, 0xB1, 0xEA, 0x92, 0x8F)
	return append(append(out, head...), skippable(0x184D2A5E, seek)...)
}

func skippable(magic uint32, contents []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, magic)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(contents)))
	return append(b, contents...)
}

func compress(raw []byte, opts ...zstd.EOption) []byte {
	enc, err := zstd.NewWriter(nil, append([]zstd.EOption{zstd.WithSingleSegment(true)}, opts...)...)
	if err != nil {
		panic(err)
	}
	defer enc.Close()
	return enc.EncodeAll(raw, nil)
}

// run is a run in a range table.
type run struct{ feed, first, last uint32 }

// table encodes a range table, however wrong it is.
func table(feeds []refs.Feed, frames [][]run, blobs []refs.Blob) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, uint32(len(feeds)))
	b = le.AppendUint32(b, uint32(len(frames)))
	b = le.AppendUint32(b, uint32(len(blobs)))
	for _, f := range feeds {
		b = append(b, f[:]...)
	}
	for _, runs := range frames {
		b = le.AppendUint32(b, uint32(len(runs)))
		for _, r := range runs {
			b = le.AppendUint32(b, r.feed)
			b = le.AppendUint32(b, r.first)
			b = le.AppendUint32(b, r.last)
			b = append(b, "prefix!!"...)
		}
	}
	for _, id := range blobs {
		b = append(b, id[:]...)
	}
	return b
}

// TestForge holds that the forger makes what the writer makes.
func TestForge(t *testing.T) {
	file := write(t, alice, sample(3, 700, 700), [][]byte{noise(100)})
	if !bytes.Equal(takeApart(t, file).file(), file) {
		t.Fatal("the forger puts together other bytes")
	}
}

// wantInvalid holds that a file is refused for the reason named.
func wantInvalid(t *testing.T, file []byte, want string) {
	t.Helper()
	_, err := bundle.Open(bytes.NewReader(file), int64(len(file)), bundle.Limits{})
	if !errors.Is(err, bundle.ErrInvalid) || !strings.Contains(err.Error(), want) {
		t.Fatalf("got %v, want %q", err, want)
	}
}
