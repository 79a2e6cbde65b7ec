//go:build ci

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/spec/keys"
)

// unknown returns the ids of feeds that exist nowhere else.
func unknown(n int) (feeds []string) {
	for i := range n {
		feeds = append(feeds, keys.FromSeed([32]byte{byte(i), 'u'}).Feed().String())
	}
	return feeds
}

// privateCalls are calls about private messages that are answered alike.
func privateCalls() []remote {
	async := func(method string, args ...any) remote {
		return remote{Method: method, Args: args, Wait: 60_000}
	}
	source := func(method string, o obj) remote {
		return remote{Method: method, Type: "source", Args: []any{o}, Wait: 60_000}
	}
	calls := []remote{
		async("publish", obj{"type": "post", "text": "public"}),
		async("publish", obj{"type": "post", "text": "to me <&> \u2028", "root": "$0.key", "mentions": []any{obj{"link": somebody}}, "recps": []any{"$id"}}),
		async("publish", obj{"type": "post", "text": "one recipient as text", "recps": "$id"}),
		async("publish", obj{"type": "post", "text": "for somebody", "recps": []any{somebody}}),
		async("publish", obj{"type": "vote", "vote": obj{"link": "$0.key", "value": 1}, "recps": append([]string{"$id"}, unknown(6)...)}),
		async("publish", obj{"type": "post", "text": "for nobody in particular", "recps": nil}),

		async("publish", obj{"type": "post", "recps": []any{}}),
		async("publish", obj{"type": "post", "recps": obj{"a": 1}}),
		async("publish", obj{"type": "post", "recps": 7}),
		async("publish", obj{"type": "post", "recps": []any{"nonsense"}}),
		async("publish", obj{"type": "post", "recps": []any{"$id", obj{"link": "$id"}}}),
		async("publish", obj{"type": "post", "recps": unknown(8)}),

		async("get", "$1.key"),
		async("get", obj{"id": "$1.key", "private": true}),
		async("get", obj{"id": "$1.key", "private": true, "meta": true}),
		async("get", obj{"id": "$2.key", "private": true}),
		async("get", obj{"id": "$3.key", "private": true}),
		async("get", obj{"id": "$4.key", "private": 1}),
		async("get", obj{"id": "$1.key", "private": true, "unbox": "$13.unbox"}),
		async("getLatest", "$id"),

		source("createHistoryStream", obj{"id": "$id", "private": true}),
		source("createUserStream", obj{"id": "$id", "private": true, "gt": 1, "limit": 2}),
		source("messagesByType", obj{"type": "vote", "private": true}),
		source("messagesByType", obj{"type": "post", "private": true, "reverse": true}),
		source("links", obj{"dest": "$0.key"}),
		source("links", obj{"dest": "$0.key", "values": true, "private": true}),
		source("links", obj{"dest": "$0.key", "values": true}),
	}
	for _, private := range []any{true, false, "true"} {
		calls = append(calls,
			source("createLogStream", obj{"private": private}),
			source("createLogStream", obj{"private": private, "keys": false, "reverse": true}),
			source("createLogStream", obj{"private": private, "values": false}),
			source("createFeedStream", obj{"private": private}),
			source("createUserStream", obj{"private": private, "id": "$id"}),
			source("messagesByType", obj{"private": private, "type": "post"}))
	}
	return calls
}

// TestSamePrivateAnswers makes the same calls about private messages to a real
// ssb-server and to us, and compares the answers.
func TestSamePrivateAnswers(t *testing.T) {
	calls := privateCalls()
	theirs := newMachine(t, nil).javaScript("classic", "server.js", "3")
	them := unboxed(equalize(theirs.ID, theirs.calls(calls)))
	theirs.stop()
	ours := newMachine(t, nil).ours()
	us := unboxed(equalize(ours.ID, ours.calls(calls)))
	for i, c := range calls {
		if us[i] != them[i] {
			args, _ := json.Marshal(c.Args)
			t.Errorf("%s%s:\nssb-server %s\nwe         %s", c.Method, args, them[i], us[i])
		}
	}
	t.Logf("%d calls", len(calls))
}

var ciphertexts = regexp.MustCompile(`"[A-Za-z0-9+/]+=*(\.box2?)?"`)

// unboxed numbers ciphertexts and the keys to them, which differ between any two
// servers.
func unboxed(lines []string) (equal []string) {
	numbers := map[string]string{}
	for _, line := range lines {
		equal = append(equal, ciphertexts.ReplaceAllStringFunc(line, func(text string) string {
			if len(text) < 40 {
				return text
			}
			if numbers[text] == "" {
				numbers[text] = fmt.Sprintf(`"secret-%d"`, len(numbers))
			}
			return numbers[text]
		}))
	}
	return equal
}

// readPrivately are the texts of the private posts that a peer reads of a feed.
func (p *peer) readPrivately(feed string) (texts []string) {
	p.t.Helper()
	line := p.calls([]remote{{Method: "createUserStream", Type: "source", Args: []any{obj{"id": feed, "private": true, "keys": false}}, Wait: 60_000}})[0]
	var a struct {
		Items []struct {
			Content json.RawMessage
			Private bool
		}
		Error string
	}
	if err := json.Unmarshal([]byte(line), &a); err != nil || a.Error != "" {
		p.t.Fatalf("reading %s: %.500s", feed, line)
	}
	for _, item := range a.Items {
		var content struct{ Text string }
		if item.Private && json.Unmarshal(item.Content, &content) == nil {
			texts = append(texts, content.Text)
		}
	}
	return texts
}

// sendPrivately publishes a post for a feed alone, then for more and more others
// besides, up to seven.
func (p *peer) sendPrivately(to string) (texts []string) {
	p.t.Helper()
	for n := range 7 {
		text := fmt.Sprintf("for %d from %s", n+1, p.ID)
		p.ask(nil, "publish", obj{"type": "post", "text": text, "recps": append(unknown(n), to)})
		texts = append(texts, text)
	}
	return texts
}

// TestPrivateWithServer sends private messages to 1 to 7 recipients between a
// real ssb-server and us, over the network: each side reads what is for it, and
// who is no recipient reads nothing.
func TestPrivateWithServer(t *testing.T) {
	theirs := newMachine(t, nil).javaScript("classic", "server.js", "3")
	ours := newMachine(t, nil).ours()
	fromThem, fromUs := theirs.sendPrivately(ours.ID), ours.sendPrivately(theirs.ID)
	stranger := newMachine(t, nil).ours()
	want := map[string]int64{theirs.ID: 7, ours.ID: 7}
	for feed := range want {
		theirs.ask(nil, "replicate.request", feed)
		ours.cli("replicate", feed)
		stranger.cli("replicate", feed)
	}
	ours.cli("connect", theirs.Address)
	eventually(t, "ours to theirs", want, javaScriptClock(theirs, "getVectorClock"))
	eventually(t, "theirs to ours", want, ours.clock)
	stranger.cli("connect", ours.Address)
	eventually(t, "both to a stranger", want, stranger.clock)

	if got := theirs.readPrivately(ours.ID); !slices.Equal(got, fromUs) {
		t.Errorf("ssb-server reads %q of ours", got)
	}
	if got := ours.readPrivately(theirs.ID); !slices.Equal(got, fromThem) {
		t.Errorf("we read %q of theirs", got)
	}
	if got := strings.Count(ours.cli("--json", "private", "read"), `"text":"for `); got != 7 {
		t.Errorf("private read prints %d messages", got)
	}
	for _, feed := range slices.Sorted(maps.Keys(want)) {
		if got := stranger.readPrivately(feed); len(got) != 0 {
			t.Errorf("a stranger reads %q", got)
		}
	}
	t.Logf("%d messages read on either side", 7)
}

// TestPrivateOverStick carries private messages, a group and its key to a machine
// without a network, and answers back.
func TestPrivateOverStick(t *testing.T) {
	stick := t.TempDir()
	a, b, c := newMachine(t, nil), newMachine(t, nil), newMachine(t, nil)
	id := func(m *machine) string {
		var who struct{ ID string }
		if err := json.Unmarshal([]byte(m.cli("whoami")), &who); err != nil {
			t.Fatal(err)
		}
		return who.ID
	}
	a.cli("private", "send", "--to", id(b), "--text", "meet at the pier")
	group := strings.TrimSpace(a.cli("private", "group", "create"))
	a.cli("private", "group", "send", group, "--text", "meet at the lighthouse")
	a.cli("export", stick)
	b.cli("import", stick)
	a.cli("private", "group", "add", group, id(b))
	a.cli("export", stick)
	for _, m := range []*machine{b, c} {
		m.cli("import", stick)
	}
	read := b.cli("--json", "private", "read")
	if !strings.Contains(read, "pier") || !strings.Contains(read, "lighthouse") {
		t.Errorf("b reads %s", read)
	}
	if read := c.cli("--json", "private", "read"); read != "" {
		t.Errorf("c reads %s", read)
	}
	b.cli("private", "group", "send", group, "--text", "aye")
	b.cli("export", stick)
	a.cli("import", stick)
	if read := a.cli("--json", "private", "read", "--reverse", "--limit", "1"); !strings.Contains(read, `"text":"aye"`) {
		t.Errorf("a reads %s", read)
	}
	bundles := 0
	err := filepath.WalkDir(stick, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".ssb.zst") {
			return err
		}
		bundles++
		if text := c.cli("cat", path); !strings.Contains(text, ".box") || strings.Contains(text, "pier") || strings.Contains(text, "lighthouse") {
			t.Errorf("%s: %s", path, text)
		}
		return nil
	})
	if err != nil || bundles < 3 {
		t.Errorf("%d bundles, %v", bundles, err)
	}
}
