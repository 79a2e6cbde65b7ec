package message_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
)

func testPair(n byte) *keys.Pair { return keys.FromSeed([32]byte{n}) }

// create appends a message to a feed that begins with head.
func create(t testing.TB, pair *keys.Pair, head message.Head, content string) *message.Message {
	t.Helper()
	m, err := message.Create(pair, head, []byte(content), 1500000000000+float64(head.Seq), nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// sign makes a message of any form, valid or not, from the text of its fields
// without signature.
func sign(t testing.TB, pair *keys.Pair, fields string) []byte {
	t.Helper()
	indented, err := ecmajson.Indent([]byte("{" + fields + "}"))
	if err != nil {
		t.Fatal(err)
	}
	sig := pair.Sign(indented)
	return fmt.Appendf(nil, `{%s,"signature":"%s.sig.ed25519"}`, fields, base64.StdEncoding.EncodeToString(sig[:]))
}

func TestCreate(t *testing.T) {
	pair := testPair(1)
	head := message.Head{Feed: pair.Feed()}
	for i, content := range []string{
		`{"type":"post","text":"one"}`,
		` { "text" : "two\u0021", "type" : "post" , "2":1, "1":[1.0, {}] } `,
		`"YWJj.box"`,
		`"YWJj.box2"`,
	} {
		m := create(t, pair, head, content)
		canonical, _ := ecmajson.Compact([]byte(content))
		if m.Seq() != int64(i)+1 || m.Previous() != head.ID || m.Timestamp() != 1500000000000+float64(i) || !bytes.Equal(m.Content(), canonical) {
			t.Errorf("%d: %s", i, m.Value())
		}
		next, err := head.Next(m)
		if err != nil {
			t.Fatal(err)
		}
		head = next
	}
	const want = `{"previous":null,"sequence":1,"author":"%s","timestamp":1500000000000,"hash":"sha256","content":{"type":"post"},"signature":"`
	m := create(t, pair, message.Head{Feed: pair.Feed()}, `{"type":"post"}`)
	if !strings.HasPrefix(string(m.Value()), fmt.Sprintf(want, pair.Feed())) {
		t.Errorf("%s", m.Value())
	}
}

// Create refuses what any implementation would refuse.
func TestCreateRefuses(t *testing.T) {
	pair := testPair(1)
	first := message.Head{Feed: pair.Feed()}
	last := message.Head{Feed: pair.Feed(), Seq: message.MaxSeq, ID: refs.Message{1}}
	for name, c := range map[string]struct {
		head      message.Head
		content   string
		timestamp float64
	}{
		"no json":            {first, `{"type":`, 1},
		"no object":          {first, `["post"]`, 1},
		"no type":            {first, `{"text":"post"}`, 1},
		"short type":         {first, `{"type":"ab"}`, 1},
		"no box":             {first, `"YWJj"`, 1},
		"other box":          {first, `"YWJj.boxes"`, 1},
		"half a surrogate":   {first, `{"type":"post","text":"\ud800"}`, 1},
		"half a key":         {first, `{"type":"post","\udfff":1}`, 1},
		"too long":           {first, `{"type":"post","text":"` + strings.Repeat("a", 8192) + `"}`, 1},
		"too deep":           {first, `{"type":"post","a":` + strings.Repeat("[", 999) + strings.Repeat("]", 999) + `}`, 1},
		"infinite timestamp": {first, `{"type":"post"}`, math.Inf(1)},
		"no timestamp":       {first, `{"type":"post"}`, math.NaN()},
		"full feed":          {last, `{"type":"post"}`, 1},
		"closing bracket":    {first, `{"type":"post"}}`, 1},
	} {
		m, err := message.Create(pair, c.head, []byte(c.content), c.timestamp, nil)
		var invalid *message.InvalidError
		if m != nil || !errors.As(err, &invalid) || invalid.Feed != pair.Feed() || invalid.Seq != c.head.Seq+1 && name != "full feed" {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
	if m, err := message.Create(pair, message.Head{Feed: testPair(2).Feed()}, []byte(`{"type":"post"}`), 1, nil); err == nil {
		t.Errorf("another's feed: %s", m.Value())
	}
	if m := create(t, pair, first, `{"type":"post","text":"\\ud800 \\\\ud800"}`); m.Seq() != 1 {
		t.Error("an escaped backslash was taken for an escape")
	}
}

func TestHMACNetworks(t *testing.T) {
	pair, a, b := testPair(1), &keys.HMAC{1}, &keys.HMAC{2}
	for _, net := range []*keys.HMAC{nil, a, b} {
		m, err := message.Create(pair, message.Head{Feed: pair.Feed()}, []byte(`{"type":"post"}`), 1, net)
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range []*keys.HMAC{nil, a, b} {
			if _, err := message.Verify(m.Value(), other); (err == nil) != (net == other) {
				t.Errorf("made for %v, verified for %v: %v", net, other, err)
			}
		}
	}
}

// No bit of a message can change unless what changes is the spelling, and
// then the stored form is the same.
func TestEveryBit(t *testing.T) {
	pair := testPair(1)
	raw := create(t, pair, message.Head{Feed: pair.Feed()}, `{"type":"post","n":[1,2.5],"é":"\n"}`).Value()
	raws := make([][]byte, 0, 8*len(raw))
	for i := range 8 * len(raw) {
		raws = append(raws, bytes.Clone(raw))
		raws[i][i/8] ^= 1 << (i % 8)
	}
	for i := range raw {
		raws = append(raws, raw[:i])
	}
	for i, r := range message.VerifyBatch(raws, nil, keys.NewVerifier()) {
		if r.Message != nil {
			t.Errorf("%q is valid", raws[i])
		}
		var invalid *message.InvalidError
		if !errors.As(r.Err, &invalid) {
			t.Errorf("%q: %v", raws[i], r.Err)
		}
	}
}

// A grey case is what implementations disagree on; the table of choices in
// spec/README.md lists them.
func TestGreyCases(t *testing.T) {
	pair := testPair(1)
	id := refs.Message{1}.String()
	first := func(timestamp, content string) string {
		return fmt.Sprintf(`"previous":null,"author":"%s","sequence":1,"timestamp":%s,"hash":"sha256","content":%s`, pair.Feed(), timestamp, content)
	}
	second := func(previous, timestamp string) string {
		return fmt.Sprintf(`"previous":%s,"author":"%s","sequence":2,"timestamp":%s,"hash":"sha256","content":{"type":"post"}`, previous, pair.Feed(), timestamp)
	}
	for _, c := range []struct {
		name, fields string
		ok           bool
	}{
		{"previous in an array", second(`["`+id+`"]`, "1"), true},
		{"previous in two arrays", second(`[["`+id+`"]]`, "1"), true},
		{"two in an array", second(`["`+id+`","`+id+`"]`, "1"), false},
		{"previous null", second("null", "1"), false},
		{"zero previous", second(`"%AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=.sha256"`, "1"), false},
		{"later timestamp null", second(`"`+id+`"`, "null"), true},
		{"later timestamp a string", second(`"`+id+`"`, `"1"`), true},
		{"later timestamp overflows", second(`"`+id+`"`, "1e999"), true},
		{"first timestamp null", first("null", `{"type":"post"}`), false},
		{"first timestamp overflows", first("1e999", `{"type":"post"}`), false},
		{"first timestamp fractional", first("-1.5", `{"type":"post"}`), true},
		{"half a surrogate", first("1", `{"type":"post","\udc00":"\ud800"}`), true},
		{"type of 52 halves", first("1", `{"type":"`+strings.Repeat(`\ud800`, 52)+`"}`), true},
		{"type of 53 controls", first("1", `{"type":"`+strings.Repeat(`\n`, 53)+`"}`), false},
		{"type of 27 astral", first("1", `{"type":"`+strings.Repeat(`😀`, 27)+`"}`), false},
		{"type twice, last right", first("1", `{"type":1,"type":"post"}`), true},
		{"type twice, last wrong", first("1", `{"type":"post","type":1}`), false},
		{"type inside", first("1", `{"a":{"type":"post"}}`), false},
		{"empty box", first("1", `".box"`), true},
		{"box with more", first("1", `"YWJj.boxes and \\n \" 😀"`), true},
		{"box with a line break", first("1", `"YWJj.box\n"`), false},
		{"box with a carriage return", first("1", `"YWJj.box \r"`), false},
		{"box with a line separator", first("1", `"YWJj.box`+"\u2028"+`"`), false},
		{"box without padding", first("1", `"YWI.box"`), false},
		{"box with a dirty tail", first("1", `"YWJ=.box"`), false},
		{"box with an escape inside", first("1", `"YW\nJj.box"`), false},
		{"array as content", first("1", `[{"type":"post"}]`), false},
	} {
		raw := sign(t, pair, c.fields)
		m, err := message.Verify(raw, nil)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v, want valid %v", c.name, err, c.ok)
		}
		if err == nil {
			if again, err := message.Verify(m.Value(), nil); err != nil || again.ID() != m.ID() {
				t.Errorf("%s: its stored form: %v", c.name, err)
			}
		}
	}
}

// A signature has one spelling: what is appended to it would make another
// message of the same content, which needs no key.
func TestLongSignatures(t *testing.T) {
	pair := testPair(1)
	raw := string(create(t, pair, message.Head{Feed: pair.Feed()}, `{"type":"post"}`).Value())
	for _, tail := range []string{"A=", "AA", "=", "", "===", `\n==`} {
		if m, err := message.Verify([]byte(strings.Replace(raw, "==.sig", tail+".sig", 1)), nil); err == nil {
			t.Errorf("%s", m.Value())
		}
	}
}

// The error names what could be read.
func TestInvalidError(t *testing.T) {
	pair := testPair(1)
	raw := string(create(t, pair, message.Head{Feed: pair.Feed(), Seq: 6, ID: refs.Message{1}}, `{"type":"post"}`).Value())
	long := `{"type":"post","text":"` + strings.Repeat("a", 8192) + `"}`
	for name, text := range map[string]string{
		"signature": strings.Replace(raw, `"post"`, `"Post"`, 1),
		"type":      strings.Replace(raw, `"post"`, `"p"`, 1),
		"order":     strings.Replace(raw, `,"hash":"sha256"`, ``, 1),
		"length":    strings.Replace(raw, `{"type":"post"}`, long, 1),
	} {
		_, err := message.Verify([]byte(text), nil)
		var invalid *message.InvalidError
		if !errors.As(err, &invalid) || invalid.Feed != pair.Feed() || invalid.Seq != 7 || !strings.Contains(err.Error(), "invalid message 7") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"no json":   "{",
		"no object": "7",
		"no author": `{"author":"me","sequence":7.5}`,
		"too much":  strings.Repeat(" ", message.MaxRaw) + raw,
	} {
		_, err := message.Verify([]byte(text), nil)
		var invalid *message.InvalidError
		if !errors.As(err, &invalid) || !invalid.Feed.IsZero() || invalid.Seq != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a batch returns belongs to the caller: the input may change, and one
// message's memory is not another's.
func TestBatchOwnsItsMemory(t *testing.T) {
	values := dataSet(t)[:500]
	raws := make([][]byte, len(values))
	for i, v := range values {
		raws[i] = bytes.Clone(v)
	}
	results := message.VerifyBatch(raws, nil, keys.NewVerifier())
	for _, raw := range raws {
		clear(raw)
	}
	for i, r := range results {
		if r.Err != nil || !bytes.Equal(r.Message.Value(), values[i]) {
			t.Fatalf("%d: %v", i, r.Err)
		}
		_ = append(r.Message.Value(), "overrun"...)
		if alone, err := message.Verify(values[i], nil); err != nil || alone.ID() != r.Message.ID() || alone.Seq() != r.Message.Seq() {
			t.Fatalf("%d: alone %v", i, err)
		}
	}
	if n := testing.AllocsPerRun(5, func() { message.ParseOnly(values) }); n > 100 {
		t.Errorf("%v allocations for %d messages", n, len(values))
	}
	if len(message.VerifyBatch(nil, nil, nil)) != 0 {
		t.Error("an empty batch has results")
	}
}

// A bad message spoils nothing but itself.
func TestBatchWithBadMessages(t *testing.T) {
	raws := dataSet(t)[:60]
	for i := 0; i < len(raws); i += 7 {
		raws[i] = []byte(strings.Replace(string(raws[i]), `"sequence":`, `"sequence":1`, 1))
	}
	raws[1], raws[2] = nil, []byte("{}")
	v := keys.NewVerifier()
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for i, r := range message.VerifyBatch(raws, nil, v) {
				bad := i%7 == 0 || i == 1 || i == 2
				if (r.Err != nil) != bad || (r.Message == nil) != bad {
					t.Errorf("%d: %v", i, r.Err)
				}
			}
		})
	}
	wait.Wait()
}
