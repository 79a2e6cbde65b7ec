package envelope_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/spec/envelope"
	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/refs"
)

const hello = `{"type":"post","text":"hello"}`

func person(n byte) *keys.Pair { return keys.FromSeed([32]byte{n, 9}) }

func direct(t testing.TB, from *keys.Pair, to refs.Feed) []envelope.Key {
	t.Helper()
	list, err := envelope.Direct(from, to)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func box(t testing.TB, at envelope.Place, text string, keys ...envelope.Key) string {
	t.Helper()
	box, _, err := at.Box(rand.Reader, []byte(text), keys)
	if err != nil {
		t.Fatal(err)
	}
	return box
}

func read(at envelope.Place, box string, slots int, keys ...envelope.Key) string {
	key, ok := at.Find(box, slots, keys...)
	if !ok {
		return ""
	}
	text, _ := at.Open(box, key)
	return string(text)
}

// TestRecipients boxes for a group and fifteen feeds: each reads it, the writer
// too, a stranger does not, and nobody reads it at another place.
func TestRecipients(t *testing.T) {
	writer, group := person(0), envelope.Group([32]byte{5})
	at := envelope.At(writer.Feed(), refs.Message{1})
	slots := []envelope.Key{group, envelope.Own(writer)}
	for i := byte(1); i <= 14; i++ {
		slots = append(slots, direct(t, writer, person(i).Feed())[0])
	}
	secret := box(t, at, hello, slots...)
	if got := read(at, secret, 1, envelope.Group([32]byte{6}), group); got != hello {
		t.Errorf("the group reads %q", got)
	}
	if got := read(at, secret, envelope.MaxSlots, envelope.Own(writer)); got != hello {
		t.Errorf("the writer reads %q", got)
	}
	for i := byte(1); i <= 16; i++ {
		got := read(at, secret, envelope.MaxSlots, direct(t, person(i), writer.Feed())...)
		if (got == hello) != (i <= 14) {
			t.Errorf("number %d reads %q", i, got)
		}
	}
	for _, elsewhere := range []envelope.Place{envelope.At(writer.Feed(), refs.Message{2}), envelope.At(person(1).Feed(), refs.Message{1}), {}} {
		if got := read(elsewhere, secret, envelope.MaxSlots, slots...); got != "" {
			t.Errorf("elsewhere it reads %q", got)
		}
	}
	if _, _, err := at.Box(rand.Reader, []byte(hello), append(slots, group)); err == nil {
		t.Error("boxed for seventeen")
	}
	if _, _, err := at.Box(rand.Reader, []byte(hello), nil); err == nil {
		t.Error("boxed for nobody")
	}
	if _, _, err := at.Box(bytes.NewReader(make([]byte, 32)), []byte(hello), slots); err == nil {
		t.Error("boxed with a key of zeros")
	}
	if _, _, err := at.Box(bytes.NewReader(make([]byte, 31)), []byte(hello), slots); err == nil {
		t.Error("boxed without enough randomness")
	}
}

func TestKeys(t *testing.T) {
	if _, err := envelope.Direct(person(1), person(1).Feed()); err == nil {
		t.Error("a direct message to oneself")
	}
	if _, err := envelope.Direct(person(1), refs.Feed{1}); err == nil {
		t.Error("a direct message to a key of small order")
	}
	if _, err := envelope.POBox(person(1), [32]byte{}); err == nil {
		t.Error("a message to a P.O. box of small order")
	}
	if one := envelope.Own(person(1)); one == envelope.Own(person(2)) || one != envelope.Own(person(1)) {
		t.Error("own keys are not those of their identities")
	}
	for i := byte(2); i < 30; i++ {
		if !slices.Equal(direct(t, person(1), person(i).Feed()), direct(t, person(i), person(1).Feed())) {
			t.Errorf("1 and %d derive different keys", i)
		}
	}
	key := envelope.ReadKey{1, 2}
	if again, err := envelope.ParseReadKey(key.String()); err != nil || again != key {
		t.Errorf("%s reads as %s, %v", key, again, err)
	}
	for _, text := range []string{"", "AAAA", key.String() + "AAAA", key.String()[:8] + "\n" + key.String()[8:], key.String()[:42] + "B="} {
		if _, err := envelope.ParseReadKey(text); err == nil {
			t.Errorf("%q is a key", text)
		}
	}
}

// TestTampering changes every byte of an envelope and cuts it at every length.
func TestTampering(t *testing.T) {
	writer := person(0)
	at := envelope.At(writer.Feed(), refs.Message{})
	own := envelope.Own(writer)
	text := strings.TrimSuffix(box(t, at, hello, envelope.Group([32]byte{1}), own), ".box2")
	raw := must(base64.StdEncoding.DecodeString(text))
	check := func(what string, i int, changed []byte, opens bool) {
		got := read(at, base64.StdEncoding.EncodeToString(changed)+".box2", envelope.MaxSlots, own)
		if (got != "") != opens || opens && got != hello {
			t.Errorf("%s %d: read %q", what, i, got)
		}
	}
	for i := range raw {
		changed := bytes.Clone(raw)
		changed[i] ^= 1
		check("changed byte", i, changed, i >= 32 && i < 64) // the other one's slot
		check("cut at", i, raw[:i], false)
	}
	t.Logf("%d bytes changed and cut", len(raw))
}

// TestForeign gives what is no envelope, or none of JSON.
func TestForeign(t *testing.T) {
	writer := person(0)
	at := envelope.At(writer.Feed(), refs.Message{})
	own := envelope.Own(writer)
	good := box(t, at, hello, own)
	for _, text := range []string{"", ".box2", "YWJj.box2", good[:len(good)-1], strings.TrimSuffix(good, "2"), " " + good, "\n" + good,
		strings.Replace(good, "=.box2", ".box2", 1), strings.Repeat("A", 1<<17) + ".box2"} {
		if got := read(at, text, envelope.MaxSlots, own); text != good && got != "" {
			t.Errorf("%.20q… reads as %q", text, got)
		}
		if got, ok := at.Open(text, envelope.ReadKey{}); ok {
			t.Errorf("%.20q… opens as %q", text, got)
		}
	}
	for _, text := range []string{"{", "no JSON", `{"a":1}}`} {
		secret := box(t, at, text, own)
		if key, ok := at.Find(secret, 1, own); !ok {
			t.Errorf("%q cannot be opened", text)
		} else if got, ok := at.Open(secret, key); ok {
			t.Errorf("%q reads as %q", text, got)
		}
	}
}

func TestCompareAsText(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"a", "b", -1}, {"a", "a", 0}, {"a", "ab", -1},
		{"\x80b", "\x90a", 1},            // both are U+FFFD
		{"\xe2\x82a", "\xe2\x82\x82", 1}, // a part of three bytes is one U+FFFD
		{"\xf0\x9f\x98\x80", "\xef\xbd\xa1", -1},
		{"\xed\xa0\x80", "\xff\xff\xff", 0}, // no surrogates
		{"\xf4\x90\x80\x80", "\xff\xff\xff\xff", 0},
		{"\xe0\x80", "\xf0\x80", 0}, {"\xc3\xa9", "\xc3", -1},
	} {
		if got := envelope.CompareAsText([]byte(c.a), []byte(c.b)); got != c.want {
			t.Errorf("%q and %q: %d", c.a, c.b, got)
		}
	}
}

func FuzzFind(f *testing.F) {
	at := envelope.At(person(0).Feed(), refs.Message{1})
	own := envelope.Own(person(0))
	for _, text := range []string{hello, `"x"`, "\xff", `{"b":1,"1":-0}`} {
		f.Add(box(f, at, text, envelope.Group([32]byte{1}), own), []byte{1})
	}
	f.Add("YWJj.box2", []byte{})
	f.Fuzz(func(t *testing.T, text string, raw []byte) {
		var key envelope.ReadKey
		copy(key[:], raw)
		at.Open(text, key)
		if key, ok := at.Find(text, envelope.MaxSlots, own); ok {
			if content, ok := at.Open(text, key); ok && len(content) == 0 {
				t.Errorf("%q opens to nothing", text)
			}
		}
	})
}

func BenchmarkStranger(b *testing.B) {
	at := envelope.At(person(0).Feed(), refs.Message{1})
	var slots []envelope.Key
	for i := byte(1); i <= 16; i++ {
		slots = append(slots, direct(b, person(0), person(i).Feed())[0])
	}
	text := box(b, at, hello, slots...)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := at.Find(text, envelope.MaxSlots, envelope.Own(person(3))); ok {
			b.Fatal("a stranger reads it")
		}
	}
}

func BenchmarkDirect(b *testing.B) {
	for b.Loop() {
		direct(b, person(0), person(1).Feed())
	}
}
