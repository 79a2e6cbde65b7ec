package bundle_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// TestManifestLies opens bundles that their exporter signed, whose manifest
// is wrong in one place each.
func TestManifestLies(t *testing.T) {
	file := write(t, alice, sample(3, 600, 700), [][]byte{noise(100), noise(200)})
	n := len(takeApart(t, file).manifest.Frames)
	for name, c := range map[string]struct {
		edit func(p *parts)
		want string
	}{
		"longer than its frames": {func(p *parts) { p.extra = make([]byte, 1) }, "counts"},
		"two frames of ranges":   {func(p *parts) { p.manifest.Frames[1].Kind = bundle.KindRanges }, "out of order"},
		"no ranges":              {func(p *parts) { p.manifest.Frames[0].Kind = bundle.KindMessages }, "out of order"},
		"blob before messages":   {func(p *parts) { p.manifest.Frames[1].Kind = bundle.KindBlob }, "out of order"},
		"unknown kind":           {func(p *parts) { p.manifest.Frames[2].Kind = 9 }, "kind 9"},
		"kind 0":                 {func(p *parts) { p.manifest.Frames[2].Kind = 0 }, "kind 0"},
		"frame over 1 MiB":       {func(p *parts) { p.manifest.Frames[1].Raw = bundle.MaxFrame + 1 }, "more than 1048576"},
		"frame of nothing":       {func(p *parts) { p.manifest.Frames[1].Raw = 1 }, "no message"},
		"frame that grows":       {func(p *parts) { p.manifest.Frames[1].Raw = 1000 }, "1000 bytes take"},
		"frame without bytes":    {func(p *parts) { p.manifest.Frames[1].Stored = 0 }, "take 0"},
		"large range table":      {func(p *parts) { p.manifest.Frames[0].Raw = bundle.MaxRangeTable + 1 }, "more than"},
		"frame of nothing but one byte": {func(p *parts) {
			p.manifest.Frames[1].Raw, p.manifest.Frames[1].Stored = bundle.MaxFrame, 2039
		}, "1048576 bytes take 2039"},
		"range table over the file": {func(p *parts) {
			p.manifest.Messages, p.manifest.Frames[0].Raw = 600_000, uint32(p.manifest.FileSize())+1
		}, "range table of"},
		"range table over counts": {func(p *parts) { p.manifest.Frames[0].Raw = 1 << 20 }, "range table of 1048576"},
		"stored blob":             {func(p *parts) { p.manifest.Frames[n-1].Raw++ }, "stored blob"},
		"huge blob":               {func(p *parts) { p.manifest.Frames[n-1].Raw = 1 << 31 }, "more than 2147483647"},
		"blobs":                   {func(p *parts) { p.manifest.Blobs++ }, "3 blobs counted"},
		"too few messages":        {func(p *parts) { p.manifest.Messages = 1 }, "1 messages in"},
		"too many messages":       {func(p *parts) { p.manifest.Messages = 1 << 31 }, "2147483648 messages"},
		"other messages":          {func(p *parts) { p.manifest.Messages++ }, "range table: 1800 messages"},
		"no feeds":                {func(p *parts) { p.manifest.Feeds = 0 }, "0 feeds"},
		"more feeds":              {func(p *parts) { p.manifest.Feeds = 1801 }, "1801 feeds"},
		"other feeds":             {func(p *parts) { p.manifest.Feeds = 4 }, "range table counts 3 feeds"},
		"codec without name":      {func(p *parts) { p.manifest.Codec = "" }, "codec"},
		"codec with capitals":     {func(p *parts) { p.manifest.Codec = "JSONL" }, "codec"},
		"codec with a zero":       {func(p *parts) { p.manifest.Codec = "js\x00nl" }, "codec"},
		"frame longer than said":  {func(p *parts) { p.frames[1] = append(p.frames[1], 0) }, "after the end"},
		"nothing in it":           {func(p *parts) { p.manifest.Frames, p.frames = p.manifest.Frames[:1], p.frames[:1] }, "nothing in it"},
	} {
		t.Run(name, func(t *testing.T) {
			p := takeApart(t, bytes.Clone(file))
			for i := range p.frames {
				p.frames[i] = bytes.Clone(p.frames[i])
			}
			c.edit(p)
			wantInvalid(t, p.file(), c.want)
		})
	}
}

func TestNotABundle(t *testing.T) {
	file := write(t, alice, sample(1, 10, 100), nil)
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"empty":          {nil, "ends early"},
		"short":          {[]byte("short"), "ends early"},
		"text":           {bytes.Repeat([]byte("text"), 100), "not a bundle"},
		"plain zstd":     {compress(make([]byte, 1000)), "not a bundle"},
		"another magic":  {skippable(0x184D2A50, make([]byte, 400)), "manifest begins with"},
		"short manifest": {skippable(0x184D2A50, make([]byte, 40)), "not a manifest"},
		"huge manifest":  {append([]byte{0x50, 0x2A, 0x4D, 0x18, 0xFF, 0xFF, 0xFF, 0xFF}, make([]byte, 100)...), "manifest of 4294967303 bytes"},
		"trailing bytes": {append(bytes.Clone(file), 0), "1 bytes after the end"},
		"twice":          {append(bytes.Clone(file), file...), "after the end"},
	} {
		t.Run(name, func(t *testing.T) { wantInvalid(t, c.file, c.want) })
	}
	if _, err := bundle.Open(bytes.NewReader(file), int64(len(file)), bundle.Limits{File: 100}); !errors.Is(err, bundle.ErrInvalid) {
		t.Fatalf("a file over the limit: %v", err)
	}
}

func TestNextVersion(t *testing.T) {
	file := write(t, alice, sample(1, 10, 100), nil)
	file[8+14] = 2
	file[bytes.LastIndex(file, []byte("ssbsync bundle\x01"))+14] = 2
	wantInvalid(t, file, "version 2 is not supported")
}

// TestSignature opens bundles signed by another key than the exporter's, and
// one whose exporter nobody knows.
func TestSignature(t *testing.T) {
	p := takeApart(t, write(t, alice, sample(1, 10, 100), nil))
	p.signer = keys.FromSeed([32]byte{'m'})
	wantInvalid(t, p.file(), "does not verify under exporter "+alice.Feed().String())
	p.manifest.Exporter = p.signer.Feed()
	if r := open(t, p.file()); r.Manifest().Exporter != p.signer.Feed() {
		t.Fatal("another exporter")
	}
	p.manifest.Exporter = refs.Feed{1} // of small order: libsodium refuses it
	wantInvalid(t, p.file(), "does not verify")
}

// TestRangesLie opens bundles whose range table breaks a rule.
func TestRangesLie(t *testing.T) {
	a, b := refs.Feed{1}, refs.Feed{2}
	ab := []refs.Feed{a, b}
	for name, c := range map[string]struct {
		table []byte
		want  string
	}{
		"fine":               {table(ab, [][]run{{{0, 1, 10}, {1, 1, 10}}}, nil), ""},
		"gap":                {table(ab, [][]run{{{0, 1, 10}, {0, 12, 16}, {1, 1, 5}}}, nil), ""},
		"second feed first":  {table(ab, [][]run{{{1, 1, 10}, {0, 1, 10}}}, nil), ""},
		"feeds descend":      {table([]refs.Feed{b, a}, [][]run{{{0, 1, 10}, {1, 1, 10}}}, nil), "feed 1 not ascending"},
		"feed twice":         {table([]refs.Feed{a, a}, [][]run{{{0, 1, 10}, {1, 1, 10}}}, nil), "feed 1 not ascending"},
		"unused feed":        {table(ab, [][]run{{{0, 1, 20}}}, nil), "20 messages of 1 feeds"},
		"feed number":        {table(ab, [][]run{{{0, 1, 10}, {2, 1, 10}}}, nil), "feed number 2 of 2"},
		"large feed number":  {table(ab, [][]run{{{0, 1, 10}, {1<<32 - 1, 1, 10}}}, nil), "feed number 4294967295"},
		"sequence 0":         {table(ab, [][]run{{{0, 0, 9}, {1, 1, 10}}}, nil), "sequences 0 to 9"},
		"sequence 2^31":      {table(ab, [][]run{{{0, 1<<31 - 9, 1 << 31}, {1, 1, 10}}}, nil), "2147483648"},
		"backwards":          {table(ab, [][]run{{{0, 10, 1}, {1, 1, 10}}}, nil), "sequences 10 to 1"},
		"overlap":            {table(ab, [][]run{{{0, 1, 6}, {0, 6, 9}, {1, 1, 10}}}, nil), "sequence 6 after 6"},
		"descending":         {table(ab, [][]run{{{0, 7, 11}, {0, 1, 5}, {1, 1, 10}}}, nil), "sequence 1 after 11"},
		"torn run":           {table(ab, [][]run{{{0, 1, 6}, {0, 7, 10}, {1, 1, 10}}}, nil), "could hold"},
		"feed in two places": {table(ab, [][]run{{{0, 1, 6}, {1, 1, 10}, {0, 12, 15}}}, nil), "for the second time"},
		"too many":           {table(ab, [][]run{{{0, 1, 1 << 30}, {1, 1, 10}}}, nil), "messages in message frame 0"},
		"other count":        {table(ab, [][]run{{{0, 1, 10}, {1, 1, 11}}}, nil), "21 messages"},
		"no runs":            {table(ab, [][]run{{}}, nil), "0 messages in message frame 0"},
		"frames":             {table(ab, [][]run{{{0, 1, 10}, {1, 1, 10}}, {}}, nil), "2 message frames"},
		"blobs":              {table(ab, [][]run{{{0, 1, 10}, {1, 1, 10}}}, make([]refs.Blob, 1)), "1 blobs"},
		"trailing byte":      {append(table(ab, [][]run{{{0, 1, 10}, {1, 1, 10}}}, nil), 0), "1 bytes for 0 blobs"},
		"short":              {table(ab, [][]run{{{0, 1, 10}, {1, 1, 10}}}, nil)[:95], "ends in the runs"},
		"short feeds":        {table(ab, nil, nil)[:50], "message frames"},
		"no head":            {make([]byte, 11), "range table of 11 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			p := takeApart(t, write(t, alice, sample(2, 10, 100), nil))
			p.replaceRanges(c.table)
			if c.want != "" {
				wantInvalid(t, p.file(), c.want)
				return
			}
			readAll(t, open(t, p.file()))
		})
	}
}

// TestBlobsDescend holds that blobs stand small before large.
func TestBlobsDescend(t *testing.T) {
	p := takeApart(t, write(t, alice, nil, [][]byte{noise(100), noise(200)}))
	f := p.manifest.Frames
	f[1], f[2] = f[2], f[1]
	p.frames[1], p.frames[2] = p.frames[2], p.frames[1]
	wantInvalid(t, p.file(), "blob 1 not ascending")
}

// TestFrameLies reads frames that the exporter signed although they are not
// what its manifest or range table says.
func TestFrameLies(t *testing.T) {
	records := sample(1, 10, 100)
	lines := values(records)
	good := compress(lines)
	for name, c := range map[string]struct {
		stored []byte
		raw    int
		want   string
	}{
		"claims more than it holds":  {good, len(lines) + 1, "where the manifest says"},
		"claims less than it holds":  {good, len(lines) - 1, "where the manifest says"},
		"header claims more":         {claim(good, len(lines)+9), len(lines) + 9, "zstd"},
		"header claims less":         {claim(good, len(lines)-9), len(lines) - 9, "zstd"},
		"expands to 6 GiB":           {rleBomb(200_000), 200_000, "zstd"},
		"two frames":                 {append(compress(lines[:500]), good...), 500, "after the last zstd block"},
		"a hidden skippable frame":   {append(bytes.Clone(good), skippable(0x184D2A53, nil)...), len(lines), "after the last zstd block"},
		"skippable":                  {skippable(0x184D2A53, noise(500)), 500, "skippable"},
		"no zstd":                    {noise(500), 500, "zstd frame header"},
		"one byte short":             {good[:len(good)-1], len(lines), "zstd"},
		"no checksum":                {compress(lines, zstd.WithEncoderCRC(false)), len(lines), "without checksum"},
		"wrong checksum":             {flip(good, len(good)-1), len(lines), "zstd"},
		"no content size":            {stream(lines), len(lines), "without content size"},
		"a line more":                {compress(append([]byte("{}\n"), lines...)), len(lines) + 3, "11 lines where the range table says 10"},
		"a line less":                {compress(lines[len(lines)/2:]), len(lines) - len(lines)/2, "lines where the range table says 10"},
		"an empty line":              {compress(append([]byte("\n"), lines...)), len(lines) + 1, "line 1 is empty"},
		"no line feed at the end":    {compress(lines[:len(lines)-1]), len(lines) - 1, "line 10 is empty, too long or without end"},
		"a line longer than allowed": {compress(longLine()), bundle.MaxMessage + 2, "line 1 is"},
	} {
		t.Run(name, func(t *testing.T) {
			p := takeApart(t, write(t, alice, records, nil))
			p.replace(1, c.stored, c.raw)
			r := open(t, p.file())
			var err error
			if used := allocated(func() { _, err = r.ReadFrame(0) }); used > 8<<20 {
				t.Fatalf("allocated %d bytes", used)
			}
			wantFrameError(t, err, bundle.PartMessages, bundle.Untrue, c.want)
		})
	}
}

// allocated returns how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// claim writes another content size into the header of a single-segment frame
// of 256 to 65,791 bytes.
func claim(frame []byte, raw int) []byte {
	frame = bytes.Clone(frame)
	binary.LittleEndian.PutUint16(frame[5:], uint16(raw-256))
	return frame
}

// rleBomb makes a frame that claims raw bytes, takes as many, and expands to
// 32,000 times as many.
func rleBomb(raw int) []byte {
	b := []byte{0x28, 0xB5, 0x2F, 0xFD, 0xA4} // single segment, checksum, 32 bits of size
	b = binary.LittleEndian.AppendUint32(b, uint32(raw))
	const rle, size = 1 << 1, 128 << 10 << 3
	for len(b)+8 < raw {
		b = append(b, rle, size>>8&0xFF, size>>16, 'A')
	}
	b[len(b)-4] |= 1 // the last block
	return append(b, 0, 0, 0, 0)
}

// stream compresses as a program does that does not know how much will come.
func stream(lines []byte) []byte {
	var b bytes.Buffer
	enc, err := zstd.NewWriter(&b)
	if err == nil {
		_, err = enc.Write(lines)
	}
	if err = errors.Join(err, enc.Flush(), enc.Close()); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func longLine() []byte {
	return append(bytes.ReplaceAll(noise(bundle.MaxMessage+1), []byte("\n"), []byte("x")), '\n')
}

func flip(b []byte, i int) []byte {
	b = bytes.Clone(b)
	b[i] ^= 1
	return b
}

func wantFrameError(t *testing.T, err error, part bundle.Part, cause bundle.Cause, want string) *bundle.FrameError {
	t.Helper()
	var e *bundle.FrameError
	if !errors.As(err, &e) || e.Part != part || e.Cause != cause || !strings.Contains(e.Error(), want) {
		t.Fatalf("got %v, want %s %s: %q", err, part, cause, want)
	}
	return e
}

// TestBlobLies reads blobs that are not what the manifest or the range table
// says.
func TestBlobLies(t *testing.T) {
	text := bytes.Repeat([]byte("text "), 100)
	for name, c := range map[string]struct {
		kind   bundle.Kind
		stored []byte
		raw    int
		want   string
	}{
		"another blob":         {bundle.KindStoredBlob, skippable(0x184D2A52, noise(100)), 100, "where the range table says"},
		"another compressed":   {bundle.KindBlob, skippable(0x184D2A52, compress(noise(100))), 100, "where the range table says"},
		"wrong magic":          {bundle.KindBlob, skippable(0x184D2A53, compress(text)), len(text), "not a skippable frame"},
		"not skippable":        {bundle.KindBlob, compress(text), len(text), "not a skippable frame"},
		"wrong length":         {bundle.KindBlob, append(skippable(0x184D2A52, compress(text)), 0), len(text), "claims"},
		"expands to more":      {bundle.KindBlob, skippable(0x184D2A52, rleBomb(200_000)), 200_000, "zstd"},
		"claims more than 256": {bundle.KindBlob, skippable(0x184D2A52, compress(text)), len(text) + 1, "where the manifest says"},
	} {
		t.Run(name, func(t *testing.T) {
			p := takeApart(t, write(t, alice, nil, [][]byte{text}))
			p.replace(1, c.stored, c.raw)
			p.manifest.Frames[1].Kind = c.kind
			r := open(t, p.file())
			var err error
			if used := allocated(func() { _, _, err = r.ReadBlob(0) }); used > 8<<20 {
				t.Fatalf("allocated %d bytes", used)
			}
			if e := wantFrameError(t, err, bundle.PartBlob, bundle.Untrue, c.want); *e.Blob != r.Blobs()[0] {
				t.Fatal("the lost blob is not named")
			}
		})
	}
}

// TestOversizedBlob holds that one blob over the reader's limit is refused
// without harm to the rest.
func TestOversizedBlob(t *testing.T) {
	file := write(t, alice, sample(1, 10, 100), [][]byte{noise(100), noise(5000)})
	r, err := bundle.Open(bytes.NewReader(file), int64(len(file)), bundle.Limits{Blob: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.ReadBlob(0); err != nil {
		t.Fatal(err)
	}
	_, _, err = r.ReadBlob(1)
	wantFrameError(t, err, bundle.PartBlob, bundle.Oversized, "5000 bytes, more than 1000")
	readAll(t, r)
}

// TestUnknownCodec holds that a bundle in a codec of the future opens, so
// that its reader can say which codec it lacks.
func TestUnknownCodec(t *testing.T) {
	p := takeApart(t, write(t, alice, sample(1, 10, 100), nil))
	p.manifest.Codec = "columns-of-16-by"
	contents := []byte("no lines at all, but long enough for ten messages")
	p.replace(1, compress(contents), len(contents))
	r := open(t, p.file())
	got, err := r.ReadFrame(0)
	if err != nil || r.Manifest().Codec != "columns-of-16-by" || !bytes.Equal(got, contents) {
		t.Fatalf("%q, %v", got, err)
	}
}

// TestReadError holds that the reader's own errors are not blamed on the
// bundle, and that a place that cannot be read loses only itself.
func TestReadError(t *testing.T) {
	file := write(t, alice, sample(1, 3000, 700), nil)
	broken := errors.New("input/output error")
	if _, err := bundle.Open(badSector{file, 0, len(file), broken}, int64(len(file)), bundle.Limits{}); !errors.Is(err, broken) || errors.Is(err, bundle.ErrInvalid) {
		t.Fatalf("got %v", err)
	}
	r, err := bundle.Open(badSector{file, len(file) / 2, len(file)/2 + 1, broken}, int64(len(file)), bundle.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	lost := 0
	for i := range r.MessageFrames() {
		if _, err := r.ReadFrame(i); err != nil {
			wantFrameError(t, err, bundle.PartMessages, bundle.Unreadable, "input/output error")
			lost++
			if !errors.Is(err, broken) {
				t.Fatal("the read error is lost")
			}
		}
	}
	if lost != 1 {
		t.Fatalf("%d frames lost", lost)
	}
	r, err = bundle.Open(badSector{file, 0, 1, broken}, int64(len(file)), bundle.Limits{})
	if err != nil || len(r.Damage()) != 1 || r.Damage()[0].Cause != bundle.Unreadable {
		t.Fatalf("with an unreadable first byte: %v", err)
	}
}

// badSector fails to read the bytes from first up to end.
type badSector struct {
	data       []byte
	first, end int
	err        error
}

func (b badSector) ReadAt(p []byte, off int64) (int, error) {
	if int(off) < b.end && int(off)+len(p) > b.first {
		return 0, b.err
	}
	n := copy(p, b.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
