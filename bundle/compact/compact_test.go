package compact_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/bundle/compact"
	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// back holds that lines come back from what they are encoded as, which it
// returns.
func back(t testing.TB, lines []byte) []byte {
	t.Helper()
	contents := compact.Encode(lines, nil)
	if len(contents) > len(lines)+1 {
		t.Fatalf("%d bytes of %d", len(contents), len(lines))
	}
	got, err := compact.Decode(contents, len(lines))
	if err != nil {
		t.Fatalf("%.300q: %v", lines, err)
	}
	if !bytes.Equal(got, lines) {
		t.Fatalf("%.300q comes back as %.300q", lines, got)
	}
	return contents
}

// fixtures returns the values of the small data set, a line each.
func fixtures(t testing.TB) []byte {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "testdata", "fixtures-2k.jsonl.zst"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := bundle.NewZstdReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	all, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	var lines []byte
	for line := range bytes.Lines(all) {
		lines = append(append(lines, ecmajson.Get(line, "value")...), '\n')
	}
	return lines
}

func TestFixtures(t *testing.T) {
	lines := fixtures(t)
	contents := back(t, lines)
	t.Logf("%d messages, %d bytes of lines, %d bytes of columns", bytes.Count(lines, []byte("\n")), len(lines), len(contents))
	if 2*len(contents) > len(lines) {
		t.Error("columns save less than half before compression")
	}
}

// TestKnownIDs: ids that are given change nothing; wrong ones that no message
// names cost only bytes.
func TestKnownIDs(t *testing.T) {
	lines := fixtures(t)
	var ids, wrong []refs.Message
	var parser ecmajson.Parser
	for line := range bytes.Lines(lines) {
		text, err := parser.Parse(line)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, refs.SumMessage(text.Indented))
		wrong = append(wrong, refs.SumMessage(line))
	}
	if !bytes.Equal(compact.Encode(lines, ids), compact.Encode(lines, nil)) {
		t.Error("known ids make other columns")
	}
	for _, given := range [][]refs.Message{wrong, ids[:1], append(ids, ids...)} {
		if got, err := compact.Decode(compact.Encode(lines, given), len(lines)); err != nil || !bytes.Equal(got, lines) {
			t.Errorf("with %d ids, the first %s, the lines do not come back: %v", len(given), given[0], err)
		}
	}
}

// TestVectors encodes every line of every vector file, and every text in one
// that may be a message.
func TestVectors(t *testing.T) {
	roots := []string{filepath.Join("..", "..", "testdata", "vectors")}
	if more := os.Getenv("SSBSYNC_VECTORS"); more != "" {
		roots = append(roots, more)
	}
	frame, cases := []byte{}, 0
	add := func(line []byte) {
		if len(line) == 0 || len(line) > bundle.MaxMessage || bytes.IndexByte(line, '\n') >= 0 {
			return
		}
		line = append(line[:len(line):len(line)], '\n')
		cases++
		back(t, line)
		if len(frame)+len(line) > compact.MaxLines {
			back(t, frame)
			frame = frame[:0]
		}
		frame = append(frame, line...)
	}
	for _, root := range roots {
		err := filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || !strings.HasSuffix(name, ".jsonl") {
				return err
			}
			text, err := os.ReadFile(name)
			for line := range bytes.Lines(text) {
				line = bytes.TrimSuffix(line, []byte("\n"))
				add(line)
				var value any
				if json.Unmarshal(line, &value) == nil {
					eachText(value, add)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	back(t, frame)
	t.Logf("%d cases in %d folders", cases, len(roots))
	if cases < 1000 {
		t.Errorf("only %d cases", cases)
	}
}

// eachText calls add with every text in a JSON value that may be a message,
// and its compact form.
func eachText(value any, add func([]byte)) {
	switch v := value.(type) {
	case string:
		if strings.Contains(v, `"`) {
			add([]byte(v))
			if canon, err := ecmajson.Compact([]byte(v)); err == nil {
				add(canon)
			}
		}
		if raw, err := base64.StdEncoding.DecodeString(v); err == nil && bytes.Contains(raw, []byte(`"`)) {
			add(raw)
		}
	case []any:
		for _, e := range v {
			eachText(e, add)
		}
	case map[string]any:
		for _, e := range v {
			eachText(e, add)
		}
	}
}

// maker makes messages of the usual form, without valid signatures.
type maker struct {
	feed refs.Feed
	seq  int
	id   refs.Message
}

func newMaker(name string) *maker { return &maker{feed: sha256.Sum256([]byte(name))} }

// next returns a message with the given content that follows the last one.
func (m *maker) next(content string) []byte {
	previous := "null"
	if m.seq > 0 {
		previous = `"` + m.id.String() + `"`
	}
	m.seq++
	sum := sha256.Sum256(fmt.Append(nil, m.feed, m.seq, content))
	sig := base64.StdEncoding.EncodeToString(append(sum[:], sum[:]...))
	value := fmt.Appendf(nil, `{"previous":%s,"author":%q,"sequence":%d,"timestamp":%d,"hash":"sha256","content":%s,"signature":"%s.sig.ed25519"}`,
		previous, m.feed, m.seq, 1500000000000+int64(m.seq)*977, content, sig)
	if text, err := ecmajson.Indent(value); err == nil {
		m.id = refs.SumMessage(text)
	}
	return value
}

// columnSize is what a message that follows the one before costs besides its
// content, at most: shape, time, signature and a few lengths.
const columnSize = 64 + 16

// TestContents holds that odd contents come back, and in columns.
func TestContents(t *testing.T) {
	some := newMaker("some")
	some.next(`{"type":"post"}`)
	box := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("secret!"), 30))
	for name, content := range map[string]string{
		"empty":                  `{}`,
		"post":                   `{"type":"post","text":"Hello, world"}`,
		"spaces":                 `{"type":"post","text":" two  spaces   three "}`,
		"escapes":                `{"type":"post","text":"a\nb\\nc\\\nd\\\"e\u0001f \\ g\t"}`,
		"no ascii":               `{"type":"post","text":"grüße 😀 世界 a é` + "\u2028" + `z"}`,
		"lone surrogate":         `{"type":"post","text":"\ud800 and \udc00x"}`,
		"numbers":                `{"type":"n","a":[0,-1,1.5,1e+21,1e-7,123456789012345680000]}`,
		"integer keys":           `{"1":2,"10":3,"type":"k","__proto__":{}}`,
		"deep":                   `{"type":"d","d":` + strings.Repeat("[", 60) + strings.Repeat("]", 60) + `}`,
		"an id of each":          `{"type":"vote","vote":{"link":"` + some.id.String() + `"},"a":"` + some.feed.String() + `","b":"` + refs.Blob(some.feed).String() + `"}`,
		"an id twice":            `{"root":"` + some.id.String() + `","branch":"` + some.id.String() + `"}`,
		"ids in a row":           `{"a":"` + some.id.String() + some.id.String() + ` ` + some.feed.String() + ` x"}`,
		"ids that are none":      `{"a":"%AAAA=.sha256","b":"%` + strings.Repeat("A", 42) + `B=.sha256","c":"=.sha256","d":"x=."}`,
		"another suffix":         `{"a":"%` + base64.StdEncoding.EncodeToString(some.id[:]) + `.blake2s","b":"@` + base64.StdEncoding.EncodeToString(some.id[:]) + `.sha256"}`,
		"all zero":               `{"a":"` + refs.Message{}.String() + `","b":"` + refs.Feed{}.String() + `"}`,
		"box":                    `"` + box + `.box"`,
		"box of another version": `"` + box + `.box2"`,
		"box with a suffix":      `"` + box + `.box and more.box é ` + some.id.String() + `"`,
		"box of nothing":         `".box"`,
		"box of one byte":        `"AA==.box"`,
		"box in other base64":    `"AB==.box"`,
		"box, url-safe":          `"` + strings.Repeat("-_", 80) + `.box"`,
		"box without padding":    `"AAA.box"`,
		"string":                 `"hello"`,
		"string of a dot":        `"hell.o"`,
		"null":                   `null`,
		"number":                 `12345.678`,
		"true":                   `true`,
		"array":                  `[1,"two",{"three":3}]`,
	} {
		m := newMaker(name)
		lines := append(m.next(`{"type":"post"}`), '\n')
		before := len(back(t, lines))
		second := m.next(content)
		lines = append(append(lines, second...), '\n')
		lines = append(append(lines, m.next(`{"type":"post"}`)...), '\n')
		grown := len(back(t, lines)) - before
		if limit := 2*columnSize + 2*len(content); grown > limit {
			t.Errorf("%s: %d bytes more, over %d: not in columns", name, grown, limit)
		}
	}
}

// TestForms holds that messages of an unusual form come back, each alone,
// between usual ones, and many times.
func TestForms(t *testing.T) {
	m := newMaker("forms")
	usual := string(m.next(`{"type":"post","text":"one"}`))
	second := string(m.next(`{"type":"post","text":"two"}`))
	third := string(m.next(`{"type":"post","text":"three"}`))
	change := func(from, to string) string {
		t.Helper()
		if !strings.Contains(second, from) {
			t.Fatalf("no %q in %q", from, second)
		}
		return strings.Replace(second, from, to, 1)
	}
	author := `"author":"` + m.feed.String() + `"`
	forms := map[string]string{
		"usual":                 second,
		"sequence first":        change(author+`,"sequence":2`, `"sequence":2,`+author),
		"gap":                   change(`"sequence":2`, `"sequence":7`),
		"sequence again":        change(`"sequence":2`, `"sequence":1`),
		"highest sequence":      change(`"sequence":2`, `"sequence":2147483647`),
		"sequence too high":     change(`"sequence":2`, `"sequence":2147483648`),
		"huge sequence":         change(`"sequence":2`, `"sequence":9007199254740993`),
		"sequence 0":            change(`"sequence":2`, `"sequence":0`),
		"negative sequence":     change(`"sequence":2`, `"sequence":-1`),
		"sequence in other way": change(`"sequence":2`, `"sequence":2.0`),
		"sequence as text":      change(`"sequence":2`, `"sequence":"2"`),
		"null previous":         strings.Replace(second, second[strings.Index(second, `"%`):strings.Index(second, `,"author"`)], "null", 1),
		"zero previous":         strings.Replace(second, second[strings.Index(second, `%`):strings.Index(second, `","author"`)], refs.Message{}.String(), 1),
		"previous in an array":  strings.Replace(strings.Replace(second, `"previous":`, `"previous":[`, 1), `,"author"`, `],"author"`, 1),
		"other previous":        strings.Replace(second, second[strings.Index(second, `%`):strings.Index(second, `","author"`)], refs.Message(m.feed).String(), 1),
		"fractional time":       change(`"timestamp":1500000001954`, `"timestamp":1500000001954.25`),
		"negative time":         change(`"timestamp":1500000001954`, `"timestamp":-5`),
		"negative zero time":    change(`"timestamp":1500000001954`, `"timestamp":-0`),
		"huge time":             change(`"timestamp":1500000001954`, `"timestamp":9999999999999999`),
		"larger time":           change(`"timestamp":1500000001954`, `"timestamp":1e+21`),
		"time as text":          change(`"timestamp":1500000001954`, `"timestamp":"now `+m.id.String()+`"`),
		"no time":               change(`"timestamp":1500000001954`, `"timestamp":null`),
		"other hash":            change(`"sha256"`, `"blake2s"`),
		"old signature":         change(`.sig.ed25519`, `.blake2s.k256`),
		"short suffix":          change(`.sig.ed25519`, `.sig`),
		"longer suffix":         change(`.sig.ed25519`, `.sig.ed25519.x`),
		"65 bytes of signature": change(`==.sig`, `AA=.sig`),
		"no padding":            change(`==.sig`, `.sig`),
		"bits in the padding":   strings.Replace(second, string(second[strings.Index(second, "==.sig")-1])+"==.sig", "B==.sig", 1),
		"other author":          change(m.feed.String(), refs.Feed{9}.String()),
		"old author":            change(m.feed.String(), strings.Replace(m.feed.String(), ".ed25519", ".k256", 1)),
		"author without suffix": change(m.feed.String(), strings.TrimSuffix(m.feed.String(), ".ed25519")),
		"another member":        change(`"hash"`, `"more":1,"hash"`),
		"hash after content":    change(`"hash":"sha256","content":{"type":"post","text":"two"}`, `"content":{"type":"post","text":"two"},"hash":"sha256"`),
		"key with escape":       change(`"hash"`, `"h\u0061sh"`),
		"text with escape":      change(`two`, `t\u0077o`),
		"slash with escape":     change(`two`, `t\/o`),
		"space outside":         change(`"content":`, `"content": `),
		"twice a member":        change(`"type":"post"`, `"type":"post","type":"post"`),
		"invalid utf-8":         change(`two`, "t\xffo"),
		"control characters":    change(`two`, "t\x00\x01\x02\x1f\x7fo"),
		"too long":              change(`two`, strings.Repeat("long ", 4000)),
		"too deep":              change(`"text":"two"`, `"text":`+strings.Repeat("[", 999)+strings.Repeat("]", 999)),
		"no json":               `hello, %AAAA world  ` + m.id.String(),
		"a space":               ` `,
		"a quote":               `"`,
		"an object":             `{}`,
		"half a message":        second[:len(second)/2],
		"nothing but bytes":     "\x00\xff\x80 \r\t",
	}
	for name, line := range forms {
		t.Run(name, func(t *testing.T) {
			back(t, []byte(line+"\n"))
			back(t, []byte(usual+"\n"+line+"\n"+third+"\n"+second+"\n"))
			back(t, []byte(strings.Repeat(line+"\n", 50)))
		})
	}
	all := ""
	for range 3 {
		for _, line := range forms {
			all += line + "\n"
		}
	}
	back(t, []byte(all))
	t.Logf("%d forms", len(forms))
}

// TestManyFeeds mixes feeds that refer to each other.
func TestManyFeeds(t *testing.T) {
	var lines []byte
	var last []refs.Message
	for round := range 3 {
		for f := range 40 {
			m := newMaker(fmt.Sprint("feed ", round, f))
			for range 5 {
				content := `{"type":"post"}`
				if n := len(last); n > 0 {
					content = fmt.Sprintf(`{"type":"vote","vote":{"link":%q,"value":1},"by":%q}`, last[(7*n+f)%n], m.feed)
				}
				lines = append(append(lines, m.next(content)...), '\n')
				last = append(last, m.id)
			}
		}
	}
	contents := back(t, lines)
	if limit := 40 * 3 * 5 * (64 + 40); len(contents) > limit {
		t.Errorf("%d bytes, over %d: references are written in full", len(contents), limit)
	}
}

// TestFrameAlone: an empty frame, and one at the bound.
func TestFrameAlone(t *testing.T) {
	back(t, nil)
	line := strings.Repeat("x", 1<<10-1) + "\n"
	lines := []byte(strings.Repeat(line, compact.MaxLines>>10))
	lines = append(lines, strings.Repeat("y", compact.MaxLines-len(lines)-1)+"\n"...)
	back(t, lines)
	noise := make([]byte, 0, compact.MaxLines)
	for i := uint64(0); len(noise) < 1<<20; i++ {
		sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, i))
		noise = append(append(noise, bytes.ReplaceAll(sum[:], []byte("\n"), []byte(" "))...), '\n')
	}
	if contents := back(t, noise); len(contents) > compact.MaxContents {
		t.Errorf("%d bytes of contents", len(contents))
	}
}

// scanLines is what a reader of lines sees.
func scanLines(lines []byte) (n int) {
	s := bufio.NewScanner(bytes.NewReader(lines))
	s.Buffer(nil, len(lines)+1)
	for s.Scan() {
		n++
	}
	return n
}
