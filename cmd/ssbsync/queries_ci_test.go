//go:build ci

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestSameQueryAnswers asks the plugins that apps use and us the same questions
// about the same messages, through npm ssb-client over the socket, and compares the answers,
// errors included. Receive times, and what is boxed anew, are made equal first.
func TestSameQueryAnswers(t *testing.T) {
	c := newCorpus(t)
	file := c.write()
	questions := queries()
	calls := c.filled(questions)

	theirs := c.machine().javaScript("queries", "server.js", file)
	them := c.equalize(theirs.callsTo(theirs.socket(), calls))
	theirs.stop()

	m := c.machine()
	m.cli("--quiet", "import", file)
	m.cli("recover", "--done")
	ours := m.ours()
	us := c.equalize(ours.callsTo(ours.socket(), calls))

	counts, differ := map[string]int{}, 0
	for i, q := range questions {
		counts[q.Method]++
		if us[i] == them[i] || q.loose && equalJSON(us[i], them[i]) || q.set && equalLists(us[i], them[i]) {
			continue
		}
		differ++
		args, _ := json.Marshal(q.Args)
		t.Errorf("%s%s:\nplugins %.3000s\nwe      %.3000s", q.Method, args, them[i], us[i])
	}
	t.Logf("%d cases: %d answered otherwise, of %v", len(questions), differ, counts)
	c.askUs(ours)
}

// socket is the address of the peer's socket: over TCP every call takes ssb-client
// a tenth of a second.
func (p *peer) socket() string {
	return fmt.Sprintf("unix:%s~noauth:%s", filepath.Join(p.path(), "socket"), p.ID[1:len(p.ID)-len(".ed25519")])
}

// queries are all questions that are put to both. The first two publish, so
// that times of now can be asked about.
func queries() []remote {
	publish := func(text string) remote {
		return remote{Method: "publish", Args: []any{obj{"type": "post", "text": text}}, Wait: 60_000}
	}
	return slices.Concat([]remote{publish("first of now"), publish("second of now")},
		filterQueries(), shapeQueries(), backlinkQueries(), searchQueries(), otherQueries(), liveQueries())
}

// askUs asks us what the plugins do not bear.
func (c *corpus) askUs(ours *peer) {
	var calls []remote
	questions := ownQueries()
	for _, q := range questions {
		calls = append(calls, q.remote)
	}
	for i, line := range c.equalize(ours.callsTo(ours.socket(), c.filled(calls))) {
		var a answer
		q := questions[i]
		err := json.Unmarshal([]byte(line), &a)
		keys := keysOf(a.Items)
		slices.Sort(q.want)
		switch {
		case q.fails != "" && strings.Contains(a.Error, q.fails) && a.Error != "no end":
		case q.fails == "" && q.want == nil && a.Error != "no end":
		case q.fails == "" && q.want != nil && err == nil && slices.Equal(keys, q.want):
		default:
			args, _ := json.Marshal(q.Args)
			c.t.Errorf("%s%s: %.1000s, want %q%s", q.Method, args, line, q.want, q.fails)
		}
	}
	c.t.Logf("%d cases that only we are asked", len(questions))
}

// keysOf returns the keys of messages, or the strings, in order.
func keysOf(items []json.RawMessage) (keys []string) {
	for _, item := range items {
		var msg struct{ Key string }
		if json.Unmarshal(item, &msg.Key) == nil || json.Unmarshal(item, &msg) == nil {
			keys = append(keys, msg.Key)
		}
	}
	slices.Sort(keys)
	return keys
}

// equalLists compares answers that are lists without regard to their order.
func equalLists(a, b string) bool {
	asItems := func(line string) string { return strings.Replace(line, `{"answer":[`, `{"items":[`, 1) }
	return equalSets(asItems(a), asItems(b))
}

// filled replaces the labels in calls by ids.
func (c *corpus) filled(calls []remote) (filled []remote) {
	c.t.Helper()
	for _, call := range calls {
		raw, err := json.Marshal(call)
		var f remote
		if err == nil {
			err = json.Unmarshal(c.fill(raw), &f)
		}
		if err != nil {
			c.t.Fatal(err)
		}
		filled = append(filled, f)
	}
	return filled
}

// nows are times of this test, which are later than those of the corpus.
var nows = regexp.MustCompile(`\b(1[89]|[2-9]\d)\d{11}(\.\d+)?\b|\b17[5-9]\d{10}(\.\d+)?\b`)

// equalize replaces what differs between two servers: the times of now, the
// ids of the messages that were published, ciphertexts and keys to them. Ids of
// the corpus become its labels.
func (c *corpus) equalize(lines []string) []string {
	corpus := string(bytes.Join(c.lines, []byte("\n")))
	pairs := []string{}
	for label, id := range c.ids {
		pairs = append(pairs, id, "$"+label)
	}
	for i, line := range lines {
		var a struct{ Answer struct{ Key string } }
		if json.Unmarshal([]byte(line), &a) == nil && strings.HasPrefix(a.Answer.Key, "%") {
			pairs = append(pairs, a.Answer.Key, fmt.Sprintf("%%published-%d", i))
		}
	}
	names := strings.NewReplacer(pairs...)
	equal := make([]string, len(lines))
	for i, line := range lines {
		line = names.Replace(line)
		line = nows.ReplaceAllString(line, "0")
		line = signatures.ReplaceAllString(line, `"signature":""`)
		equal[i] = ciphertexts.ReplaceAllStringFunc(line, func(text string) string {
			if len(text) < 40 || strings.Contains(corpus, text) {
				return text
			}
			return `"secret"`
		})
	}
	return equal
}
