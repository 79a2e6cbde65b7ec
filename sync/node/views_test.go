package node_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
)

// keysOf returns the keys of messages.
func keysOf(t testing.TB, items []string) (keys []string) {
	t.Helper()
	for _, item := range items {
		var msg struct{ Key string }
		unmarshal(t, item, &msg)
		keys = append(keys, msg.Key)
	}
	return keys
}

// expect compares the keys that a stream answers.
func expect(t testing.TB, s *muxrpc.Session, method, options string, want ...string) {
	t.Helper()
	if got := keysOf(t, collect(t, s, -1, method, options)); !slices.Equal(got, want) {
		t.Errorf("%s(%s):\ngot  %q\nwant %q", method, options, got, want)
	}
}

// TestQueryRead asks for messages in many ways.
func TestQueryRead(t *testing.T) {
	r := start(t, `{}`)
	s := r.socket(t)
	a := publish(t, s, `{"type":"post","text":"one","channel":"go"}`)
	b := publish(t, s, raw2(`{"type":"post","text":"two","root":"%s","channel":"ssb"}`, a))
	c := publish(t, s, raw2(`{"type":"vote","vote":{"link":"%s","value":1}}`, a))
	d := publish(t, s, raw2(`{"type":"post","text":"three","root":"%s","channel":"go"}`, a))
	self := r.id(t)
	filter := func(rule, more string) string { return `{"query":[{"$filter":` + rule + `}]` + more + `}` }
	for _, one := range []struct {
		options string
		want    []string
	}{
		{`{}`, []string{a, b, c, d}}, {`{"query":[]}`, []string{a, b, c, d}}, {`{"query":7,"reverse":true}`, []string{d, c, b, a}}, {`{"limit":2}`, []string{a, b}}, {`{"limit":0,"query":[{"$filter":{}}]}`, []string{a, b, c, d}},
		{filter(`{"value":{"content":{"type":"post"}}}`, ``), []string{a, b, d}},
		{filter(`{"value":{"content":{"type":"post"}}}`, `,"reverse":true,"limit":2`), []string{d, b}},
		{filter(raw2(`{"value":{"author":"%s"}}`, self), `,"reverse":true`), []string{d, c, b, a}},
		{filter(raw2(`{"value":{"author":"%s","sequence":{"$gt":1,"$lt":4}}}`, self), ``), []string{b, c}},
		{filter(raw2(`{"value":{"author":"%s","content":{"type":"vote"}}}`, self), ``), []string{c}},
		{filter(raw2(`{"value":{"author":"%s","timestamp":{"$gt":1},"content":{"type":"post"}}}`, self), `,"reverse":true`), []string{d, b, a}},
		{filter(`{"value":{"timestamp":{"$gt":1},"content":{"type":"post"}}}`, ``), []string{a, b, d}},
		{filter(`{"value":{"content":{"channel":"go"}}}`, ``), []string{a, d}},
		{filter(`{"value":{"content":{"channel":{"$is":"string"}}}}`, ``), []string{a, d, b}},
		{filter(`{"value":{"content":{"channel":{"$prefix":"s"}}}}`, ``), []string{b}},
		{filter(raw2(`{"value":{"content":{"root":"%s"}}}`, a), ``), []string{b, d}},
		{filter(raw2(`{"value":{"content":{"root":"%s","type":"post"}}}`, a), `,"reverse":true,"limit":1`), []string{d}},
		{filter(`{"value":{"content":{"type":{"$in":["vote","nothing"]}}}}`, ``), []string{c}},
		{filter(`{"value":{"content":{"type":{"$eq":"vote"}}}}`, ``), []string{c}},
		{filter(`{"timestamp":{"$gt":0}}`, `,"limit":1`), []string{a}}, {filter(`{"timestamp":{"$lt":1}}`, ``), nil},
		{filter(`{"rts":{"$gt":0}}`, `,"reverse":true`), []string{d, c, b, a}},
		{filter(raw2(`{"key":"%s"}`, b), ``), []string{b}},
		{`{"query":{"value":{"content":{"type":"vote"}}}}`, []string{c}},
		{`"[{\"$filter\":{\"value\":{\"content\":{\"type\":\"vote\"}}}}]"`, []string{c}},
		{`{"query":[{"$filter":{"value":{"content":{"type":"post"}}}},{"$sort":[{"$reverse":["value","sequence"]}]}]}`, []string{d, b, a}},
	} {
		expect(t, s, "query.read", one.options, one.want...)
	}
	counts := collect(t, s, -1, "query.read", `{"query":[{"$reduce":{"type":["value","content","type"],"n":{"$count":true}}}]}`)
	if want := []string{`{"type":"post","n":3}`, `{"type":"vote","n":1}`}; !slices.Equal(counts, want) {
		t.Errorf("counts: %q", counts)
	}
	if got := collect(t, s, 1, "query.read", filter(`{"value":{"content":{"type":"vote"}}}`, "")); !strings.Contains(got[0], `,"rts":`) {
		t.Errorf("from an index: %s", got)
	}
	if got := collect(t, s, 1, "query.read", filter(`{}`, "")); strings.Contains(got[0], `,"rts":`) {
		t.Errorf("from the log: %s", got)
	}
	live := make(chan []string)
	go func() {
		live <- collect(t, r.socket(t), 3, "query.read", filter(`{"value":{"content":{"type":"vote"}}}`, `,"live":true`))
	}()
	publish(t, s, `{"type":"post","text":"four"}`)
	e := publish(t, s, `{"type":"vote","n":2}`)
	if got := <-live; !strings.Contains(strings.Join(got, ""), e) || !slices.Contains(got, `{"sync":true}`) {
		t.Errorf("live: %q", got)
	}
}

// raw2 is fmt.Sprintf for JSON.
func raw2(format string, args ...any) string { return fmt.Sprintf(format, args...) }

// TestBacklinksRead asks who links to what.
func TestBacklinksRead(t *testing.T) {
	r := start(t, `{}`)
	s := r.socket(t)
	a := publish(t, s, `{"type":"post","text":"one"}`)
	b := publish(t, s, raw2(`{"type":"post","root":"%s","deep":[{"in":{"here":"%s"}}],"channel":"Go Lang"}`, a, a))
	c := publish(t, s, raw2(`{"type":"vote","vote":{"link":"%s"},"text":"#golang"}`, a))
	d := publish(t, s, `{"type":"post","text":"#golang","mentions":["#golang",{"link":"#other"}]}`)
	dest := func(rule, more string) string { return `{"query":[{"$filter":{"dest":` + rule + `}}]` + more + `}` }
	expect(t, s, "backlinks.read", dest(`"`+a+`"`, ``), b, c)
	expect(t, s, "backlinks.read", dest(`"`+a+`"`, `,"reverse":true,"limit":1`), c)
	expect(t, s, "backlinks.read", dest(`"`+a+`"`, `,"index":"DTA"`), b, c)
	expect(t, s, "backlinks.read", raw2(`{"query":[{"$filter":{"dest":"%s","value":{"content":{"type":"vote"}}}}]}`, a), c)
	expect(t, s, "backlinks.read", dest(`"#golang"`, ``), b, c, d)
	expect(t, s, "backlinks.read", dest(`"#GoLang"`, ``))
	expect(t, s, "backlinks.read", dest(`{"$prefix":"#"}`, ``), b, c, d, d)
	expect(t, s, "backlinks.read", dest(`{"$in":["#other","`+a+`"]}`, ``), d, b, c)
	expect(t, s, "backlinks.read", raw2(`{"query":{"dest":"%s"}}`, a), b, c)
	e := publish(t, s, `{"type":"post","text":"#golang","mentions":["#golang",{"link":"#other"}]}`)
	expect(t, s, "backlinks.read", dest(`{"$prefix":"#"}`, ``), b, c, d, e, d, e)
	expect(t, s, "backlinks.read", dest(`{"$prefix":"#"}`, `,"reverse":true`), e, d, e, d, c, b)
	item := collect(t, s, 1, "backlinks.read", dest(`"`+a+`"`, ``))[0]
	if !strings.Contains(item, `,"dest":"`+a+`"}`) {
		t.Errorf("by arrival: %s", item)
	}
	item = collect(t, s, 1, "backlinks.read", dest(`"`+a+`"`, `,"index":"DTA"`))[0]
	if !strings.Contains(item, `,"dest":"`+a+`","rts":`) {
		t.Errorf("by time: %s", item)
	}
	var heads []string
	if unmarshal(t, call(t, s, "tangle.branch", a), &heads); !slices.Equal(heads, []string{b}) {
		t.Errorf("heads: %q", heads)
	}
	if unmarshal(t, call(t, s, "tangle.branch", d), &heads); !slices.Equal(heads, []string{d}) {
		t.Errorf("heads of a message alone: %q", heads)
	}
}

// TestSearchAndNames searches, and asks for names and images.
func TestSearchAndNames(t *testing.T) {
	r := start(t, `{}`)
	s := r.socket(t)
	self := r.id(t)
	a := publish(t, s, `{"type":"post","text":"the quick brown fox"}`)
	b := publish(t, s, raw2(`{"type":"post","text":"a quick answer","root":"%s"}`, a))
	c := publish(t, s, `{"type":"post","text":"Quickly, FOXES!"}`)
	secret := publish(t, s, raw2(`{"type":"post","text":"quick and hidden","recps":["%s"]}`, self))
	expect(t, s, "search.query", `{"query":"quick"}`, a, secret, c, b)
	expect(t, s, "search.query", `{"query":"FOX quick","limit":1}`, c)
	expect(t, s, "search.query", `"hidden"`, secret)
	for _, options := range []string{`{"query":""}`, `{"query":"a b"}`, `{}`, `null`, `{"query":["quick"]}`, `{"query":"nothing"}`} {
		expect(t, s, "search.query", options)
	}
	if got := collect(t, s, 1, "search.query", `{"query":"brown"}`)[0]; strings.Contains(got, `"timestamp":1`) && strings.Contains(got, `},"timestamp"`) {
		t.Errorf("found: %s", got)
	}
	other := stranger(t).Feed().String()
	const blob = "&aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaA=.sha256"
	publish(t, s, raw2(`{"type":"about","about":"%s","name":"Oth\u00ebr","image":"%s"}`, other, blob))
	publish(t, s, raw2(`{"type":"about","about":"%s","title":"A thread","attendee":{"link":"%s"}}`, a, self))
	for _, one := range []struct{ method, argument, want string }{
		{"names.get", `null`, raw2(`{"%s":{"%s":"Othër"}}`, self, other)},
		{"names.getImages", `null`, raw2(`{"%s":{"%s":"%s"}}`, self, other, blob)},
		{"names.getSignifier", `"` + other + `"`, `"Othër"`},
		{"names.getSignifier", `"` + self + `"`, `"` + self + `"`},
		{"names.getImageFor", `"` + other + `"`, `"` + blob + `"`},
		{"names.getSignifies", `"Oth"`, raw2(`[{"name":"Othër","id":"%s","rank":[1],"named":"Othër"}]`, other)},
		{"names.getSignifies", `"oth"`, `[]`},
		{"about.socialValue", raw2(`{"key":"title","dest":"%s"}`, a), `"A thread"`},
		{"about.socialValue", raw2(`{"key":"nothing","dest":"%s"}`, a), `null`},
		{"about.latestValue", raw2(`{"key":"name","dest":"%s"}`, other), `"Othër"`},
		{"about.latestValues", raw2(`{"keys":["name","image","x"],"dest":"%s"}`, other), raw2(`{"image":"%s","name":"Othër"}`, blob)},
		{"about.socialValues", raw2(`{"key":"attendee","dest":"%s"}`, a), raw2(`{"%s":{"link":"%s"}}`, self, self)},
	} {
		got := call(t, s, one.method, json.RawMessage(one.argument))
		if one.argument == "null" {
			got = call(t, s, one.method)
		}
		if got != one.want {
			t.Errorf("%s(%s): got %s, want %s", one.method, one.argument, got, one.want)
		}
	}
	if got := collect(t, s, 1, "about.socialValueStream", raw2(`{"key":"title","dest":"%s"}`, a)); got[0] != `"A thread"` {
		t.Errorf("stream: %q", got)
	}
	if got := collect(t, s, -1, "about.read", raw2(`{"dest":"%s"}`, a)); len(got) != 1 {
		t.Errorf("read: %q", got)
	}
	if progress := call(t, s, "progress"); !strings.Contains(progress, `"current":6,"target":6`) {
		t.Logf("progress: %s", progress) // the other indexes follow in their own time
	}
}

// TestViewErrors asks for what cannot be answered.
func TestViewErrors(t *testing.T) {
	r := start(t, `{}`)
	s := r.socket(t)
	publish(t, s, `{"type":"post","text":"one"}`)
	for _, one := range []struct{ method, options, want string }{
		{"query.read", `{"query":[{"$nonesuch":1}]}`, "unknown function:$nonesuch"},
		{"query.read", `{"query":[{"$filter":{"$nonesuch":1}}]}`, `could not process:{"$nonesuch":1}`},
		{"query.read", `{"query":"[{]"}`, "JSON"},
		{"query.read", `"no"`, "JSON"},
		{"query.read", `{"query":[` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `]}`, "levels deep"},
		{"backlinks.read", `{"query":[],"index":"XYZ"}`, "Invalid index: XYZ"},
		{"backlinks.read", `{"query":[{"$filter":{"dest":"x"}},{"$sort":[["value"]]}]}`, `could not sort by:[["value"]]`},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		stream, err := s.Source(ctx, one.method, json.RawMessage(one.options))
		if err == nil {
			_, err = stream.Recv(ctx)
			stream.Close(nil)
		}
		cancel()
		if err == nil || !strings.Contains(err.Error(), one.want) {
			t.Errorf("%s(%s): %v, want %q", one.method, one.options, err, one.want)
		}
	}
	if _, err := s.Async(context.Background(), "tangle.branch", "no"); err == nil || !strings.Contains(err.Error(), "getBranch requires a valid message") {
		t.Errorf("tangle.branch: %v", err)
	}
}

// TestViewsDeleted deletes the file while nobody has the home folder open.
func TestViewsDeleted(t *testing.T) {
	r := start(t, `{}`)
	s := r.socket(t)
	a := publish(t, s, `{"type":"post","text":"something"}`)
	expect(t, s, "search.query", `{"query":"something"}`, a)
	r.stop()
	path := filepath.Join(r.home, "ssbsync", "views.db")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Fatalf("%v, %v", info, err)
	}
	for _, damage := range []func() error{
		func() error { return os.Remove(path) },
		func() error { return os.WriteFile(path, []byte("no index"), 0o600) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		r = startIn(t, r.home, `{}`)
		expect(t, r.socket(t), "search.query", `{"query":"something"}`, a)
		r.stop()
	}
}
