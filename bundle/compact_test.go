package bundle_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/bundle/compact"
	"github.com/ssbsync/ssbsync/spec/keys"
)

// writeCodec makes a bundle in a codec, with a new frame after each of cuts
// messages; 0 is as few frames as possible.
func writeCodec(t testing.TB, codec string, records []bundle.Record, cuts int) []byte {
	t.Helper()
	w := bundle.NewWriter(alice, bundle.Header{Codec: codec}, bundle.WriterOptions{})
	for i, r := range records {
		if err := w.Add(r); err != nil {
			t.Fatal(err)
		}
		if cuts > 0 && (i+1)%cuts == 0 {
			w.Settle()
		}
	}
	bound := w.Size()
	var out bytes.Buffer
	m, err := w.Finish(&out)
	if err != nil {
		t.Fatal(err)
	}
	if m.FileSize() != int64(out.Len()) || bound < int64(out.Len()) {
		t.Fatalf("%s: wrote %d bytes, manifest says %d, bound was %d", codec, out.Len(), m.FileSize(), bound)
	}
	return out.Bytes()
}

// TestCodecs holds that every codec gives the same lines.
func TestCodecs(t *testing.T) {
	records, raw := smallSet(t)
	for _, set := range [][]bundle.Record{records, records[:1], sample(3, 700, 700)} {
		for _, codec := range bundle.Codecs() {
			for _, cuts := range []int{0, 400} {
				file := writeCodec(t, codec, set, cuts)
				r := open(t, file)
				if r.Manifest().Codec != codec || !r.Readable() || r.MessageFrames() < len(set)*min(cuts, 1)/400 {
					t.Fatalf("%s: %d frames of codec %s", codec, r.MessageFrames(), r.Manifest().Codec)
				}
				if !bytes.Equal(readAll(t, r), values(set)) {
					t.Fatalf("%s: other lines came out", codec)
				}
				if !bytes.Equal(writeCodec(t, codec, set, cuts), file) {
					t.Errorf("%s: equal input gave other bytes", codec)
				}
			}
		}
	}
	lines, columns := len(writeCodec(t, bundle.CodecJSONL, records, 0)), len(writeCodec(t, bundle.CodecCompact, records, 0))
	t.Logf("%d messages, %d bytes: %d bytes as %s, %d as %s", len(records), raw, lines, bundle.CodecJSONL, columns, bundle.CodecCompact)
	if columns*10 > lines*9 {
		t.Errorf("%s takes %d bytes, %s %d", bundle.CodecCompact, columns, bundle.CodecJSONL, lines)
	}
}

// TestThinDeltas: the last one, two and three messages of each feed take no
// more room than with the interchange codec; alone, all together, and by a
// thousand feeds.
func TestThinDeltas(t *testing.T) {
	records, _ := dataSet(t)
	for _, feeds := range []int{1, 10, 1000} {
		for n := 1; n <= 3; n++ {
			delta := tails(records, n, feeds)
			lines, columns := len(writeCodec(t, bundle.CodecJSONL, delta, 0)), len(writeCodec(t, bundle.CodecCompact, delta, 0))
			t.Logf("%d of each of %d feeds: %d bytes as %s, %d as %s", n, feeds, lines, bundle.CodecJSONL, columns, bundle.CodecCompact)
			if columns > lines {
				t.Errorf("%d messages: %d bytes, with %s %d", len(delta), columns, bundle.CodecJSONL, lines)
			}
		}
	}
}

// tails returns n messages of each of so many feeds: the last ones of the data
// set's feeds and, when those are too few, earlier ones under other names.
func tails(records []bundle.Record, n, feeds int) (delta []bundle.Record) {
	byFeed := make(map[[32]byte][]bundle.Record)
	var order [][32]byte
	for _, r := range records {
		if byFeed[r.Feed] == nil {
			order = append(order, r.Feed)
		}
		byFeed[r.Feed] = append(byFeed[r.Feed], r)
	}
	for round := 0; len(delta) < n*feeds; round++ {
		for _, feed := range order {
			all := byFeed[feed]
			if parts := len(all) / n; parts > 0 && len(delta) < n*feeds {
				at := len(all) - (round%parts+1)*n
				delta = append(delta, renamed(all[at:at+n], round)...)
			}
		}
	}
	return delta
}

// renamed returns messages as if another feed had written and signed them.
func renamed(records []bundle.Record, round int) []bundle.Record {
	if round == 0 {
		return records
	}
	records = slices.Clone(records)
	for i := range records {
		r := &records[i]
		old := r.Feed
		r.Feed = keys.FromSeed(sha256.Sum256(fmt.Append(nil, old, round))).Feed()
		noise := sha512.Sum512(fmt.Append(nil, r.Feed, r.Seq))
		r.Value = bytes.ReplaceAll(r.Value, []byte(old.String()), []byte(r.Feed.String()))
		copy(r.Value[bytes.LastIndex(r.Value, []byte(`:"`))+2:], base64.StdEncoding.EncodeToString(noise[:]))
	}
	return records
}

// TestCompactDamage: a damaged frame loses its messages and no others, with or
// without the range table.
func TestCompactDamage(t *testing.T) {
	records, _ := smallSet(t)
	records = records[:1000]
	file := writeCodec(t, bundle.CodecCompact, records, 100)
	m := open(t, file).Manifest()
	at := 8 + len(m.Marshal()) + 64
	offsets := make([]int, len(m.Frames))
	for i, f := range m.Frames {
		offsets[i] = at
		at += int(f.Stored)
	}
	for lost := range 10 {
		for _, ranges := range []bool{true, false} {
			bad := flip(file, offsets[1+lost]+int(m.Frames[1+lost].Stored)/2)
			if !ranges {
				bad = flip(bad, offsets[0]+20)
			}
			r := open(t, bad)
			for i := range r.MessageFrames() {
				lines, err := r.ReadFrame(i)
				if i == lost {
					wantFrameError(t, err, bundle.PartMessages, bundle.Damaged, fmt.Sprintf("message frame %d", i))
				} else if err != nil || !bytes.Equal(lines, values(records[100*i:100*(i+1)])) {
					t.Fatalf("frame %d: %v", i, err)
				}
			}
		}
	}
}

// TestCompactLies reads frames of columns that the exporter signed.
func TestCompactLies(t *testing.T) {
	records, _ := smallSet(t)
	file := writeCodec(t, bundle.CodecCompact, records[:10], 0)
	good := compact.Encode(values(records[:10]), nil)
	bomb := binary.AppendUvarint([]byte{1}, compact.MaxLines)
	columns := []string{strings.Repeat("\x20", 10), strings.Repeat("\x01"+strings.Repeat("\x06", 40)+"\x00", 10), strings.Repeat(strings.Repeat("w", 20_000)+"\n", 10),
		"", "", "", "", "", "", string(noise(1000))}
	for i := range 10 {
		n := 0
		if i < len(columns) {
			n = len(columns[i])
		}
		bomb = binary.AppendUvarint(bomb, uint64(n))
	}
	bomb = append(bomb, strings.Join(columns, "")...)
	for name, c := range map[string]struct {
		contents []byte
		want     string
	}{
		"nothing of columns": {bytes.Repeat([]byte("{}\n"), 20), "form 123"},
		"cut":                {good[:len(good)-1], "ends early"},
		"longer":             {append(bytes.Clone(good), 0), "after the columns"},
		"other lines":        {compact.Encode(values(records[:9]), nil), "9 lines where the range table says 10"},
		"an empty line":      {compact.Encode(append(values(records[:9]), '\n'), nil), "line 10 is empty"},
		"a long line":        {compact.Encode(append(values(records[:9]), strings.Repeat("x ", bundle.MaxMessage)+"\n"...), nil), "line 10 is empty, too long"},
		"few bytes to many":  {bomb, "bytes of lines, more than"},
	} {
		t.Run(name, func(t *testing.T) {
			p := takeApart(t, file)
			p.replace(1, compress(c.contents), len(c.contents))
			if name == "few bytes to many" && int(p.manifest.Frames[1].Stored) > 4096 {
				t.Fatalf("a bomb of %d bytes", p.manifest.Frames[1].Stored)
			}
			_, err := open(t, p.file()).ReadFrame(0)
			wantFrameError(t, err, bundle.PartMessages, bundle.Untrue, c.want)
		})
	}
	p := takeApart(t, file)
	p.manifest.Frames[1].Raw = bundle.MaxCodedFrame + 1
	wantInvalid(t, p.file(), "more than 8388608")
	p = takeApart(t, file)
	p.manifest.Frames[1].Raw = bundle.MaxFrame + 1
	p.manifest.Codec = bundle.CodecJSONL
	wantInvalid(t, p.file(), "more than 1048576")
}

// TestUnreadableVerify: the frames of a codec of the future are checked, and
// nothing in them is taken for messages.
func TestUnreadableVerify(t *testing.T) {
	p := takeApart(t, write(t, alice, sample(1, 10, 100), nil))
	p.manifest.Codec = "future"
	r := open(t, p.file())
	rep, err := r.Verify(t.Context(), func(int, []byte) error { t.Error("lines are shown"); return nil })
	if err != nil || rep.Messages != 0 || len(rep.Damage) != 0 || r.Readable() {
		t.Errorf("%+v, %v", rep, err)
	}
}
