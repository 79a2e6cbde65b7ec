package ecmajson_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
)

func ExampleCompact() {
	text, err := ecmajson.Compact([]byte(`{"b": 1.0, "a": "\u0041\/", "7": [1e21, -0]}`))
	fmt.Println(string(text), err)
	// Output: {"7":[1e+21,0],"b":1,"a":"A/"} <nil>
}

func ExampleIndent() {
	text, err := ecmajson.Indent([]byte(`{"a":[],"b":[1,{}]}`))
	fmt.Println(string(text), err)
	// Output:
	// {
	//   "a": [],
	//   "b": [
	//     1,
	//     {}
	//   ]
	// } <nil>
}

// What is well-formed is taken, what is not says where.
func TestSyntax(t *testing.T) {
	for _, c := range []struct {
		text, compact string
		offset        int // of the error, if compact is empty
	}{
		{text: " [ ] ", compact: "[]"},
		{text: `{"a":1,"b":2,"a":3}`, compact: `{"a":3,"b":2}`},
		{text: `{"x":0,"9":1,"10":2,"__proto__":3,"01":4}`, compact: `{"9":1,"10":2,"x":0,"__proto__":3,"01":4}`},
		{text: `{"4294967295":0,"4294967294":1}`, compact: `{"4294967294":1,"4294967295":0}`},
		{text: `"\ud83d\ude00\ud83d\u0000\uDE00"`, compact: `"😀\ud83d\u0000\ude00"`},
		{text: "\"\xe2\x82\xf0\x9f\x98x\xed\xa0\x80\"", compact: "\"\ufffd\ufffdx\ufffd\ufffd\ufffd\""},
		{text: "1e400", compact: "null"},
		{text: "", offset: 0},
		{text: "  ", offset: 2},
		{text: "\xef\xbb\xbf1", offset: 0},
		{text: "[1 2]", offset: 3},
		{text: "[1,]", offset: 3},
		{text: `{"a":1,}`, offset: 7},
		{text: `{"a" 1}`, offset: 5},
		{text: `{a:1}`, offset: 1},
		{text: "1 1", offset: 2},
		{text: "{}\x00", offset: 2},
		{text: "\"a\nb\"", offset: 2},
		{text: `"\v"`, offset: 1},
		{text: `"\u00g0"`, offset: 1},
		{text: `"abc`, offset: 4},
		{text: "nul", offset: 0},
		{text: "[01]", offset: 2},
		{text: "[1.]", offset: 1},
		{text: "[1e]", offset: 1},
		{text: "[-]", offset: 1},
		{text: "{\"a\":1]", offset: 6},
	} {
		text, err := parse(t, []byte(c.text))
		if c.compact != "" {
			if err != nil || string(text.Compact) != c.compact {
				t.Errorf("%q: %s, %v, want %s", c.text, text.Compact, err, c.compact)
			}
			continue
		}
		var syntax *ecmajson.SyntaxError
		if !errors.As(err, &syntax) || syntax.Offset != c.offset {
			t.Errorf("%q: %v, want an error at %d", c.text, err, c.offset)
		}
	}
}

// Every prefix of a text is refused, by both paths.
func TestTruncated(t *testing.T) {
	text := []byte(`{"a":[true,{"b":"\ud800é\n"}],"c":null,"d":-1.5e-7,"e":"😀"}`)
	for n := range text {
		if got, err := parse(t, text[:n]); err == nil {
			t.Errorf("%q reads as %s", text[:n], got.Compact)
		}
	}
}

func TestMaxDepth(t *testing.T) {
	for _, c := range []struct {
		text string
		ok   bool
	}{
		{nested(ecmajson.MaxDepth), true},
		{nested(ecmajson.MaxDepth + 1), false},
		{strings.Repeat(`{"a":`, ecmajson.MaxDepth-1) + "{}" + strings.Repeat("}", ecmajson.MaxDepth-1), true},
		{strings.Repeat(`{"a":`, ecmajson.MaxDepth) + "{}" + strings.Repeat("}", ecmajson.MaxDepth), false},
		{strings.Repeat("[", 1<<20), false},
	} {
		if _, err := parse(t, []byte(c.text)); (err == nil) != c.ok {
			t.Errorf("%.20s… of %d bytes: %v", c.text, len(c.text), err)
		}
	}
}

// The bound is on UTF-16 units of the indented text, and is kept on the way:
// depth makes a short text long.
func TestMaxUnits(t *testing.T) {
	deep := strings.Repeat("[", 900) + strings.Repeat("0,", 50_000) + "0" + strings.Repeat("]", 900)
	for _, c := range []struct {
		text string
		max  int
		ok   bool
	}{
		{`"😀é字"`, 6, true}, // 2 + 1 + 1 and the quotes
		{`"😀é字"`, 5, false},
		{`[1]`, 7, true}, // "[\n  1\n]"
		{`[1]`, 6, false},
		{deep, 8192, false},
		{`{"a":` + deep + `,"a":1}`, 12, true}, // what is dropped does not count
		{`{"a":` + deep + `,"a":1}`, 11, false},
	} {
		p := ecmajson.Parser{MaxUnits: c.max}
		text, err := p.Parse([]byte(c.text))
		if c.ok && (err != nil || text.Units != c.max) || !c.ok && err != ecmajson.ErrTooLong {
			t.Errorf("%.20s with bound %d: %d units, %v", c.text, c.max, text.Units, err)
		}
		if cap(text.Indented) > 1<<17 {
			t.Errorf("%.20s with bound %d took %d bytes", c.text, c.max, cap(text.Indented))
		}
	}
}

// Objects of many keys are looked at another way than those of few.
func TestManyKeys(t *testing.T) {
	for _, n := range []int{1, 2, 31, 32, 33, 500} {
		text, err := parse(t, []byte(manyKeys(n)))
		if want := max(n, 2); err != nil || len(text.Members) != want {
			t.Errorf("%d keys and one again: %d members, %v", n, len(text.Members), err)
		}
		if again, err := parse(t, text.Compact); err != nil || len(again.Members) != len(text.Members) {
			t.Errorf("%d keys: %v", n, err)
		}
	}
}

// A Parser that failed is as good as new, and none of its calls allocates on
// text in V8's form.
func TestParserReuse(t *testing.T) {
	var p ecmajson.Parser
	good := []byte(`{"a":{"b":["é",1,true]},"c":"x"}`)
	want, _ := ecmajson.Indent(good)
	for _, s := range seeds {
		p.Parse([]byte(s))
		if text, err := p.Parse(good); err != nil || !bytes.Equal(text.Indented, want) || len(text.Members) != 2 {
			t.Fatalf("after %.40q: %s, %v", s, text.Indented, err)
		}
	}
	if n := testing.AllocsPerRun(100, func() { p.Parse(good) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestEachMember(t *testing.T) {
	text := []byte(" { \"a\\\"}\" : [ 1 , \"]\\\\\" ] , \"b\":{}, \"c\" : -1.5e3 ,\"b\":null } rest")
	var got []string
	err := ecmajson.EachMember(text, func(key, value []byte) bool {
		got = append(got, string(key)+"="+string(value))
		return true
	})
	want := []string{`"a\"}"=[ 1 , "]\\" ]`, `"b"={}`, `"c"=-1.5e3`, `"b"=null`}
	if err != nil || strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	if got := ecmajson.Get(text, "b"); string(got) != "{}" {
		t.Errorf("b is %q", got)
	}
	if got := ecmajson.Get(text, "d"); got != nil {
		t.Errorf("d is %q", got)
	}
	for _, bad := range []string{"", "[]", "{", `{"a`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":}`, `{"a":[}`, `{"a":"}`, `{a:1}`} {
		if err := ecmajson.EachMember([]byte(bad), func(_, _ []byte) bool { return true }); err == nil {
			t.Errorf("%q has members", bad)
		}
	}
}

func TestAppendLowBytes(t *testing.T) {
	got := ecmajson.AppendLowBytes(nil, []byte("aé字😀")) // 0061 00e9 5b57 d83d de00
	if want := []byte{0x61, 0xe9, 0x57, 0x3d, 0x00}; !bytes.Equal(got, want) {
		t.Errorf("% x, want % x", got, want)
	}
}
