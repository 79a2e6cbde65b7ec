package ecmajson_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
)

// seeds are texts of every kind: what V8 prints, and every way to write it
// otherwise.
var seeds = []string{
	`{"previous":null,"sequence":1,"content":{"type":"post","mentions":[{"a":[]},{}]}}`,
	"\t{ \"a\" :\r\n[ ] , \"b\" : { } } ",
	`{"b":1,"a":2,"10":3,"2":4,"01":5,"-1":6,"4294967294":7,"4294967295":8}`,
	`{"0":1,"1":2,"x":3,"__proto__":4}`,
	`{"a":1,"b":2,"a":3,"\u0061":4,"2":5,"2":6,"1":7}`,
	`{"a":{"x":1,"x":2},"a":{"y":[{"2":0,"1":0}]}}`,
	`["\u0000\u001f\u007f\b\t\n\f\r\"\\\/","é 字 😀 ` + "\u2028" + `"]`,
	`"\ud83d\ude00\ud83d \ude00\uD83Dx\ud83d\ud83d\ude00"`,
	`[0,-0,1,-1,1.0,1e2,1E400,-1e400,1e-400,1e21,1e-7,0.000001,123456789012345678901234567890]`,
	`[0.1,5e-324,1.7976931348623157e308,9007199254740993,100000000000000000000,-1.5e-10]`,
	"\"\xff \xc0\xaf \xed\xa0\x80 \xe2\x82 \xf0\x9f\x98 \xf4\x90\x80\x80\"",
	"\xef\xbb\xbf{}", "[1,]", `{"a"}`, `{"a":1,}`, "01", "1.", "-", "\"\x01\"", `"\x41"`, `"\u12"`, "tru", "nul", "[", "]", "", `{}{}`,
	nested(40),
	manyKeys(40),
}

func nested(depth int) string {
	return strings.Repeat("[", depth) + strings.Repeat("]", depth)
}

// manyKeys returns an object of n keys and one of them again.
func manyKeys(n int) string {
	var b strings.Builder
	b.WriteByte('{')
	for i := range n {
		b.WriteString(`"k`)
		b.WriteString(strings.Repeat("x", i))
		b.WriteString(`":[],`)
	}
	b.WriteString(`"kx":0}`)
	return b.String()
}

// FuzzParse holds the pass against the exact path, and both against what is
// always true of a canonical form.
func FuzzParse(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		text, err := parse(t, raw)
		if err != nil {
			var syntax *ecmajson.SyntaxError
			if !errors.As(err, &syntax) || syntax.Offset > len(raw) {
				t.Fatalf("%q: error %v", raw, err)
			}
			if utf8.Valid(raw) && json.Valid(raw) && bytes.Count(raw, []byte("["))+bytes.Count(raw, []byte("{")) <= ecmajson.MaxDepth {
				t.Fatalf("%q: encoding/json takes it: %v", raw, err)
			}
			return
		}
		if utf8.Valid(raw) && !json.Valid(raw) {
			t.Fatalf("%q: encoding/json refuses it", raw)
		}
		again, err := parse(t, text.Indented)
		if err != nil || !bytes.Equal(again.Indented, text.Indented) || !bytes.Equal(again.Compact, text.Compact) {
			t.Fatalf("%q: %q reprints as %q, %v", raw, text.Indented, again.Indented, err)
		}
		var plain bytes.Buffer
		if json.Compact(&plain, text.Indented); !bytes.Equal(plain.Bytes(), text.Compact) {
			t.Fatalf("%q: indented %q, compact %q", raw, text.Indented, text.Compact)
		}
		if !utf8.Valid(text.Compact) {
			t.Fatalf("%q: %q is not UTF-8", raw, text.Compact)
		}
		checkMembers(t, text)
	})
}

// checkMembers holds the members that the pass found against EachMember.
func checkMembers(t *testing.T, text ecmajson.Text) {
	i := 0
	err := ecmajson.EachMember(text.Compact, func(key, value []byte) bool {
		if m := text.Members[i]; !bytes.Equal(m.Key, key) || !bytes.Equal(m.Value, value) {
			t.Fatalf("%s: member %s %s, want %s %s", text.Compact, m.Key, m.Value, key, value)
		}
		if last := text.Indented[text.Members[i].End-1]; last != value[len(value)-1] {
			t.Fatalf("%s: member %s ends at %c", text.Compact, key, last)
		}
		i++
		return true
	})
	if (err == nil) != (text.Compact[0] == '{') || i != len(text.Members) {
		t.Fatalf("%s: %d members, want %d, %v", text.Compact, i, len(text.Members), err)
	}
}

// FuzzEachMember looks for texts on which it does not return.
func FuzzEachMember(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		ecmajson.EachMember(raw, func(key, value []byte) bool {
			if len(key) < 2 || len(value) == 0 {
				t.Fatalf("%q: key %q, value %q", raw, key, value)
			}
			return true
		})
	})
}
