package node_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// viewMethods are the methods on the index of apps.
var viewMethods = []string{
	"query.read", "query.explain", "query.help", "backlinks.read", "search.query", "search.help", "tangle.branch",
	"names.get", "names.getImages", "names.getImageFor", "names.getSignifier", "names.getSignifies",
	"about.read", "about.socialValue", "about.socialValues", "about.latestValue", "about.latestValues",
	"about.socialValueStream", "about.socialValuesStream", "about.latestValueStream",
}

// TestViewStrangers: nobody else may search, least of all private messages.
func TestViewStrangers(t *testing.T) {
	r := start(t, `{}`)
	own := r.socket(t)
	publish(t, own, fmt.Sprintf(`{"type":"post","text":"the secret ferry","recps":[%q]}`, r.id(t)))
	if got := collect(t, own, -1, "search.query", `"ferry"`); len(got) != 1 || !strings.Contains(got[0], "the secret ferry") {
		t.Errorf("we find %q", got)
	}
	s := r.dial(t, stranger(t))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, method := range viewMethods {
		_, err := s.Async(ctx, method, json.RawMessage(`{"query":"ferry"}`))
		if err == nil || !strings.Contains(err.Error(), "is not in list of allowed methods") {
			t.Errorf("%s: %v", method, err)
		}
		stream, err := s.Source(ctx, method, json.RawMessage(`{"query":"ferry"}`))
		if err == nil {
			_, err = stream.Recv(ctx)
		}
		if err == nil || !strings.Contains(err.Error(), "is not in list of allowed methods") {
			t.Errorf("%s as a source: %v", method, err)
		}
	}
}

// TestOddSearches: words are words, in whatever marks of query languages, and
// what is no word finds nothing, without an error or an end of the server.
func TestOddSearches(t *testing.T) {
	r := start(t, `{}`)
	s := r.socket(t)
	publish(t, s, `{"type":"post","text":"the quick ferry \u0000 at the pier \ud83e\udd8a"}`)
	for text, want := range map[string]int{
		`"\"quick ferry\""`: 1, `"ferry* quick^2"`: 1, `"+quick -ferry"`: 1, `"quick\u0000ferry"`: 1, `"(quick ferry"`: 1, `"pier\ud800"`: 1,
		`"quick AND"`: 0, `"{text}: quick"`: 0, `"NEAR(quick ferry, 2)"`: 0, `"quick;drop"`: 0,
		`""`: 0, `"\u0000"`: 0, `"\ud800"`: 0, `"'"`: 0, `"\\"`: 0, `"%"`: 0, `"*"`: 0, `"'; --"`: 0, `"\u202e\ufeff"`: 0, `"\ud83e\udd8a"`: 0, "\"quick\xff\xfeferry\"": 1,
		`"` + strings.Repeat("a", 100_000) + `"`: 0, `"` + strings.Repeat("ferry ", 20_000) + `"`: 1, many(20_000): 0,
		`{"query":{"a":1}}`: 0, `{"query":["ferry"]}`: 0, `{"limit":1e300,"query":"ferry"}`: 1, `{"limit":-5,"query":"ferry"}`: 1, `{"query":null}`: 0, `{}`: 0,
	} {
		if got := collect(t, s, -1, "search.query", text); len(got) != want {
			t.Errorf("%.100s: %d found, want %d", text, len(got), want)
		}
	}
}

// many returns the JSON text of as many words.
func many(words int) string {
	var text strings.Builder
	for i := range words {
		fmt.Fprintf(&text, " word%d", i)
	}
	return `"` + text.String() + `"`
}

// TestManyLiveQueries keeps as many live queries open as a connection may have:
// each gets what is new, and the next one is refused.
func TestManyLiveQueries(t *testing.T) {
	r := start(t, `{}`)
	s := r.socket(t)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	const streams = 1024 // muxrpc.DefaultMaxCalls
	var texts []func() (string, error)
	for i := range streams {
		method, query := "query.read", `{"live":true,"query":[{"$filter":{"value":{"content":{"type":"post"}}}},{"$map":["value","content","text"]}]}`
		if i%2 == 1 {
			method, query = "backlinks.read", `{"live":true,"query":[{"$filter":{"dest":"#ferry"}},{"$map":["value","content","text"]}]}`
		}
		stream, err := s.Source(ctx, method, json.RawMessage(query))
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, func() (string, error) {
			item, err := stream.Recv(ctx)
			return string(item.JSON()), err
		})
	}
	stream, err := s.Source(ctx, "query.read", json.RawMessage(`{"live":true,"old":false}`))
	if err == nil {
		_, err = stream.Recv(ctx)
	}
	if err == nil || !strings.Contains(err.Error(), "too many open calls") {
		t.Errorf("stream %d: %v", streams+1, err)
	}
	for i, next := range texts {
		if mark, err := next(); err != nil || mark != `{"sync":true}` {
			t.Fatalf("stream %d: %s, %v", i, mark, err)
		}
	}
	publish(t, r.socket(t), `{"type":"post","text":"it lands","channel":"ferry"}`)
	for i, next := range texts {
		if text, err := next(); err != nil || text != `"it lands"` {
			t.Fatalf("stream %d: %s, %v", i, text, err)
		}
	}
}

// TestQueryAsList gives the stages themselves, as people do at a terminal.
func TestQueryAsList(t *testing.T) {
	r := start(t, `{}`)
	s := r.socket(t)
	publish(t, s, `{"type":"post","text":"one"}`)
	publish(t, s, `{"type":"note","text":"two"}`)
	const query = `[{"$filter":{"value":{"content":{"type":"note"}}}},{"$map":["value","content","text"]}]`
	if got := collect(t, s, -1, "query.read", query); len(got) != 1 || got[0] != `"two"` {
		t.Errorf("query.read: %q", got)
	}
	if got := call(t, s, "query.explain", json.RawMessage(query)); !strings.Contains(got, `"index":"typ"`) {
		t.Errorf("query.explain: %s", got)
	}
}
