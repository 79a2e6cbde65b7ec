package node_test

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/spec/envelope"
	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// group is what is told of a group.
type group struct{ ID, Root string }

func create(t testing.TB, s *muxrpc.Session) (g group) {
	t.Helper()
	unmarshal(t, call(t, s, "tribes2.create", raw("{}")), &g)
	return g
}

// say publishes a post for recipients.
func say(t testing.TB, s *muxrpc.Session, text string, recps ...string) {
	t.Helper()
	list, _ := json.Marshal(recps)
	call(t, s, "tribes2.publish", raw(`{"type":"post","text":"%s","recps":%s}`, text, list))
}

// posts returns the texts of the private posts that somebody reads, in the order
// in which they arrived.
func posts(t testing.TB, s *muxrpc.Session) string {
	t.Helper()
	var texts []string
	for _, item := range collect(t, s, -1, "messagesByType", `{"type":"post","private":true,"keys":false}`) {
		var value struct{ Content struct{ Text string } }
		unmarshal(t, item, &value)
		texts = append(texts, value.Content.Text)
	}
	return strings.Join(texts, " ")
}

// TestGroup makes a group, adds members, and talks: who is in reads everything,
// also what was written before; who is not reads nothing.
func TestGroup(t *testing.T) {
	a, b, c, d := start(t, `{}`), start(t, `{}`), start(t, `{}`), start(t, `{}`)
	as, bs, cs, ds := a.socket(t), b.socket(t), c.socket(t), d.socket(t)
	g := create(t, as)
	say(t, as, "one", g.ID)
	carry(t, as, bs)
	carry(t, as, ds)
	if got := posts(t, bs); got != "" {
		t.Fatalf("before it is added, b reads %q", got)
	}
	publish(t, as, fmt.Sprintf(`{"type":"post","text":"two","recps":["%s"]}`, g.ID))
	call(t, as, "tribes2.addMembers", g.ID, []string{b.id(t)}, raw(`{"text":"welcome"}`))
	say(t, as, "three", "ssb:identity/group/"+strings.NewReplacer("%", "", "+", "-", "/", "_", ".cloaked", "").Replace(g.ID))
	carry(t, as, bs)
	if got := posts(t, bs); got != "one two three" {
		t.Errorf("b reads %q", got)
	}
	say(t, bs, "four", g.ID)
	call(t, bs, "tribes2.addMembers", g.ID, []string{c.id(t)})

	// c gets the key before anything else of the group
	for _, item := range collect(t, bs, -1, "createUserStream", fmt.Sprintf(`{"id":"%s","keys":false}`, b.id(t))) {
		call(t, cs, "add", json.RawMessage(item))
	}
	if got := posts(t, cs); got != "four" {
		t.Errorf("c reads %q", got)
	}
	if _, err := cs.Async(context.Background(), "tribes2.get", g.ID); err == nil || !strings.Contains(err.Error(), "not here yet") {
		t.Errorf("c has the group without its beginning: %v", err)
	}
	carry(t, bs, cs)
	say(t, cs, "five", g.ID)
	carry(t, cs, as)
	carry(t, cs, bs)
	carry(t, cs, ds)
	for who, s := range map[string]*muxrpc.Session{"a": as, "b": bs} {
		if got := posts(t, s); got != "one two three four five" {
			t.Errorf("%s reads %q", who, got)
		}
		var members struct{ Added, ToExclude []string }
		unmarshal(t, collect(t, s, -1, "tribes2.listMembers", `"`+g.ID+`"`)[0], &members)
		if len(members.Added) != 3 || len(members.ToExclude) != 0 {
			t.Errorf("%s sees the members %v", who, members)
		}
		if list := collect(t, s, -1, "tribes2.list", `{}`); len(list) != 1 || list[0] != call(t, s, "tribes2.get", g.ID) {
			t.Errorf("%s is in %v", who, list)
		}
	}
	if got := posts(t, cs); got != "four one two three five" {
		t.Errorf("c reads %q", got)
	}
	if got := posts(t, ds); got != "" {
		t.Errorf("d, who is not in, reads %q", got)
	}
	checkTangle(t, as, g)
}

// checkTangle checks that the messages of a group are one chain from its first.
func checkTangle(t *testing.T, s *muxrpc.Session, g group) {
	t.Helper()
	known := map[string]bool{g.Root: true}
	count := 0
	for _, item := range collect(t, s, -1, "private.read", `{}`) {
		var msg struct {
			Key   string
			Value struct {
				Content struct {
					Type    string
					Recps   []string
					Tangles map[string]struct {
						Root     *string
						Previous []string
					}
				}
			}
		}
		unmarshal(t, item, &msg)
		content := msg.Value.Content
		if content.Type == "group/init" {
			continue
		}
		for name, tangle := range content.Tangles {
			if tangle.Root == nil || *tangle.Root != g.Root || len(tangle.Previous) != 1 || !known[tangle.Previous[0]] {
				t.Errorf("%s, tangle %s: %v", item, name, tangle)
			}
		}
		if wanted := 1 + strings.Count(content.Type, "member"); len(content.Tangles) != wanted || content.Recps[0] != g.ID {
			t.Errorf("%s: %d tangles", item, len(content.Tangles))
		}
		known[msg.Key] = true
		count++
	}
	if count != 8 {
		t.Errorf("%d messages in the group", count)
	}
}

// TestGroupBranches publishes at the same time on two machines: the next message
// joins the branches, in whatever order they arrived.
func TestGroupBranches(t *testing.T) {
	a, b := start(t, `{}`), start(t, `{}`)
	as, bs := a.socket(t), b.socket(t)
	g := create(t, as)
	call(t, as, "tribes2.addMembers", g.ID, []string{b.id(t)})
	carry(t, as, bs)
	say(t, as, "left", g.ID)
	say(t, bs, "right", g.ID)
	carry(t, as, bs)
	carry(t, bs, as)
	for _, s := range []*muxrpc.Session{as, bs} {
		say(t, s, "both", g.ID)
		read := collect(t, s, -1, "private.read", `{"reverse":true,"limit":1,"keys":false}`)
		var value struct {
			Content struct {
				Tangles struct{ Group struct{ Previous []string } }
			}
		}
		if unmarshal(t, read[0], &value); len(value.Content.Tangles.Group.Previous) != 2 {
			t.Errorf("not joined: %s", read[0])
		}
	}
}

// TestGroupFromFeed brings groups and direct messages back from the secret and
// the feed alone.
func TestGroupFromFeed(t *testing.T) {
	a, other := start(t, `{}`), stranger(t).Feed().String()
	as := a.socket(t)
	g := create(t, as)
	say(t, as, "one", g.ID)
	say(t, as, "direct", a.id(t), other)
	secret, err := os.ReadFile(filepath.Join(a.home, "secret"))
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "secret"), secret, 0o600); err != nil {
		t.Fatal(err)
	}
	again := startIn(t, home, `{}`).socket(t)
	carry(t, as, again)
	if got := posts(t, again); got != "one direct" {
		t.Errorf("restored, a reads %q", got)
	}
	if got := call(t, again, "tribes2.get", g.ID); got != call(t, as, "tribes2.get", g.ID) {
		t.Errorf("restored, the group is %s", got)
	}
}

// TestDirectMessages sends messages of the newer scheme to up to sixteen.
func TestDirectMessages(t *testing.T) {
	a, b, c := start(t, `{}`), start(t, `{}`), start(t, `{}`)
	as, bs, cs := a.socket(t), b.socket(t), c.socket(t)
	recps := []string{a.id(t)}
	for len(recps) < 15 {
		recps = append(recps, stranger(t).Feed().String())
	}
	recps = append(recps, b.id(t))
	say(t, as, "sixteen", recps...)
	say(t, as, "two", b.id(t), a.id(t))
	list, _ := json.Marshal(append(recps, a.id(t)))
	if _, err := as.Async(context.Background(), "tribes2.publish", raw(`{"type":"post","recps":%s}`, list)); err == nil {
		t.Error("published for seventeen")
	}
	carry(t, as, bs)
	carry(t, as, cs)
	for who, s := range map[string]*muxrpc.Session{"a": as, "b": bs} {
		if got := posts(t, s); got != "sixteen two" {
			t.Errorf("%s reads %q", who, got)
		}
	}
	if got := posts(t, cs); got != "" {
		t.Errorf("c reads %q", got)
	}
	var msg struct{ Key string }
	unmarshal(t, collect(t, as, -1, "createLogStream", `{"limit":1}`)[0], &msg)
	var value struct{ Unbox string }
	open := call(t, as, "get", raw(`{"id":"%s","private":true}`, msg.Key))
	unmarshal(t, open, &value)
	if got := call(t, cs, "get", raw(`{"id":"%s","private":true,"unbox":"%s"}`, msg.Key, value.Unbox)); got != open {
		t.Errorf("with the key c reads %s", got)
	}
}

// TestDirectOtherOrder reads what a program wrote that derives the key for direct
// messages as the specification says, where that is another key than the
// JavaScript programs derive.
func TestDirectOtherOrder(t *testing.T) {
	reader, writer := twoKeys(t)
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "secret"), reader.FormatSecret(), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startIn(t, home, `{}`).socket(t)
	list, err := envelope.Direct(writer, reader.Feed())
	if err != nil {
		t.Fatal(err)
	}
	head := message.Head{Feed: writer.Feed()}
	head = sendEnvelope(t, s, writer, head, `{"type":"post","text":"as npm"}`, list[0])
	sendEnvelope(t, s, writer, head, `{"type":"post","text":"as specified"}`, list[1])
	if got := posts(t, s); got != "as npm as specified" {
		t.Errorf("read %q", got)
	}
}

// twoKeys returns a pair of identities for whom the two ways give two keys, as
// for about one pair of fifteen; always the same.
func twoKeys(t *testing.T) (a, b *keys.Pair) {
	t.Helper()
	for seed := range byte(250) {
		a, b = keys.FromSeed([32]byte{seed, 'a'}), keys.FromSeed([32]byte{seed, 'b'})
		list, err := envelope.Direct(a, b.Feed())
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 2 {
			return a, b
		}
	}
	t.Fatal("no pair with two keys")
	return nil, nil
}

// TestPOBox writes to a P.O. box, of which only its owner has the secret.
func TestPOBox(t *testing.T) {
	r := start(t, `{}`)
	s := r.socket(t)
	box, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id := "ssb:identity/po-box/" + base64.URLEncoding.EncodeToString(box.PublicKey().Bytes())
	say(t, s, "to the box", id)
	if got := posts(t, s); got != "" {
		t.Errorf("the writer reads %q", got)
	}
	say(t, s, "to the box and me", id, r.id(t))
	if got := posts(t, s); got != "to the box and me" {
		t.Errorf("the writer reads %q", got)
	}
}

// TestGroupRestart goes on with a group, and reads what was read, after the
// program was started again.
func TestGroupRestart(t *testing.T) {
	home := t.TempDir()
	r := startIn(t, home, `{}`)
	s := r.socket(t)
	publish(t, s, `{"type":"post","text":"public"}`)
	g := create(t, s)
	say(t, s, "one", g.ID)
	if got := posts(t, s); got != "public one" {
		t.Errorf("before: %q", got)
	}
	publish(t, s, `{"type":"post","text":"again"}`)
	if got := posts(t, s); got != "public one again" {
		t.Errorf("before: %q", got)
	}
	r.stop()
	s = startIn(t, home, `{}`).socket(t)
	say(t, s, "two", g.ID)
	if got := posts(t, s); got != "public one again two" {
		t.Errorf("after: %q", got)
	}
}

// TestFalseGroup lets somebody claim that his key is that of another's group,
// before and after the real one is known.
func TestFalseGroup(t *testing.T) {
	mallory := stranger(t)
	a, b := start(t, `{}`), start(t, `{}`)
	as, bs := a.socket(t), b.socket(t)
	g := create(t, as)
	carry(t, as, bs)
	var head message.Head
	head.Feed = mallory.Feed()
	claim := func(n byte, tail string) {
		t.Helper()
		secret := [32]byte{n}
		content := fmt.Sprintf(`{"type":"group/add-member","version":"v1","groupKey":"%s","root":"%s","recps":["%s","%s"]%s}`,
			base64.StdEncoding.EncodeToString(secret[:]), g.Root, g.ID, b.id(t), tail)
		head = sendEnvelope(t, bs, mallory, head, content, envelope.Group(secret), directKey(t, mallory, b.id(t)))
	}
	claim(1, `,"tangles":{"group":{"root":null,"previous":["`+g.Root+`"]}}`)
	if _, err := bs.Async(context.Background(), "tribes2.publish", raw(`{"type":"post","recps":["%s"]}`, g.ID)); err == nil {
		t.Error("published with a false key")
	}
	call(t, as, "tribes2.addMembers", g.ID, []string{b.id(t)})
	carry(t, as, bs)
	claim(2, "")
	// one that does not close the first slot with the key it names
	head = sendEnvelope(t, bs, mallory, head, fmt.Sprintf(`{"type":"group/add-member","groupKey":"%s","root":"%s","recps":["%s","%s"]}`,
		base64.StdEncoding.EncodeToString(make([]byte, 32)), g.Root, g.ID, mallory.Feed()), directKey(t, mallory, b.id(t)))
	say(t, bs, "secret", g.ID)
	carry(t, bs, as)
	if got := posts(t, as); got != "secret" {
		t.Errorf("a reads %q", got)
	}
	for _, n := range []byte{1, 2} {
		items := collect(t, bs, -1, "createUserStream", fmt.Sprintf(`{"id":"%s","keys":false}`, b.id(t)))
		var value struct {
			Previous *refs.Message
			Author   refs.Feed
			Content  string
		}
		unmarshal(t, items[0], &value)
		if _, ok := envelope.At(value.Author, refs.Message{}).Find(value.Content, envelope.MaxSlots, envelope.Group([32]byte{n})); ok {
			t.Errorf("key %d opens what was written to the group", n)
		}
	}
	var members struct{ Added []string }
	unmarshal(t, collect(t, bs, -1, "tribes2.listMembers", `"`+g.ID+`"`)[0], &members)
	if len(members.Added) != 2 {
		t.Errorf("members are %v", members)
	}
}

// TestGroupFlood lets somebody add us to more groups than we remember, and write
// envelopes that nobody can open before that: reading goes on.
func TestGroupFlood(t *testing.T) {
	const closed, invites = 100, 300 // of one feed's 32 keys are kept
	mallory, b := stranger(t), start(t, `{}`)
	s := b.socket(t)
	to := directKey(t, mallory, b.id(t))
	key := func(n int) envelope.Key { return envelope.Group([32]byte{byte(n), byte(n >> 8), 1}) }
	head := message.Head{Feed: mallory.Feed()}
	var flood []*message.Message
	add := func(content string, slots ...envelope.Key) {
		m := sealed(t, mallory, head, content, slots...)
		head.Seq, head.ID = m.Seq(), m.ID()
		flood = append(flood, m)
	}
	for n := range closed {
		add(`{"type":"post","text":"nobody's"}`, envelope.Key{Secret: [32]byte{byte(n), 2}, Scheme: envelope.SchemeGroup})
	}
	for _, n := range []int{0, 31, 32} { // the last is not kept
		add(fmt.Sprintf(`{"type":"post","text":"early-%d"}`, n), key(n))
	}
	for n := range invites {
		secret := key(n).Secret
		add(fmt.Sprintf(`{"type":"group/add-member","version":"v1","groupKey":"%s","root":"%s","recps":["%s","%s"]}`,
			base64.StdEncoding.EncodeToString(secret[:]), refs.Message{1}, refs.Cloaked{byte(n), byte(n >> 8)}, b.id(t)), key(n), to)
	}
	importAll(t, s, flood)
	if got := posts(t, s); got != "early-0 early-31" {
		t.Errorf("read %q", got)
	}
	if got := collect(t, s, -1, "private.read", `{"values":false}`); len(got) != invites+2 {
		t.Errorf("%d messages are read, want %d", len(got), invites+2)
	}
	if got := collect(t, s, -1, "tribes2.list", `{}`); len(got) != 0 {
		t.Errorf("in groups without a first message: %q", got)
	}
	g := create(t, s)
	say(t, s, "ours", g.ID)
	friend := start(t, `{}`)
	other := create(t, friend.socket(t))
	call(t, friend.socket(t), "tribes2.addMembers", other.ID, []string{b.id(t)})
	say(t, friend.socket(t), "theirs", other.ID)
	carry(t, friend.socket(t), s)
	if got := posts(t, s); got != "early-0 early-31 ours theirs" {
		t.Errorf("after the flood: %q", got)
	}
	t.Logf("%d envelopes that stay closed, %d groups", closed, invites)
}

func directKey(t testing.TB, from *keys.Pair, to string) envelope.Key {
	t.Helper()
	feed, err := refs.ParseFeed(to)
	if err != nil {
		t.Fatal(err)
	}
	list, err := envelope.Direct(from, feed)
	if err != nil {
		t.Fatal(err)
	}
	return list[0]
}

// sendEnvelope gives somebody the next message of a feed.
func sendEnvelope(t testing.TB, to *muxrpc.Session, from *keys.Pair, head message.Head, content string, slots ...envelope.Key) message.Head {
	t.Helper()
	m := sealed(t, from, head, content, slots...)
	call(t, to, "add", json.RawMessage(m.Value()))
	head, err := head.Next(m)
	if err != nil {
		t.Fatal(err)
	}
	return head
}

// sealed makes the next message of a feed, in an envelope.
func sealed(t testing.TB, from *keys.Pair, head message.Head, content string, slots ...envelope.Key) *message.Message {
	t.Helper()
	box, _, err := envelope.At(from.Feed(), head.ID).Box(rand.Reader, []byte(content), slots)
	if err != nil {
		t.Fatal(err)
	}
	m, err := message.Create(from, head, []byte(`"`+box+`"`), 1e12+float64(head.Seq), nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestGroupErrors are wrong arguments.
func TestGroupErrors(t *testing.T) {
	s := start(t, `{}`).socket(t)
	g := create(t, s)
	many := make([]string, 16)
	for i := range many {
		many[i] = stranger(t).Feed().String()
	}
	for want, args := range map[string][]any{
		"tribes2.addMembers: no feeds are given":                                    {"tribes2.addMembers", g.ID},
		"tribes2.addMembers: 16 feeds are given, at most 15 can be added at once":   {"tribes2.addMembers", g.ID, many},
		"tribes2.addMembers: the group is missing":                                  {"tribes2.addMembers"},
		"tribes2.addMembers: the options are no object":                             {"tribes2.addMembers", g.ID, many[:1], "x"},
		"unknown group %AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=.cloaked":       {"tribes2.get", "ssb:identity/group/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="},
		`private message requested, but no boxers could encrypt these recps: ["x"]`: {"tribes2.publish", raw(`{"type":"post","recps":["%s","x"]}`, g.ID)},
		`private message requested, but no boxers could encrypt these recps: ["ssb:identity/fusion/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]`: {
			"tribes2.publish", raw(`{"type":"post","recps":["ssb:identity/fusion/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]}`)},
		"an envelope is for 1 to 16 recipients, not 17": {"tribes2.publish", raw(`{"type":"post","recps":["%s","%s"]}`, g.ID, strings.Join(many, `","`))},
	} {
		_, err := s.Async(context.Background(), args[0].(string), args[1:]...)
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v", args, err)
		}
	}
	for _, id := range []string{"", "%x", "ssb:identity/group/AAAA", "ssb:identity/group/" + strings.Repeat("A", 42) + "B="} {
		if _, err := s.Async(context.Background(), "tribes2.get", id); err == nil {
			t.Errorf("%q is a group", id)
		}
	}
}
