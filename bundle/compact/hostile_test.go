package compact_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/bundle/compact"
)

// small is a frame with everything in it.
func small() []byte {
	a, b := newMaker("a"), newMaker("b")
	var lines []byte
	add := func(line []byte) { lines = append(append(lines, line...), '\n') }
	add(a.next(`{"type":"post","text":"the first of the first"}`))
	add(a.next(`{"type":"vote","link":"` + a.id.String() + `","to":"` + b.feed.String() + `"}`))
	add([]byte("no message"))
	add(b.next(`"` + strings.Repeat("c2VjcmV0", 9) + `.box"`))
	b.seq += 5
	add(b.next(`{"image":"&` + strings.Repeat("A", 43) + `=.sha256","root":"` + a.id.String() + `"}`))
	add(bytes.Replace(b.next(`{}`), []byte(`"timestamp":`), []byte(`"timestamp":0.`), 1))
	return lines
}

// bounded decodes foreign contents and holds what must be true of the result.
func bounded(t testing.TB, contents []byte, limit int) ([]byte, error) {
	t.Helper()
	lines, err := compact.Decode(contents, limit)
	if err == nil && len(lines) > limit {
		t.Fatalf("%d bytes, more than %d", len(lines), limit)
	}
	return lines, err
}

// TestTampered changes each byte, cuts at each length, and adds.
func TestTampered(t *testing.T) {
	lines := small()
	contents := back(t, lines)
	other := 0
	for i := range contents {
		for _, x := range []byte{1, 0x80, 0xff} {
			bad := bytes.Clone(contents)
			bad[i] ^= x
			if got, err := bounded(t, bad, len(lines)); err == nil && !bytes.Equal(got, lines) {
				other++
			}
		}
	}
	for i := range contents {
		if _, err := bounded(t, contents[:i], len(lines)); err == nil {
			t.Errorf("cut to %d of %d bytes it is read", i, len(contents))
		}
	}
	if _, err := bounded(t, append(bytes.Clone(contents), 0), len(lines)); err == nil {
		t.Error("a byte more is read")
	}
	if _, err := bounded(t, contents, len(lines)-1); err == nil {
		t.Error("a limit is not held")
	}
	t.Logf("%d bytes changed; %d times other lines of the same length came out, for a hash and signatures to find", len(contents), other)
}

// frame puts columns together, however wrong they are.
func frame(lines int, columns ...string) []byte {
	b := binary.AppendUvarint([]byte{1}, uint64(lines))
	for i := range 10 {
		n := 0
		if i < len(columns) {
			n = len(columns[i])
		}
		b = binary.AppendUvarint(b, uint64(n))
	}
	return append(b, strings.Join(columns, "")...)
}

// TestLies decodes columns that break a rule each.
func TestLies(t *testing.T) {
	sig, key := strings.Repeat("s", 64), strings.Repeat("k", 32)
	message := `{"previous":null,"author":"@a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=.ed25519","sequence":1,"timestamp":0,"hash":"sha256","content":{},"signature":"` +
		strings.Repeat("c3Nz", 21) + `cw==.sig.ed25519"}` + "\n"
	n := len(message)
	huge := string(binary.AppendUvarint(nil, 1<<63))
	for name, c := range map[string]struct {
		contents []byte
		want     string // "" if nothing is wrong
	}{
		"a message":               {frame(n, "\x01", "\x01\x00", "{}\n", "\x00", "\x00", "", key, "", sig), ""},
		"no author":               {frame(n, "\x00", "\x01\x00", "{}\n", "", "\x00", "", "", "", sig), ""},
		"words that are known":    {frame(4, "\x20", "\x01\x06\x00", "x\n"), ""},
		"text":                    {frame(2, "\x20", "\x01\x00", "x\n"), ""},
		"nothing":                 {nil, "ends early"},
		"form":                    {[]byte{2}, "form 2"},
		"more lines than allowed": {frame(n+1, "\x20", "\x01\x00", "x\n"), "more than"},
		"huge size":               {append([]byte{1}, huge...), "more than"},
		"endless number":          {bytes.Repeat([]byte{0xff}, 20), "form"},
		"endless size":            {append([]byte{1}, bytes.Repeat([]byte{0xff}, 20)...), "more than"},
		"no lengths":              {[]byte{1, 0, 0}, "ends early"},
		"huge column":             {append([]byte{1, 0}, bytes.Repeat([]byte(huge), 10)...), "ends early"},
		"bytes after":             {append(frame(2, "\x20", "\x01\x00", "x\n"), 0), "after the columns"},
		"fewer bytes than said":   {frame(3, "\x20", "\x01\x00", "x\n"), "shorter"},
		"more bytes than said":    {frame(1, "\x20", "\x01\x00", "x\n"), "longer"},
		"shape":                   {frame(2, "\x40", "\x01\x00", "x\n"), "shape 0x40"},
		"shape of two":            {frame(2, "\x21", "\x01\x00", "x\n"), "shape 0x21"},
		"no tokens":               {frame(2, "\x20"), "ends early"},
		"endless token":           {frame(2, "\x20", strings.Repeat("\xff", 11)), "ends early"},
		"text without end":        {frame(2, "\x20", "\x01", "x\n"), "ends early"},
		"no word":                 {frame(2, "\x20", "\x01\x00"), "ends early"},
		"word without end":        {frame(2, "\x20", "\x01\x00", "x"), "ends early"},
		"empty word":              {frame(2, "\x20", "\x01\x00", "\n"), "ends early"},
		"word of the future":      {frame(4, "\x20", "\x01\x07\x00", "x\n"), "word 1 of 1"},
		"word before any":         {frame(2, "\x20", "\x06\x00"), "word 0 of 0"},
		"huge word":               {frame(2, "\x20", huge+"\x00"), "word"},
		"words left over":         {frame(2, "\x20", "\x01\x00", "x\ny\n"), "column 2"},
		"tokens left over":        {frame(2, "\x20", "\x01\x00\x00", "x\n"), "column 1"},
		"box without length":      {frame(n, "\x20", "\x02\x00"), "ends early"},
		"box without bytes":       {frame(n, "\x20", "\x02\x00", "", "\x05"), "ends early"},
		"huge box":                {frame(n, "\x20", "\x02\x00", "", huge), "ends early"},
		"id without reference":    {frame(n, "\x20", "\x03\x00"), "ends early"},
		"id without bytes":        {frame(n, "\x20", "\x03\x00", "", "\x00"), "ends early"},
		"id of the future":        {frame(n, "\x20", "\x03\x00", "", "\x01"), "met 1 ids ago, of 0"},
		"itself":                  {frame(n, "\x01", "\x03\x00", "", "\x00\x01", "\x00", "", key, "", sig), "met 1 ids ago, of 0"},
		"huge distance":           {frame(n, "\x20", "\x05\x00", "", huge), "ids ago, of 0"},
		"half an id":              {frame(n, "\x20", "\x04\x00", "", "\x00", "", "", key[1:]), "ends early"},
		"author without bytes":    {frame(n, "\x01", "\x01\x00", "{}\n", "\x00", "\x00", "", "", "", sig), "ends early"},
		"sequence 0":              {frame(n, "\x03", "\x01\x00", "{}\n", "\x00\x00", "\x00", "", key, "", sig), "sequence 0"},
		"sequence 2^31":           {frame(n, "\x03", "\x01\x00", "{}\n", "\x00\x80\x80\x80\x80\x08", "\x00", "", key, "", sig), "sequence 2147483648"},
		"sequence 2^63":           {frame(n, "\x03", "\x01\x00", "{}\n", "\x00"+huge, "\x00", "", key, "", sig), "sequence 9223372036854775808"},
		"no sequence":             {frame(n, "\x03", "\x01\x00", "{}\n", "\x00", "\x00", "", key, "", sig), "ends early"},
		"no time":                 {frame(n, "\x01", "\x01\x00", "{}\n", "\x00", "", "", key, "", sig), "ends early"},
		"no signature":            {frame(n, "\x01", "\x01\x00", "{}\n", "\x00", "\x00", "", key, "", sig[1:]), "ends early"},
		"content that is none":    {frame(n, "\x01", "\x01\x00", "{;\n", "\x00", "\x00", "", key, "", sig), "not json"},
		"after the highest": {frame(3*n, "\x03\x00", "\x01\x00\x06\x00", "{}\n", "\x00\xff\xff\xff\xff\x07", "\x00\x00", "", key, "", sig+sig),
			"sequence 2147483648"},
	} {
		limit := n
		if name == "after the highest" {
			limit = 3 * n
		}
		got, err := bounded(t, c.contents, limit)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: got %q, %v; want %q", name, got, err, c.want)
		case name == "a message" && string(got) != message:
			t.Errorf("got %q, want %q", got, message)
		}
	}
}

// TestExpansion: few bytes do not become many, nor take much memory or time.
func TestExpansion(t *testing.T) {
	word := strings.Repeat("w", 20_000)
	long := frame(compact.MaxLines, strings.Repeat("\x20", 5000), strings.Repeat("\x06\x00", 5000), word+"\n")
	limit := 512*4 + 4096
	if used := allocated(func() {
		if _, err := compact.Decode(long, limit); err == nil {
			t.Error("it expands")
		}
	}); used > 1<<20 {
		t.Errorf("%d bytes for a frame that is refused", used)
	}
	nested := fmt.Sprintf(`{"a":%s%s}`, strings.Repeat("[1,", 990)+"1", strings.Repeat("]", 990))
	lines := []byte(strings.Repeat(string(newMaker("n").next(nested))+"\n", 100))
	if used := allocated(func() { back(t, lines) }); used > 64<<20 {
		t.Errorf("%d bytes for %d lines that cannot be indented", used, scanLines(lines))
	}
	sig, key := strings.Repeat("s", 64*100), strings.Repeat("k", 32)
	deep := frame(1<<20, "\x01"+strings.Repeat("\x00", 99), "\x01\x00"+strings.Repeat("\x06\x00", 99), nested+"\n", "\x00", strings.Repeat("\x00", 100), "", key, "", sig)
	if _, err := compact.Decode(deep, 1<<20); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("a message that cannot be indented: %v", err)
	}
}

// allocated returns the bytes that f allocates, about.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
