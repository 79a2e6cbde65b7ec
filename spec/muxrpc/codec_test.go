package muxrpc_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"runtime"
	"testing"
	"testing/iotest"

	"github.com/ssbsync/ssbsync/spec/internal/vectors"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
)

// vectorPacket is a packet in vector files; a goodbye is a string there.
type vectorPacket struct {
	goodbye     bool
	Req         int32
	Stream, End bool
	Type        json.RawMessage // a name in frames, a number in decode
	Body        []byte          `json:"body_b64"`
}

func (p *vectorPacket) UnmarshalJSON(text []byte) error {
	if string(text) == `"GOODBYE"` {
		*p = vectorPacket{goodbye: true}
		return nil
	}
	type plain vectorPacket
	return json.Unmarshal(text, (*plain)(p))
}

func (p *vectorPacket) kind(t *testing.T) muxrpc.Kind {
	switch string(p.Type) {
	case `"buffer"`, "0":
		return muxrpc.Binary
	case `"string"`, "1":
		return muxrpc.String
	case `"json"`, "2":
		return muxrpc.JSON
	}
	t.Fatalf("vector packet of type %s", p.Type)
	return 0
}

func (p *vectorPacket) packet(t *testing.T) muxrpc.Packet {
	if p.goodbye {
		return muxrpc.Packet{}
	}
	return muxrpc.Packet{Req: p.Req, Stream: p.Stream, End: p.End, Kind: p.kind(t), Body: p.Body}
}

func samePacket(a, b muxrpc.Packet) bool {
	return a.Req == b.Req && a.Stream == b.Stream && a.End == b.End && a.Kind == b.Kind && bytes.Equal(a.Body, b.Body)
}

// sameJSON reports whether a and b are the same JSON value.
func sameJSON(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestFrameVectors(t *testing.T) {
	vectors.Lines(t, vectors.Files(t, "muxrpc", "frames.jsonl"), func(line []byte) {
		var c struct {
			ID     string
			Packet vectorPacket
			Frame  string
		}
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		want, p := unhex(t, c.Frame), c.Packet.packet(t)
		if p.End && bytes.HasPrefix(p.Body, []byte("{")) && want[0]&4 == 0 {
			// The vectors give the encoder the error as the end itself, and an
			// object shifted left is 0: the flag is lost. Packet streams give it
			// true, and the error as the value.
			p.End = false
		}
		if got := p.Append(nil); !bytes.Equal(got, want) {
			t.Errorf("%s: encoded %x, want %x", c.ID, got, want)
		}
		got, err := muxrpc.NewDecoder(bytes.NewReader(want), 0).Next()
		if err != nil || !samePacket(got, p) || got.Goodbye() != c.Packet.goodbye {
			t.Errorf("%s: decoded %+v, %v", c.ID, got, err)
		}
	})
}

// chunks is a reader that gives one chunk at a time.
type chunks [][]byte

func (c *chunks) Read(p []byte) (int, error) {
	for len(*c) > 0 && len((*c)[0]) == 0 {
		*c = (*c)[1:]
	}
	if len(*c) == 0 {
		return 0, io.EOF
	}
	n := copy(p, (*c)[0])
	(*c)[0] = (*c)[0][n:]
	return n, nil
}

func TestDecodeVectors(t *testing.T) {
	vectors.Lines(t, vectors.Files(t, "muxrpc", "decode.jsonl"), func(line []byte) {
		var c struct {
			ID, Note string
			Chunks   []string
			Packets  []vectorPacket
			Error    *string
		}
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		var in chunks
		for _, chunk := range c.Chunks {
			in = append(in, unhex(t, chunk))
		}
		got, err := decodeLikeJS(&in)
		if (err != nil) != (c.Error != nil) {
			t.Errorf("%s (%s): error %v", c.ID, c.Note, err)
		}
		if len(got) != len(c.Packets) {
			t.Fatalf("%s (%s): %d packets, want %d", c.ID, c.Note, len(got), len(c.Packets))
		}
		for i, p := range got {
			want := c.Packets[i].packet(t)
			if p.Kind == muxrpc.JSON && sameJSON(p.Body, want.Body) {
				p.Body = want.Body // the vectors re-print values
			}
			if !samePacket(p, want) {
				t.Errorf("%s (%s): packet %d is %+v, want %+v", c.ID, c.Note, i, p, want)
			}
		}
	})
}

// decodeLikeJS decodes as the JavaScript codec does, for which any packet
// without a body is the goodbye and a body is checked on arrival.
func decodeLikeJS(r io.Reader) (all []muxrpc.Packet, err error) {
	dec := muxrpc.NewDecoder(r, 0)
	for {
		p, err := dec.Next()
		if err == nil {
			err = p.Check()
		}
		if err != nil {
			return all, err
		}
		if len(p.Body) == 0 {
			return append(all, muxrpc.Packet{}), nil
		}
		if p.Kind == muxrpc.String {
			p.Body = []byte(muxrpc.Item{Kind: p.Kind, Body: p.Body}.Text())
		}
		all = append(all, p)
	}
}

func TestDecoderTruncated(t *testing.T) {
	p := muxrpc.Packet{Req: 7, Stream: true, Kind: muxrpc.String, Body: []byte("truncate me")}
	frame := p.Append(p.Append(nil))
	for n := range frame {
		dec := muxrpc.NewDecoder(iotest.OneByteReader(bytes.NewReader(frame[:n])), 0)
		var err error
		for count := 0; ; count++ {
			var got muxrpc.Packet
			if got, err = dec.Next(); err != nil {
				if want := n / (len(frame) / 2); count != want {
					t.Errorf("cut at %d: %d packets, want %d", n, count, want)
				}
				break
			}
			if !samePacket(got, p) {
				t.Errorf("cut at %d: %+v", n, got)
			}
		}
		if border := n%(len(frame)/2) == 0; border && err != io.EOF || !border && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
}

// TestDecoderClaims checks that a length alone makes nobody allocate.
func TestDecoderClaims(t *testing.T) {
	for _, c := range []struct {
		header string
		limit  uint64 // bytes
	}{
		{"0affffffff00000001", 128 << 10}, // 4 GiB: refused
		{"0a0100000000000001", 256 << 10}, // 16 MiB: allowed, and never comes
	} {
		in := unhex(t, c.header)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := muxrpc.NewDecoder(bytes.NewReader(in), 0).Next()
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s: no error", c.header)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > c.limit {
			t.Errorf("%s: allocated %d bytes", c.header, got)
		}
	}
}

func TestDecoderLargeBody(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789"), 100_000)
	frame := (&muxrpc.Packet{Req: 1, Body: body}).Append(nil)
	p, err := muxrpc.NewDecoder(iotest.HalfReader(bytes.NewReader(frame)), len(body)).Next()
	if err != nil || !bytes.Equal(p.Body, body) {
		t.Errorf("body at the limit: %d bytes, %v", len(p.Body), err)
	}
	if _, err := muxrpc.NewDecoder(bytes.NewReader(frame), len(body)-1).Next(); err == nil {
		t.Error("body over the limit was read")
	}
}

// TestItemText has what node's Buffer.toString makes of broken UTF-8.
func TestItemText(t *testing.T) {
	for _, c := range []struct{ hex, want string }{
		{"ff41", "\ufffdA"},
		{"e28241", "\ufffdA"},
		{"f09f9841", "\ufffdA"},
		{"eda080", "\ufffd\ufffd\ufffd"},
		{"c080", "\ufffd\ufffd"},
		{"f4908080", "\ufffd\ufffd\ufffd\ufffd"},
		{"e080e282ac", "\ufffd\ufffd€"},
		{"f0", "\ufffd"},
		{"67c3bc", "gü"},
	} {
		if got := (muxrpc.Item{Kind: muxrpc.String, Body: unhex(t, c.hex)}).Text(); got != c.want {
			t.Errorf("%s: %q, want %q", c.hex, got, c.want)
		}
	}
}

func FuzzDecoder(f *testing.F) {
	for _, s := range []string{
		"0200000007000000017b2261223a317d09000000010000000273000000000000000000",
		"0affffffff00000001", "03000000010000000178", "00000000000000000502000000010000000131",
	} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		dec := muxrpc.NewDecoder(bytes.NewReader(in), 1<<20)
		want, out := bytes.Clone(in), []byte(nil)
		for {
			p, err := dec.Next()
			if err != nil {
				break
			}
			want[len(out)] &= 0x0f // bits that carry nothing
			out = p.Append(out)
		}
		if !bytes.HasPrefix(want, out) {
			t.Errorf("re-encoded as %x", out)
		}
	})
}
