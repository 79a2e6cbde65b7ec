//go:build ci

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/privatebox"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// corpus is what the queries are asked about: the fixtures, of one of whose
// authors we are, and messages of three more authors that have what fixtures
// lack. The messages are the same in every run.
type corpus struct {
	t     testing.TB
	lines [][]byte          // {"value":…}, in the order they are added
	ids   map[string]string // of the messages with a label
	pairs map[string]*keys.Pair
	heads map[string]message.Head
	now   float64
	noise *rand.ChaCha8
}

// secretFile is the identity of an author of the fixtures.
var secretFile = filepath.Join("..", "..", "testdata", "fixtures-2k.secret")

func newCorpus(t testing.TB) *corpus {
	t.Helper()
	c := &corpus{t: t, ids: map[string]string{}, pairs: map[string]*keys.Pair{}, heads: map[string]message.Head{},
		now: 1_700_000_000_000, noise: rand.NewChaCha8([32]byte{'q'})}
	secret, err := os.ReadFile(secretFile)
	if err == nil {
		c.pairs["me"], err = keys.ParseSecret(secret)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"alice", "bob", "carol"} {
		c.pairs[name] = keys.FromSeed([32]byte{'q', byte(i)})
	}
	for name, pair := range c.pairs {
		c.heads[name] = message.Head{Feed: pair.Feed()}
		c.ids["@"+name] = pair.Feed().String()
	}
	c.fixtures()
	c.threads()
	c.channels()
	c.abouts()
	c.texts()
	c.boxes()
	return c
}

// fixtures adds the fixtures.
func (c *corpus) fixtures() {
	for _, line := range newPrograms(c.t).lines() {
		var msg struct{ Value json.RawMessage }
		err := json.Unmarshal(line, &msg)
		if err == nil {
			var m *message.Message
			if m, err = message.Verify(msg.Value, nil); err == nil && m.Feed() == c.pairs["me"].Feed() {
				c.heads["me"], err = c.heads["me"].Next(m)
			}
		}
		if err != nil {
			c.t.Fatal(err)
		}
		c.lines = append(c.lines, line)
	}
}

// add adds a message. Its id is known as the label, and $label in the content
// stands for the id of an earlier one.
func (c *corpus) add(label, author string, content any) {
	c.t.Helper()
	raw, err := json.Marshal(content)
	if err != nil {
		c.t.Fatal(err)
	}
	c.sign(label, author, c.fill(raw))
}

// box adds a private message.
func (c *corpus) box(label, author string, content obj, to ...string) {
	c.t.Helper()
	var feeds []refs.Feed
	for _, name := range to {
		feeds = append(feeds, c.pairs[name].Feed())
	}
	raw, err := json.Marshal(content)
	var boxed string
	if err == nil {
		boxed, err = privatebox.Box(c.noise, c.fill(raw), feeds)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.sign(label, author, fmt.Appendf(nil, "%q", boxed))
}

func (c *corpus) sign(label, author string, content []byte) {
	c.t.Helper()
	c.now += 1000
	m, err := message.Create(c.pairs[author], c.heads[author], content, c.now, nil)
	if err == nil {
		c.heads[author], err = c.heads[author].Next(m)
	}
	if err != nil {
		c.t.Fatalf("%s: %v", label, err)
	}
	c.ids[label] = m.ID().String()
	c.lines = append(c.lines, fmt.Appendf(nil, `{"key":%q,"value":%s,"timestamp":%d}`, m.ID(), m.Value(), int64(c.now)))
}

// fill replaces the strings "$label" by ids.
func (c *corpus) fill(raw []byte) []byte {
	for label, id := range c.ids {
		raw = bytes.ReplaceAll(raw, fmt.Appendf(nil, `"$%s"`, label), fmt.Appendf(nil, "%q", id))
	}
	return raw
}

// write writes the messages to a file and returns its name.
func (c *corpus) write() string {
	c.t.Helper()
	name := filepath.Join(c.t.TempDir(), "corpus.jsonl")
	if err := os.WriteFile(name, append(bytes.Join(c.lines, []byte("\n")), '\n'), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return name
}

// machine makes a machine of the author we are.
func (c *corpus) machine() *machine {
	c.t.Helper()
	m := newMachine(c.t, map[string]any{"friends": map[string]any{"hops": 3}})
	secret, err := os.ReadFile(secretFile)
	if err == nil {
		err = os.WriteFile(filepath.Join(m.path(), "secret"), secret, 0o600)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return m
}

// reply is a post in a thread.
func reply(text, root string, branch ...any) obj {
	return obj{"type": "post", "text": text, "root": root, "branch": branch}
}

// threads adds threads: one that forks, joins and forks again, and odd ones.
func (c *corpus) threads() {
	c.add("root", "alice", obj{"type": "post", "text": "Where does the ferry land?"})
	c.add("alone", "bob", obj{"type": "post", "text": "nobody answers"})
	c.add("r1", "bob", obj{"type": "post", "text": "At the pier.", "root": "$root", "branch": "$root"})
	c.add("r2", "carol", reply("At the harbour.", "$root", "$root"))
	c.add("vote1", "bob", obj{"type": "vote", "vote": obj{"link": "$r2", "value": 1, "expression": "Like"}})
	c.add("r3", "alice", reply("So both?", "$root", "$r1", "$r2"))
	c.add("between", "bob", obj{"type": "post", "text": "something else"})
	c.add("r4", "bob", reply("Yes", "$root", "$r3"))
	c.add("between2", "carol", obj{"type": "post", "text": "something else again"})
	c.add("r5", "carol", reply("No", "$root", "$r3"))
	c.add("vote2", "carol", obj{"type": "vote", "root": "$root", "branch": "$r1", "vote": obj{"link": "$r4", "value": 1}})

	c.add("root2", "alice", obj{"type": "post", "text": "a thread whose writer goes on"})
	c.add("s1", "alice", reply("one", "$root2", "$root2"))
	c.add("s2", "alice", reply("two, that links to one only as its previous", "$root2", "$root2"))
	c.add("s3", "bob", obj{"type": "post", "text": "no branch", "root": "$root2"})
	c.add("s4", "carol", obj{"type": "post", "text": "mentions", "root": "$root2", "branch": "$s2", "mentions": []any{obj{"link": "$s3"}}})
	c.add("fork", "carol", obj{"type": "post", "text": "a fork", "root": "$s4", "branch": "$s4", "fork": "$root2"})
	c.add("missing", "bob", reply("after what nobody has", "%6CAxOI3f+LUOVrbAl0IemqiS7ATpQvr9Mdw9LC4+Uv0=.sha256", "%6CAxOI3f+LUOVrbAl0IemqiS7ATpQvr9Mdw9LC4+Uv0=.sha256"))
	c.add("deep", "bob", obj{"type": "odd", "nested": obj{"list": []any{obj{"to": "$root"}, "$@alice", 7, nil, true}}, "text": 7})
}

// channels adds posts with channels and hash tags in many spellings.
func (c *corpus) channels() {
	c.add("ch1", "alice", obj{"type": "post", "text": "in a channel", "channel": "ssb-dev"})
	c.add("ch2", "bob", obj{"type": "post", "text": "in capitals", "channel": "SSB-Dev"})
	c.add("ch3", "carol", obj{"type": "post", "text": "with a space", "channel": "ssb dev"})
	c.add("ch4", "alice", obj{"type": "post", "text": "tagged #ssb-dev", "mentions": []any{obj{"link": "#ssb-dev"}}})
	c.add("ch5", "bob", obj{"type": "post", "text": "tagged in capitals", "mentions": []any{obj{"link": "#SSB-Dev"}, obj{"link": "#Ümläut"}}})
	c.add("ch6", "carol", obj{"type": "post", "text": "both", "channel": "ssb-dev", "mentions": []any{obj{"link": "#ssb-dev"}, "#ssb-dev"}})
	c.add("ch7", "alice", obj{"type": "post", "text": "a long one", "mentions": []any{"#" + long('a', 28), "#" + long('b', 29), "#" + long('c', 30)}, "channel": long('d', 40)})
	c.add("ch8", "bob", obj{"type": "post", "text": "none", "channel": nil, "mentions": []any{"#", "##x", "#a b", "#a.b"}})
	c.add("ch9", "carol", obj{"type": "post", "text": "a number", "channel": 7})
	c.add("ch10", "alice", obj{"type": "channel", "channel": "ssb-dev", "subscribed": true})
	c.add("ch11", "bob", obj{"type": "post", "text": "nested", "deep": obj{"channel": "ssb-dev"}})
	c.add("ch12", "carol", obj{"type": "post", "text": "a list", "channel": []any{"ssb-dev", "list.channel"}})
	c.add("ch13", "alice", obj{"type": "post", "text": "with #", "channel": "#ssb-dev"})
	c.add("ch14", "bob", obj{"type": "post", "text": "empty", "channel": ""})
}

func long(r rune, n int) string { return string(bytes.Repeat([]byte(string(r)), n)) }

// image is a blob that nobody has.
const image = "&6CAxOI3f+LUOVrbAl0IemqiS7ATpQvr9Mdw9LC4+Uv0=.sha256"

// abouts adds names, pictures and a gathering.
func (c *corpus) abouts() {
	c.add("about1", "alice", obj{"type": "about", "about": "$@alice", "name": "Alice", "image": image, "description": "of the ferry"})
	c.add("about2", "bob", obj{"type": "about", "about": "$@bob", "name": "bob"})
	c.add("about3", "bob", obj{"type": "about", "about": "$@alice", "name": "the ferrywoman", "image": obj{"link": image, "size": 5}})
	c.add("about4", "carol", obj{"type": "about", "about": "$@alice", "name": "the ferrywoman"})
	c.add("about5", "me", obj{"type": "about", "about": "$@bob", "name": "my Bob"})
	c.add("about6", "carol", obj{"type": "about", "about": "$@carol", "name": "Carol"})
	c.add("about7", "carol", obj{"type": "about", "about": "$@carol", "name": "Carol the second"})
	c.add("contact1", "me", obj{"type": "contact", "contact": "$@alice", "following": true})
	c.add("contact2", "alice", obj{"type": "contact", "contact": "$@bob", "following": true})
	c.add("contact3", "me", obj{"type": "contact", "contact": "$@carol", "blocking": true})
	c.add("gathering", "alice", obj{"type": "gathering"})
	c.add("about8", "alice", obj{"type": "about", "about": "$gathering", "title": "On the pier", "startDateTime": obj{"epoch": 1}})
	c.add("about9", "bob", obj{"type": "about", "about": "$gathering", "attendee": obj{"link": "$@bob"}})
	c.add("about10", "bob", obj{"type": "about", "about": "$gathering", "attendee": obj{"link": "$@bob", "remove": true}, "title": "Under the pier"})
	c.add("about11", "carol", obj{"type": "about", "about": "$@bob", "name": "the boatman", "age": 7})
	c.add("about12", "carol", obj{"type": "about", "about": "$@bob", "name": 0})
	c.add("about13", "carol", obj{"type": "about", "about": "nobody", "name": "x"})
	c.add("mention", "alice", obj{"type": "post", "text": "thanks [@bobby](bob)", "mentions": []any{obj{"link": "$@bob", "name": "bobby"}, obj{"link": image, "name": "photo.jpg", "type": "image/jpeg"}}})
}

// texts adds posts to search for.
func (c *corpus) texts() {
	for i, text := range []string{
		"The quick brown fox jumps over the lazy dog",
		"the lazy fox sleeps",
		"Lazy, LAZY fox! (foxes are quick)",
		"Grüße aus Köln, naïve café",
		"日本語のテキスト と ферма",
		"an e-mail to foo_bar@example.com about C++ and node.js",
		`"quoted words" and it's NEAR the end AND not OR`,
		"numbers 12345 and 1.5 and v2",
		"🦊 emoji fox-trot",
		"under_score snake_case fox",
	} {
		c.add(fmt.Sprintf("text%d", i), []string{"alice", "bob", "carol"}[i%3], obj{"type": "post", "text": text})
	}
	c.add("text10", "alice", obj{"type": "blog", "title": "foxes of the north", "summary": "fox", "text": "a blog about wolves"})
	c.add("text11", "bob", obj{"type": "post", "text": "listed, foxglove"})
	c.add("text12", "bob", obj{"type": "post", "text": obj{"deep": "foxglove"}})
	c.add("text13", "carol", obj{"type": "post", "text": "see the fox", "root": "$text0", "branch": "$text0", "mentions": []any{obj{"link": "$text1"}}})
	c.add("text14", "alice", obj{"type": "post", "text": ""})
}

// boxes adds private messages: to us, from us, and between others.
func (c *corpus) boxes() {
	c.box("box1", "alice", obj{"type": "post", "text": "secret fox", "channel": "ssb-dev", "recps": []any{"$@me", "$@alice"}}, "me", "alice")
	c.box("box2", "bob", obj{"type": "post", "text": "another secret fox", "root": "$box1", "branch": "$box1", "mentions": []any{obj{"link": "$root"}, obj{"link": "$@carol"}}, "recps": []any{"$@me"}}, "me")
	c.box("box3", "bob", obj{"type": "post", "text": "a fox of others", "root": "$root", "branch": "$r5", "recps": []any{"$@alice"}}, "alice")
	c.box("box4", "me", obj{"type": "post", "text": "mine, a fox", "root": "$root", "branch": "$r4", "recps": []any{"$@bob", "$@me"}}, "bob", "me")
	c.box("box5", "carol", obj{"type": "about", "about": "$@alice", "name": "in private", "recps": []any{"$@me"}}, "me")
	c.add("last", "carol", obj{"type": "post", "text": "the last one"})
}
