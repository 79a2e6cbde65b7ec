package bundle_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/ssbsync/ssbsync/bundle"
)

func TestZstdReader(t *testing.T) {
	lines := values(sample(3, 100, 700))
	two := append(compress(lines), compress(lines, zstd.WithSingleSegment(false))...)
	for _, src := range []io.Reader{bytes.NewReader(two), oneByte{bytes.NewReader(two)}} {
		z, err := bundle.NewZstdReader(src)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(z)
		if err != nil || !bytes.Equal(got, append(bytes.Clone(lines), lines...)) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// oneByte delivers one byte at a time.
type oneByte struct{ r io.Reader }

func (o oneByte) Read(p []byte) (int, error) { return o.r.Read(p[:min(1, len(p))]) }

// TestZstdReaderBounds reads streams that ask for a window of 1 GiB, end
// early, or expand to gigabytes.
func TestZstdReaderBounds(t *testing.T) {
	huge := []byte{0x28, 0xB5, 0x2F, 0xFD, 0x04, 20 << 3, 1, 0, 0, 0, 0, 0, 0} // window descriptor: 2^(10+20)
	cut := compress(noise(5000))[:3000]
	for name, file := range map[string][]byte{"window": huge, "cut": cut, "text": []byte("plain text, not zstd")} {
		z, err := bundle.NewZstdReader(bytes.NewReader(file))
		if err == nil {
			_, err = io.ReadAll(z)
		}
		if err == nil {
			t.Fatalf("%s: read without error", name)
		}
	}
	bomb, err := bundle.NewZstdReader(bytes.NewReader(rleBomb(200_000)))
	if err != nil {
		t.Fatal(err)
	}
	defer bomb.Close()
	if used := allocated(func() { io.CopyN(io.Discard, bomb, 1<<30) }); used > 64<<20 {
		t.Fatalf("allocated %d bytes", used)
	}
}

func TestMagic(t *testing.T) {
	for _, c := range []struct {
		prefix       []byte
		zstd, bundle bool
	}{
		{nil, false, false},
		{[]byte("{\"key\":"), false, false},
		{[]byte{0x28, 0xB5, 0x2F}, false, false},
		{compress([]byte("{}\n")), true, false},
		{skippable(0x184D2A50, nil), true, false},
		{skippable(0x184D2A5F, nil), true, false},
		{skippable(0x184D2A60, nil), false, false},
		{skippable(0x184D2A50, []byte("ssbsync bundle\x01\x00")), true, true},
		{skippable(0x184D2A50, []byte("ssbsync bundle\x01")), true, false},
		{skippable(0x184D2A51, []byte("ssbsync bundle\x01\x00")), true, false},
	} {
		if bundle.IsZstd(c.prefix) != c.zstd || bundle.IsBundle(c.prefix) != c.bundle {
			t.Errorf("%x: zstd %v, bundle %v", c.prefix, bundle.IsZstd(c.prefix), bundle.IsBundle(c.prefix))
		}
	}
}

func TestSpool(t *testing.T) {
	var out bytes.Buffer
	if n, err := bundle.Spool(&out, bytes.NewReader(make([]byte, 1000)), bundle.Limits{File: 1000}); n != 1000 || err != nil || out.Len() != 1000 {
		t.Fatalf("%d, %v", n, err)
	}
	if _, err := bundle.Spool(io.Discard, bytes.NewReader(make([]byte, 1001)), bundle.Limits{File: 1000}); !errors.Is(err, bundle.ErrInvalid) {
		t.Fatalf("more than the limit: %v", err)
	}
	broken := errors.New("input/output error")
	if _, err := bundle.Spool(failingWriter{broken}, bytes.NewReader(make([]byte, 10)), bundle.Limits{}); !errors.Is(err, broken) {
		t.Fatalf("write error: %v", err)
	}
}
