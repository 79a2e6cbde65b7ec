package views_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/views"
)

// rxs returns the receive numbers of all messages with a term.
func rxs(t testing.TB, v *views.Views, term views.Term, reverse bool) (all []uint64) {
	t.Helper()
	after, before := uint64(0), uint64(0)
	for {
		page, err := v.Page(term, after, before, 7, reverse)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			return all
		}
		for _, h := range page {
			all = append(all, h.Rx)
		}
		if reverse {
			before = all[len(all)-1]
		} else {
			after = all[len(all)-1]
		}
	}
}

// TestTerms compares what the index answers for the messages of the data set
// with what a look at each of them finds.
func TestTerms(t *testing.T) {
	s := fill(t, t.TempDir(), small)
	v := open(t, s, func(c *views.Config) { c.Step = 300 })
	catchUp(t, v)
	want := map[views.Term][]uint64{}
	words := map[string][]uint64{}
	for after := uint64(0); after < s.Last(); {
		page, err := s.LogPage(after, 0, 0, false)
		if err != nil {
			t.Fatal(err)
		}
		for i := range page {
			after = page[i].Rx
			add := func(term views.Term) {
				if list := want[term]; len(list) == 0 || list[len(list)-1] != after {
					want[term] = append(list, after)
				}
			}
			view, err := message.Fields(page[i].Value)
			if err != nil {
				t.Fatal(err)
			}
			var content map[string]json.RawMessage
			if json.Unmarshal(view.Content, &content) != nil {
				continue
			}
			if typ := bytes.Trim(content["type"], `"`); len(typ) > 0 {
				add(views.Type(typ))
				add(views.ByAuthor(page[i].Feed, typ))
				views.EachLink(view.Content, func(dest []byte) { add(views.Link(dest, typ)) })
			}
			views.EachLink(view.Content, func(dest []byte) { add(views.Link(dest, nil)) })
			if text := content["root"]; len(text) > 0 && text[0] == '"' {
				add(views.Root(bytes.Trim(text, `"`)))
			}
			if text := content["channel"]; len(text) > 0 && text[0] == '"' {
				add(views.Channel(text[1 : len(text)-1]))
			}
			if text := ecmajson.Get(view.Content, "text"); text != nil {
				var plain string
				if json.Unmarshal(text, &plain) == nil {
					for _, word := range views.Words(plain) {
						words[word] = append(words[word], after)
					}
				}
			}
		}
	}
	for term, list := range want {
		if got := rxs(t, v, term, false); !slices.Equal(got, list) {
			t.Fatalf("term %v: got %v, want %v", term, got, list)
		}
		slices.Reverse(list)
		if got := rxs(t, v, term, true); !slices.Equal(got, list) {
			t.Fatalf("term %v backwards: got %v, want %v", term, got, list)
		}
	}
	for word, list := range words {
		got, err := v.Search([]string{word}, 0, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		slices.Reverse(got)
		for _, rx := range list { // other words may begin with it
			if _, found := slices.BinarySearch(got, rx); !found {
				t.Fatalf("%q is not found in message %d", word, rx)
			}
		}
	}
	t.Logf("%d messages, %d terms, %d words", s.Last(), len(want), len(words))
	if len(want) < 1000 || len(words) < 50 {
		t.Error("these are too few")
	}
}

// TestSorted looks at the order of times.
func TestSorted(t *testing.T) {
	s := fill(t, t.TempDir(), small)
	v := open(t, s, nil)
	catchUp(t, v)
	hits, err := v.Sorted(views.Type([]byte("post")), 0, 1e300, s.Last())
	if err != nil || len(hits) < 100 {
		t.Fatalf("%d hits, %v", len(hits), err)
	}
	for i, h := range hits {
		rec, err := s.Rx(h.Rx)
		if err != nil {
			t.Fatal(err)
		}
		view, err := message.Fields(rec.Value)
		if err != nil || view.Timestamp != h.At {
			t.Fatalf("message %d has time %v, not %v (%v)", h.Rx, view.Timestamp, h.At, err)
		}
		if i > 0 && hits[i-1].At > h.At {
			t.Fatalf("%v comes before %v", hits[i-1].At, h.At)
		}
	}
	middle := hits[len(hits)/2].At
	after, err := v.Sorted(views.Type([]byte("post")), middle, 1e300, s.Last())
	if err != nil || len(after) > len(hits)-len(hits)/2+1 || after[0].At != middle {
		t.Errorf("%d of %d from the middle, %v", len(after), len(hits), err)
	}
}

// TestSearch searches for words in posts of all sorts.
func TestSearch(t *testing.T) {
	s := fill(t, t.TempDir(), "")
	v := open(t, s, nil)
	a := newAuthor(2)
	texts := []string{
		`Hello World`, `hello there, worldly people`, `grüße aus MÜNCHEN`, `das ist ein\nzeilen_umbruch`,
		`日本語のテスト`, `foo \ud83d\ude00 bar`, `<script>alert(\"hello\")</script>`, ``,
	}
	for _, text := range texts {
		a.write(t, s, `{"type":"post","text":"`+text+`"}`)
	}
	a.write(t, s, `{"type":"post","text":{"hello":"world"}}`)
	a.write(t, s, `{"type":"post"}`)
	catchUp(t, v)
	for query, want := range map[string][]uint64{
		"hello": {7, 2, 1}, "HELLO wor": {2, 1}, "world": {2, 1}, "worldl": {2}, "münchen": {3}, "grü": {3},
		"zeilen": {4}, "umbruch": nil, "zeilen_u": {4}, "本語": {5}, "本x": {5}, "bar foo": {6}, "": nil, "ab": nil, "it hello": {7, 2, 1},
		"alert hello": {7}, "nothing hello": nil, strings.Repeat("x", 5000): nil,
	} {
		got, err := v.Search(views.QueryWords(query), 0, 10)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %v, want %v (%v)", query, got, want, err)
		}
	}
	if got, err := v.Search([]string{"hello"}, 7, 1); err != nil || !slices.Equal(got, []uint64{2}) {
		t.Errorf("below 7: got %v, %v", got, err)
	}
	if !views.Matches([]string{"wor", "hel"}, "Hello world") || views.Matches([]string{"wor", "not"}, "Hello world") {
		t.Error("matches")
	}
}

// TestNames looks at who calls whom what.
func TestNames(t *testing.T) {
	s := fill(t, t.TempDir(), "")
	v := open(t, s, nil)
	a, b, c := newAuthor(2), newAuthor(3), newAuthor(4)
	const blob = "&aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaA=.sha256"
	for _, c := range []string{
		`{"type":"about","about":"` + a.feed().String() + `","name":"Al\"ice"}`,
		`{"type":"about","about":"` + b.feed().String() + `","name":"Bob","image":{"link":"` + blob + `"}}`,
		`{"type":"about","about":"` + b.feed().String() + `","name":"Bobby"}`,
		`{"type":"about","about":"` + b.feed().String() + `","name":"","image":"nothing"}`,
		`{"type":"about","about":"` + c.feed().String() + `","name":"Carol","image":"` + blob + `"}`,
		`{"type":"about","about":"` + c.feed().String() + `","name":{"remove":true},"image":{"link":"` + blob + `","remove":true}}`,
		`{"type":"about","about":"%nothing","name":"no"}`,
		`{"type":"post","text":"","mentions":[{"link":"` + a.feed().String() + `","name":"me"},{"link":"x","name":"y"},3,null]}`,
	} {
		a.write(t, s, c)
	}
	catchUp(t, v)
	from := a.feed()
	names := map[string]string{}
	for _, only := range []bool{false, true} {
		clear(names)
		who := &from
		if !only {
			who = nil
		}
		if err := v.EachName(who, func(n views.Naming) { names[n.To.String()] = string(n.Text) }); err != nil {
			t.Fatal(err)
		}
		if want := map[string]string{a.feed().String(): "me", b.feed().String(): "Bobby"}; !reflect.DeepEqual(names, want) {
			t.Errorf("got %v, want %v", names, want)
		}
	}
	clear(names)
	if err := v.EachImage(nil, func(n views.Naming) { names[n.To.String()] = string(n.Text) }); err != nil {
		t.Fatal(err)
	}
	if want := map[string]string{b.feed().String(): blob}; !reflect.DeepEqual(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
}

// TestLate lets private messages open late.
func TestLate(t *testing.T) {
	s := fill(t, t.TempDir(), "")
	late, open1 := uint64(0), false
	v := open(t, s, func(c *views.Config) {
		c.Step = 1
		c.Late = func() uint64 { return late }
		c.Plain = func(rec *store.Record) *store.Record {
			if rec.Seq != 2 || !open1 {
				return rec
			}
			plain := *rec
			plain.Value = []byte(`{"timestamp":2000,"content":{"type":"post","text":"secret word"}}`)
			return &plain
		}
	})
	a := newAuthor(2)
	a.write(t, s, `{"type":"post","text":"word"}`)
	a.write(t, s, `"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=.box2"`)
	a.write(t, s, `{"type":"post","text":"word"}`)
	catchUp(t, v)
	check := func(want ...uint64) {
		t.Helper()
		if got, err := v.Search([]string{"word"}, 0, 10); err != nil || !slices.Equal(got, want) {
			t.Errorf("got %v, want %v (%v)", got, want, err)
		}
		slices.Reverse(want)
		if got := rxs(t, v, views.Type([]byte("post")), false); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	check(3, 1)
	open1 = true
	catchUp(t, v) // nobody said that there is something new
	check(3, 1)
	for range 3 {
		late++
		catchUp(t, v)
		check(3, 2, 1)
	}
}

// TestAnew makes the file anew when it is not of the store, and when it is
// damaged.
func TestAnew(t *testing.T) {
	dir := t.TempDir()
	s := fill(t, dir, small)
	v := open(t, s, nil)
	catchUp(t, v)
	want := dump(t, v)
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Cursor(); !errors.Is(err, store.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	path := filepath.Join(dir, "views.db")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	other := fill(t, t.TempDir(), "")
	newAuthor(7).write(t, other, `{"type":"post","text":"x"}`)
	foreign := open(t, other, nil)
	catchUp(t, foreign)
	foreign.Close()
	strange, err := os.ReadFile(filepath.Join(filepath.Dir(other.Path()), "views.db"))
	if err != nil {
		t.Fatal(err)
	}
	torn := slices.Clone(whole)
	for i := len(torn) / 4; i < len(torn)/2; i++ {
		torn[i] = 0xA5
	}
	for name, content := range map[string][]byte{
		"deleted": nil, "empty": {}, "of another store": strange, "no database": []byte("hello"), "half": whole[:len(whole)/2],
		"torn": torn, "one page": whole[:4096], "itself": whole,
	} {
		if content == nil {
			err = os.Remove(path)
		} else {
			err = os.WriteFile(path, content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		again := open(t, s, nil)
		catchUp(t, again)
		if dump(t, again) != want {
			t.Errorf("%s: the file has other rows", name)
		}
		again.Close()
	}
}

// TestEarlierCopy makes the file anew when the store was replaced by an earlier
// copy of itself.
func TestEarlierCopy(t *testing.T) {
	dir := t.TempDir()
	s := fill(t, dir, "")
	a := newAuthor(2)
	a.write(t, s, `{"type":"post","text":"first"}`)
	s.Close()
	early, err := os.ReadFile(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	b := *a
	s = fill(t, dir, "")
	v := open(t, s, nil)
	a.write(t, s, `{"type":"post","text":"second"}`)
	catchUp(t, v)
	v.Close()
	s.Close()
	for _, more := range []bool{false, true} {
		if err := os.WriteFile(s.Path(), early, 0o600); err != nil {
			t.Fatal(err)
		}
		s = fill(t, dir, "")
		if more {
			b.write(t, s, `{"type":"post","text":"another"}`)
		}
		v = open(t, s, nil)
		catchUp(t, v)
		got, err := v.Search([]string{"second"}, 0, 10)
		if err != nil || len(got) > 0 {
			t.Errorf("more %v: found %v, %v", more, got, err)
		}
		v.Close()
		s.Close()
	}
}

// TestStopped ends a build in the middle and goes on.
func TestStopped(t *testing.T) {
	s := fill(t, t.TempDir(), small)
	v := open(t, s, func(c *views.Config) { c.Step = 100 })
	ctx, stop := context.WithCancel(context.Background())
	for range 3 {
		if more, err := v.Step(ctx); err != nil || !more {
			t.Fatal(more, err)
		}
	}
	stop()
	if err := v.CatchUp(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
	if after, err := v.Cursor(); err != nil || after != 300 {
		t.Errorf("cursor %d, %v", after, err)
	}
	catchUp(t, v)
	whole := open(t, s, func(c *views.Config) { c.Path += "2" })
	catchUp(t, whole)
	if dump(t, v) != dump(t, whole) {
		t.Error("in steps it is another index")
	}
}
