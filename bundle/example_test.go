package bundle_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/spec/keys"
)

var update = flag.Bool("update", false, "write the worked example of spec/bundle.md anew")

var (
	specFile    = filepath.Join("..", "spec", "bundle.md")
	exampleFile = filepath.Join("..", "testdata", "bundle", "example.ssb.zst")
)

// TestWorkedExample holds the example of spec/bundle.md against the file in
// testdata, and both against what a Writer makes.
func TestWorkedExample(t *testing.T) {
	made := makeExample(t)
	if *update {
		updateExample(t, made)
	}
	file, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	blocks := specBlocks(t)
	if !bytes.Equal(parseHex(t, blocks[0]), file) {
		t.Error("the bytes in spec/bundle.md are not those of the example")
	}
	if blocks[0] != annotate(t, file) || blocks[1] != annotateRanges(t, file) {
		t.Error("the comments or the range table in spec/bundle.md are not those of the example")
	}
	if !bytes.Equal(made, file) {
		t.Error("the writer makes another file; if only the compressor changed, run the test with -update")
	}
	readExample(t, file)
	t.Logf("%d bytes compared", len(file))
}

// makeExample writes the bundle that section 11 describes.
func makeExample(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "testdata", "bundle", "example.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	shs, err := base64.StdEncoding.DecodeString("1KHLiKZvAvjbY1ziZEHMXawbCEIM6qwjCDm3VYRan/s=")
	if err != nil {
		t.Fatal(err)
	}
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(i)
	}
	h := bundle.Header{Network: bundle.NetworkID([32]byte(shs), nil)}
	w := bundle.NewWriter(keys.FromSeed(seed), h, bundle.WriterOptions{})
	for line := range bundle.Lines(text) {
		if err := w.Add(parseRecord(t, line)); err != nil {
			t.Fatal(err)
		}
	}
	blob := []byte("hello from a stick\n")
	if err := w.AddBlob(sha256.Sum256(blob), blob); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := w.Finish(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// readExample holds what a reader sees in the example.
func readExample(t *testing.T, file []byte) {
	t.Helper()
	r := openDamaged(t, file)
	m := r.Manifest()
	if m.Messages != 2 || m.Feeds != 1 || m.Blobs != 1 || len(m.Frames) != 3 || m.Exporter != r.Feeds()[0] {
		t.Fatalf("manifest %+v", m)
	}
	if doc, err := os.ReadFile(specFile); err != nil || !strings.Contains(string(doc), m.FileName()) {
		t.Fatalf("the example's name %s is not in the document: %v", m.FileName(), err)
	}
	if runs := r.Runs(0); len(runs) != 1 || runs[0].First != 1 || runs[0].Last != 2 {
		t.Fatalf("runs %+v", runs)
	}
	if _, data, err := r.ReadBlob(0); err != nil || string(data) != "hello from a stick\n" {
		t.Fatalf("blob %q, %v", data, err)
	}
}

const hexBegin, hexEnd = "```hex\n", "```\n"

// specBlocks returns the two blocks of hex in the document: the bundle, and
// its range table before compression.
func specBlocks(t *testing.T) (blocks []string) {
	t.Helper()
	doc, err := os.ReadFile(specFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range strings.Split(string(doc), hexBegin)[1:] {
		block, _, _ := strings.Cut(part, hexEnd)
		blocks = append(blocks, block)
	}
	if len(blocks) != 2 {
		t.Fatalf("%d blocks of hex in spec/bundle.md", len(blocks))
	}
	return blocks
}

// parseHex reads lines of hexadecimal bytes with comments.
func parseHex(t *testing.T, block string) (out []byte) {
	t.Helper()
	for line := range strings.Lines(block) {
		digits, _, _ := strings.Cut(line, ";")
		b, err := hex.DecodeString(strings.Join(strings.Fields(digits), ""))
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		out = append(out, b...)
	}
	return out
}

func updateExample(t *testing.T, file []byte) {
	t.Helper()
	doc, err := os.ReadFile(specFile)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(doc), hexBegin)
	for i, block := range []string{annotate(t, file), annotateRanges(t, file)} {
		_, after, _ := strings.Cut(parts[1+i], hexEnd)
		parts[1+i] = block + hexEnd + after
	}
	if err := os.WriteFile(specFile, []byte(strings.Join(parts, hexBegin)), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(exampleFile, file, 0o644); err != nil {
		t.Fatal(err)
	}
}

// annotator prints bytes as hex with a comment on each field.
type annotator struct {
	strings.Builder
	rest []byte
}

func (a *annotator) field(n int, comment string) {
	for first := true; first || n > 0; first = false {
		k := min(n, 16)
		if !first {
			comment = ""
		}
		line := fmt.Sprintf("%-48s ; %s", fmt.Sprintf("% x", a.rest[:k]), comment)
		a.WriteString(strings.TrimRight(line, " ;") + "\n")
		a.rest, n = a.rest[k:], n-k
	}
}

func (a *annotator) title(s string) { a.WriteString("; " + s + "\n") }

// number prints an integer of 4 bytes with its value.
func (a *annotator) number(comment string) {
	a.field(4, fmt.Sprintf("%s: %d", comment, binary.LittleEndian.Uint32(a.rest)))
}

// skippable prints the header of a skippable frame.
func (a *annotator) skippable() {
	a.field(4, fmt.Sprintf("skippable frame 0x%08X", binary.LittleEndian.Uint32(a.rest)))
	a.number("bytes")
}

// annotate prints the example, whose structure it knows.
func annotate(t *testing.T, file []byte) string {
	t.Helper()
	r := open(t, file)
	a := &annotator{rest: file}
	a.manifest(r.Manifest())
	frames := r.Manifest().Frames
	a.title("range table")
	a.skippable()
	a.field(int(frames[0].Stored)-8, fmt.Sprintf("zstd frame, %d bytes raw", frames[0].Raw))
	a.title("messages")
	a.field(int(frames[1].Stored), fmt.Sprintf("zstd frame, %d bytes raw", frames[1].Raw))
	a.title("blob")
	a.skippable()
	a.field(int(frames[2].Raw), "the blob")
	a.title("copy of the manifest")
	a.field(manifestFrame(r), "")
	a.title("seek table")
	a.skippable()
	for _, name := range []string{"manifest", "range table", "messages", "blob", "copy"} {
		a.field(8, name)
	}
	a.number("frames")
	a.field(1, "no checksums")
	a.field(4, "0x8F92EAB1")
	return a.String()
}

func (a *annotator) manifest(m *bundle.Manifest) {
	a.title("manifest")
	a.skippable()
	a.field(14, "ssbsync bundle")
	a.field(2, "version 1")
	a.field(32, "exporter")
	a.field(32, "network id")
	a.field(16, "codec jsonl")
	for _, name := range []string{"messages", "feeds", "blobs", "frames"} {
		a.number(name)
	}
	for range m.Frames {
		a.field(1, fmt.Sprintf("kind %d", a.rest[0]))
		a.number("stored")
		a.number("raw")
		a.field(32, "SHA-256 of the frame")
	}
	a.field(64, "signature")
}

// annotateRanges prints the range table of the example before compression.
func annotateRanges(t *testing.T, file []byte) string {
	t.Helper()
	r := open(t, file)
	at := manifestFrame(r) + 8
	d, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	a := &annotator{}
	if a.rest, err = d.DecodeAll(file[at:at+int(r.Manifest().Frames[0].Stored)-8], nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"feeds", "message frames", "blobs"} {
		a.number(name)
	}
	a.field(32, "feed 0")
	for _, name := range []string{"runs of message frame 0", "feed number", "first", "last"} {
		a.number(name)
	}
	a.field(8, "id prefix")
	a.field(32, "blob 0")
	return a.String()
}
