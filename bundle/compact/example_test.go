package compact_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/bundle/compact"
	"github.com/ssbsync/ssbsync/spec/message"
)

// TestSpecExample compares the example of spec/bundle.md, section 12, with what
// is written and read.
func TestSpecExample(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "spec", "bundle.md"))
	if err != nil {
		t.Fatal(err)
	}
	lines, err := os.ReadFile(filepath.Join("..", "..", "testdata", "bundle", "compact.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(doc), "```columns\n")
	block, _, _ = strings.Cut(block, "```")
	var digits string
	for line := range strings.Lines(block) {
		line, _, _ = strings.Cut(line, ";")
		digits += strings.Join(strings.Fields(line), "")
	}
	want, err := hex.DecodeString(digits)
	if err != nil {
		t.Fatal(err)
	}
	if got := compact.Encode(lines, nil); !bytes.Equal(got, want) {
		t.Errorf("the columns are\n%x\nthe example says\n%x", got, want)
	}
	if got, err := compact.Decode(want, len(lines)); err != nil || !bytes.Equal(got, lines) {
		t.Errorf("got %q, %v", got, err)
	}
	for line := range bytes.Lines(lines) {
		if _, err := message.Verify(bytes.TrimSuffix(line, []byte("\n")), nil); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d bytes compared, of %d bytes of lines", len(want), len(lines))
}
