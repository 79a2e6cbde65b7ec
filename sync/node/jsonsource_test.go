package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// readItems reads a whole source: each item as its unwrapped text, or "line N:
// reason" for what is no object.
func readItems(t testing.TB, in io.Reader) []string {
	t.Helper()
	var items []string
	source := newJSONSource(in)
	for {
		item, err := source.Next()
		if errors.Is(err, io.EOF) {
			return items
		}
		if err != nil {
			t.Fatal(err)
		}
		if item.err != nil {
			items = append(items, fmt.Sprintf("line %d: %v", item.line, item.err))
			continue
		}
		items = append(items, strings.TrimRight(string(unwrap(item.text)), "\r\n"))
	}
}

func TestJSONSource(t *testing.T) {
	long := `{"a":"` + strings.Repeat("x", maxItem) + `"}`
	for name, test := range map[string]struct {
		in   string
		want []string
	}{
		"nothing":           {"", nil},
		"blank":             {" \n\r\n\t\n", nil},
		"a line each":       {"{\"a\":1}\n{\"b\":2}\n", []string{`{"a":1}`, `{"b":2}`}},
		"no last newline":   {"{\"a\":1}\n{\"b\":2}", []string{`{"a":1}`, `{"b":2}`}},
		"CR LF":             {"{\"a\":1}\r\n{\"b\":2}\r\n", []string{`{"a":1}`, `{"b":2}`}},
		"wrapped":           {`{"key":"%x","value":{"a":"}{"},"timestamp":1}`, []string{`{"a":"}{"}`}},
		"value not first":   {`{"rts":1,"timestamp":[{"value":3}],"value":{"a":{"value":{}}}}`, []string{`{"a":{"value":{}}}`}},
		"value no object":   {`{"value":3}`, []string{`{"value":3}`}},
		"indented":          {"{\n  \"key\": \"k\",\n  \"value\": {\n    \"a\": \"\\\"}\"\n  },\n  \"timestamp\": 1\n}\n\n{\n  \"b\": 2\n}\n", []string{"{\n    \"a\": \"\\\"}\"\n  }", "{\n  \"b\": 2\n}"}},
		"junk":              {"hello\n{\"a\":1}\n", []string{`line 1: not a JSON object: "hello"`, `{"a":1}`}},
		"byte order mark":   {"\ufeff{\"a\":1}\n", []string{`{"a":1}`}},
		"cut in the middle": {"{\"a\":1,\n{\"b\":2}\n", []string{"line 1: cut short", `{"b":2}`}},
		"cut at the end":    {"{\"b\":2}\n{\"a\":\n", []string{`{"b":2}`, "line 2: cut short"}},
		"too long":          {long + "\n{\"b\":2}\n", []string{"line 1: longer than any message can be", `{"b":2}`}},
		"too long indented": {"{\n" + strings.Repeat("  \"x\": 1,\n", maxItem/8) + "}\n{\"b\":2}\n",
			[]string{"line 1: longer than any message can be", `{"b":2}`}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, in := range []io.Reader{strings.NewReader(test.in), iotest.OneByteReader(strings.NewReader(test.in))} {
				got := readItems(t, in)
				if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", test.want) {
					t.Errorf("read %.300q, want %.300q", got, test.want)
				}
			}
		})
	}
}

// FuzzJSONSource checks that no source makes the reader hang, panic or invent
// text, and that what unwrap takes out of valid JSON is valid JSON.
func FuzzJSONSource(f *testing.F) {
	f.Add([]byte("{\"key\":\"%x\",\"value\":{\"a\":\"}{\"},\"timestamp\":1}\n"))
	f.Add([]byte("{\n  \"value\": {\n    \"a\": 1\n  }\n}\n\n{\"b\":[1,{}]}"))
	f.Add([]byte("junk\n{\"a\":\n{\"b\":2}"))
	f.Fuzz(func(t *testing.T, in []byte) {
		source := newJSONSource(bytes.NewReader(in))
		for {
			item, err := source.Next()
			if err != nil {
				return
			}
			if item.err != nil {
				continue
			}
			if !bytes.Contains(in, item.text) {
				t.Fatalf("item %q is not in the source", item.text)
			}
			if value := unwrap(item.text); json.Valid(item.text) && !json.Valid(value) {
				t.Fatalf("%q came out of %q", value, item.text)
			}
		}
	})
}

func TestReadConfigText(t *testing.T) {
	cfg := new(Config)
	text := "\xef\xbb\xbf{ // a comment\n \"caps\": {\"shs\": \"//not one\"}, /* and\n another */ \"friends\": {\"hops\": 3},\n" +
		" \"ssbsync\": {\"replicate\": \"all\"} }"
	if err := json.Unmarshal(stripComments([]byte(text)), cfg); err != nil {
		t.Fatal(err)
	}
	if cfg.Caps.SHS != "//not one" || cfg.Hops() != 3 || !cfg.Ssbsync.Replicate.All {
		t.Errorf("read %+v", cfg)
	}
	if err := json.Unmarshal([]byte(`{"ssbsync":{"replicate":"some"}}`), cfg); err == nil {
		t.Error("replicate: some was taken")
	}
	if new(Config).Hops() != defaultHops {
		t.Error("no default for friends.hops")
	}
}
