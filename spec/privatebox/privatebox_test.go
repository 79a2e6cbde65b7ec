package privatebox_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/privatebox"
	"github.com/ssbsync/ssbsync/spec/refs"
)

const hello = `{"type":"post","text":"hello"}`

// people returns key pairs and their feeds.
func people(n int) (pairs []*keys.Pair, feeds []refs.Feed) {
	for i := range n {
		pair := keys.FromSeed([32]byte{byte(i), 7})
		pairs, feeds = append(pairs, pair), append(feeds, pair.Feed())
	}
	return pairs, feeds
}

func box(t testing.TB, text string, to ...refs.Feed) string {
	t.Helper()
	box, err := privatebox.Box(rand.Reader, []byte(text), to)
	if err != nil {
		t.Fatal(err)
	}
	return box
}

func TestRecipients(t *testing.T) {
	pairs, feeds := people(9)
	for n := 1; n <= privatebox.MaxRecipients; n++ {
		secret := box(t, hello, feeds[:n]...)
		for i, pair := range pairs {
			got := unbox(privatebox.NewReader(pair), secret)
			if want := i < n; (string(got) == hello) != want || !want && got != nil {
				t.Errorf("%d recipients: number %d reads %q", n, i, got)
			}
		}
	}
	if _, err := privatebox.Box(rand.Reader, nil, feeds[:8]); err == nil || err.Error() != "max recipients is:7 found:8" {
		t.Errorf("eight recipients: %v", err)
	}
	if _, err := privatebox.Box(rand.Reader, nil, nil); err == nil {
		t.Error("boxed for nobody")
	}
	if _, err := privatebox.Box(rand.Reader, nil, []refs.Feed{{1}}); err == nil {
		t.Error("boxed for a key of small order")
	}
	if _, err := privatebox.Box(bytes.NewReader(make([]byte, 87)), nil, feeds[:1]); err == nil {
		t.Error("boxed without enough randomness")
	}
}

// TestTampering changes every byte of a box and cuts it at every length: what
// opens after that is the same text, or nothing.
func TestTampering(t *testing.T) {
	pairs, feeds := people(2)
	var readers []*privatebox.Reader
	for _, pair := range pairs {
		readers = append(readers, privatebox.NewReader(pair))
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(box(t, hello, feeds...), ".box"))
	if err != nil {
		t.Fatal(err)
	}
	opened := 0
	check := func(what string, i int, changed []byte, others int) {
		text := base64.StdEncoding.EncodeToString(changed) + ".box"
		n := 0
		for _, reader := range readers {
			switch got := unbox(reader, text); string(got) {
			case hello:
				n++
			case "":
			default:
				t.Errorf("%s %d: read %q", what, i, got)
			}
		}
		if n != others {
			t.Errorf("%s %d: %d can read it", what, i, n)
		}
		opened += n
	}
	for i := range raw {
		changed := bytes.Clone(raw)
		changed[i] ^= 0x80 // the upper bit of a public key does not count
		others := 0
		switch slot := (i - 56) / 49; {
		case i == 55:
			others = len(readers)
		case i >= 56 && slot < len(readers):
			others = len(readers) - 1
		}
		check("changed byte", i, changed, others)
		check("cut at", i, raw[:i], 0)
	}
	t.Logf("%d bytes changed and cut, %d times it was read all the same", len(raw), opened)
}

// TestForeign gives what is no box, or not boxed JSON.
func TestForeign(t *testing.T) {
	pairs, feeds := people(1)
	reader := privatebox.NewReader(pairs[0])
	for _, text := range []string{"", ".", ".box", "@", "a", "YWJj.box", "%%%%", strings.Repeat("A", 200) + ".box",
		strings.Repeat("A", privatebox.MaxText+1), strings.Repeat("A", 74) + "gA" + strings.Repeat("A", 200)} {
		if key, ok := reader.Key(text); ok {
			t.Errorf("%.40q opens with %s", text, key)
		}
		for _, n := range []byte{0, 1, 7, 255} {
			if got, ok := privatebox.Open(text, privatebox.Key{n}); ok {
				t.Errorf("%.40q opens with a wrong key: %q", text, got)
			}
		}
	}
	for _, text := range []string{"", "{", "no JSON", `{"a":1}}`, "\ufeff{}", strings.Repeat("[", 2000)} {
		if key, ok := reader.Key(box(t, text, feeds[0])); !ok {
			t.Errorf("%.20q cannot be opened", text)
		} else if got, ok := privatebox.Open(box(t, text, feeds[0]), key); ok {
			t.Errorf("%.20q reads as %q", text, got)
		}
	}
}

func TestKey(t *testing.T) {
	key := privatebox.Key{3, 1, 2}
	if again, err := privatebox.ParseKey(key.String()); err != nil || again != key {
		t.Errorf("%s reads as %s, %v", key, again, err)
	}
	for _, text := range []string{"", "AAAA", key.String() + "AAAA", key.String()[1:], key.String() + "\n"} {
		if _, err := privatebox.ParseKey(text); err == nil {
			t.Errorf("%q is a key", text)
		}
	}
}

func FuzzReader(f *testing.F) {
	pairs, feeds := people(2)
	reader := privatebox.NewReader(pairs[0])
	for _, text := range []string{hello, `"x"`, "", "\xff", `{"b":1,"1":-0}`} {
		f.Add(box(f, text, feeds...), []byte{2, 1})
	}
	f.Add("@YWJj_-.box", []byte{})
	f.Fuzz(func(t *testing.T, text string, raw []byte) {
		var key privatebox.Key
		copy(key[:], raw)
		privatebox.Open(text, key)
		key, ok := reader.Key(text)
		if !ok {
			return
		}
		content, ok := privatebox.Open(text, key)
		if ok && len(content) == 0 {
			t.Errorf("%q opens to nothing", text)
		}
	})
}

func BenchmarkBox(b *testing.B) {
	_, feeds := people(7)
	for _, n := range []int{1, 7} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				box(b, hello, feeds[:n]...)
			}
		})
	}
}

func BenchmarkStranger(b *testing.B) {
	pairs, feeds := people(8)
	text := box(b, hello, feeds[:7]...)
	reader := privatebox.NewReader(pairs[7])
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := reader.Key(text); ok {
			b.Fatal("a stranger reads it")
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	pairs, feeds := people(1)
	text := box(b, hello, feeds[0])
	key, _ := privatebox.NewReader(pairs[0]).Key(text)
	for b.Loop() {
		privatebox.Open(text, key)
	}
}
