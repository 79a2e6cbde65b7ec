package node_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/privatebox"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// call calls an async method and returns the answer.
func call(t testing.TB, s *muxrpc.Session, method string, args ...any) string {
	t.Helper()
	answer, err := s.Async(context.Background(), method, args...)
	if err != nil {
		t.Fatalf("%s(%s): %v", method, args, err)
	}
	return string(answer)
}

// raw is an argument that is JSON already.
func raw(format string, args ...any) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(format, args...))
}

// carry gives everything that from has and to lacks to to.
func carry(t testing.TB, from, to *muxrpc.Session) {
	t.Helper()
	var have map[string]int64
	unmarshal(t, call(t, to, "getVectorClock"), &have)
	for _, item := range collect(t, from, -1, "createLogStream", `{"keys":false}`) {
		var msg struct {
			Author   string
			Sequence int64
		}
		if unmarshal(t, item, &msg); msg.Sequence > have[msg.Author] {
			call(t, to, "add", json.RawMessage(item))
		}
	}
}

func unmarshal(t testing.TB, text string, dst any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), dst); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// contents returns the contents of the messages of a stream.
func contents(t testing.TB, s *muxrpc.Session, method, options string) (all []string) {
	t.Helper()
	for _, item := range collect(t, s, -1, method, options) {
		var msg struct {
			Value struct{ Content json.RawMessage }
		}
		unmarshal(t, item, &msg)
		all = append(all, string(msg.Value.Content))
	}
	return all
}

// TestPrivateShapes compares what is read of a private message with what a real
// ssb-server was seen to answer.
func TestPrivateShapes(t *testing.T) {
	r := start(t, `{}`)
	s := r.socket(t)
	self := r.id(t)
	content := fmt.Sprintf(`{"type":"post","text":"marker <&>","about":"%s","recps":["%s"]}`, self, self)
	id := publish(t, s, strings.Replace(content, `["`+self+`"]`, `"`+self+`"`, 1)) // one recipient needs no list

	boxed := call(t, s, "get", id)
	var value struct{ Content, Signature, Unbox string }
	unmarshal(t, boxed, &value)
	if !strings.HasSuffix(value.Content, ".box") || strings.Contains(boxed, "marker") {
		t.Fatalf("published %s", boxed)
	}
	want, _, _ := strings.Cut(boxed, `"content":`)
	open := call(t, s, "get", raw(`{"id":"%s","private":true}`, id))
	unmarshal(t, open, &struct{ Unbox *string }{&value.Unbox})
	want += fmt.Sprintf(`"content":%s,"signature":"%s","meta":{"original":{"content":"%s"},"private":true,"unbox":"%s"},"cyphertext":"%s","private":true,"unbox":"%s"}`,
		content, value.Signature, value.Content, value.Unbox, value.Content, value.Unbox)
	if open != want {
		t.Errorf("read %s\nwant %s", open, want)
	}
	for name, got := range map[string]string{
		"by key":                       call(t, s, "get", raw(`{"id":"%s","private":true,"unbox":"%s"}`, id, value.Unbox)),
		"by link":                      call(t, s, "get", id+"?unbox="+value.Unbox),
		"by key that says what it is":  call(t, s, "get", raw(`{"id":"%s","private":true,"unbox":"%s.boxs"}`, id, value.Unbox)),
		"by link that says what it is": call(t, s, "get", id+"?unbox="+value.Unbox+".boxs"),
	} {
		if got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
	for name, got := range map[string]string{
		"by another key":  call(t, s, "get", raw(`{"id":"%s","private":true,"unbox":"AAAA"}`, id)),
		"private as text": call(t, s, "get", raw(`{"id":"%s","private":"yes"}`, id)),
	} {
		if got != boxed {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := call(t, s, "private.unbox", value.Content); got != content {
		t.Errorf("unboxed: %s", got)
	}
	if got := call(t, s, "private.unbox", raw(`{"key":"%s","value":%s}`, id, boxed)); !strings.Contains(got, content+`,"private":true}`) || strings.Contains(got, "signature") {
		t.Errorf("unboxed: %s", got)
	}
	checkStreams(t, s, id, self, boxed, want)
}

// checkStreams reads a message through every stream, with and without private.
func checkStreams(t *testing.T, s *muxrpc.Session, id, feed, boxed, open string) {
	t.Helper()
	for _, c := range []struct{ method, options, private string }{
		{"createLogStream", ``, open},
		{"createFeedStream", ``, open},
		{"createUserStream", `"id":"` + feed + `",`, open},
		{"messagesByType", `"type":"post",`, open},
		{"links", `"dest":"` + feed + `","rel":"about","values":true,"meta":false,`, boxed}, // as in ssb-db
		{"createHistoryStream", `"id":"` + feed + `",`, boxed},
		{"private.read", ``, open},
	} {
		withKeys := collect(t, s, -1, c.method, fmt.Sprintf(`{%s"private":true}`, c.options))
		if len(withKeys) != 1 || !strings.Contains(withKeys[0], `"value":`+c.private) || !strings.Contains(withKeys[0], `"key":"`+id+`"`) {
			t.Errorf("%s: %s", c.method, withKeys)
		}
		bare := collect(t, s, -1, c.method, fmt.Sprintf(`{%s"private":true,"keys":false}`, c.options))
		if len(bare) != 1 || bare[0] != c.private {
			t.Errorf("%s, values alone: %s", c.method, bare)
		}
		public := collect(t, s, -1, c.method, fmt.Sprintf(`{%s"keys":false}`, c.options))
		if c.method != "private.read" && (len(public) != 1 || public[0] != boxed) {
			t.Errorf("%s, not private: %s", c.method, public)
		}
	}
	if got := collect(t, s, -1, "createRawLogStream", `{"private":true}`); len(got) != 1 || !strings.Contains(got[0], boxed) {
		t.Errorf("createRawLogStream: %s", got)
	}
}

// TestPrivateLive follows streams while private messages arrive.
func TestPrivateLive(t *testing.T) {
	r := start(t, `{}`)
	s := r.socket(t)
	publish(t, s, `{"type":"post","text":"public"}`)
	streams := []string{"createLogStream", "private.read", "messagesByType", "createFeedStream", "createUserStream"}
	seen := make(chan string)
	for _, method := range streams {
		options := fmt.Sprintf(`{"live":true,"old":false,"private":true,"sync":false,"type":"secret","id":"%s"}`, r.id(t))
		go func() { seen <- collect(t, r.socket(t), 1, method, options)[0] }()
	}
	stop := make(chan struct{})
	published := make(chan struct{})
	go func() { // until all have begun
		defer close(published)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				publish(t, s, fmt.Sprintf(`{"type":"secret","n":%d,"recps":["%s"]}`, i, r.id(t)))
			}
		}
	}()
	for range streams {
		if got := <-seen; !strings.Contains(got, `"content":{"type":"secret"`) {
			t.Errorf("live: %s", got)
		}
	}
	close(stop)
	<-published
}

// TestPrivateWhileAsked asks for the posts all the time while private ones come
// in: an index never passes one by that it reads the moment it is committed.
func TestPrivateWhileAsked(t *testing.T) {
	const messages = 150
	r := start(t, `{}`)
	writer, reader := r.socket(t), r.socket(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range messages {
			content := raw(`{"type":"post","text":"%d","recps":["%s"]}`, i, r.id(t))
			if _, err := writer.Async(context.Background(), "private.publish", content, []string{r.id(t)}); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for asked := true; asked; {
		select {
		case <-done:
			asked = false
		default:
		}
		posts(t, reader)
	}
	if got := len(strings.Fields(posts(t, reader))); got != messages {
		t.Errorf("%d of %d private posts are listed", got, messages)
	}
}

// TestPrivateRecipients publishes for one to seven recipients: each of them
// reads it, nobody else does.
func TestPrivateRecipients(t *testing.T) {
	writer, reader, other := start(t, `{}`), start(t, `{}`), start(t, `{}`)
	w := writer.socket(t)
	recps := []string{reader.id(t)}
	for n := 1; n <= privatebox.MaxRecipients; n++ {
		list, _ := json.Marshal(recps)
		publish(t, w, fmt.Sprintf(`{"type":"post","n":%d,"recps":%s}`, n, list))
		call(t, w, "private.publish", raw(`{"type":"post","m":%d}`, n), raw("%s", list))
		recps = append(recps, stranger(t).Feed().String())
	}
	list, _ := json.Marshal(recps)
	for want, args := range map[string][]any{
		"max recipients is:7 found:8":                                               {"publish", raw(`{"type":"post","recps":%s}`, list)},
		"failed to encrypt: max recipients is:7 found:8":                            {"private.publish", raw(`{"type":"post"}`), raw("%s", list)},
		"failed to encrypt: these are no feeds":                                     {"private.publish", raw(`{"type":"post"}`), []string{"@x"}},
		"failed to encrypt: a private message needs at least one recipient":         {"private.publish", raw(`{"type":"post"}`), []string{}},
		"private.publish: the content is no object":                                 {"private.publish", "text", []string{}},
		"private.publish: the recipients are no list of feeds":                      {"private.publish", raw(`{"type":"post"}`)},
		`private message field "recps" requires at least one recipient`:             {"publish", raw(`{"type":"post","recps":[]}`)},
		`private message field "recps" expects an Array of recipients`:              {"publish", raw(`{"type":"post","recps":{"a":1}}`)},
		`private message requested, but no boxers could encrypt these recps: [7]`:   {"publish", raw(`{"type":"post","recps":[7]}`)},
		`type must be a string3 <= type.length < 52, was:undefined`:                 {"publish", raw(`{"recps":%s}`, list)},
		`unknown group %AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=.cloaked`:       {"publish", raw(`{"type":"post","recps":["%%AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=.cloaked"]}`)},
		`invalid message content, must be object or encrypted string`:               {"publish", "just text"},
		`private message requested, but no boxers could encrypt these recps: ["x"]`: {"tribes2.publish", raw(`{"type":"post","recps":["x"]}`)},
		`tribes2.publish: the content has no recps`:                                 {"tribes2.publish", raw(`{"type":"post"}`)},
	} {
		if _, err := w.Async(context.Background(), args[0].(string), args[1:]...); err == nil || err.Error() != want {
			t.Errorf("%s: %v", args, err)
		}
	}
	carry(t, w, reader.socket(t))
	carry(t, w, other.socket(t))
	if got := contents(t, reader.socket(t), "private.read", `{}`); len(got) != 2*privatebox.MaxRecipients || !strings.Contains(got[13], `"m":7`) {
		t.Errorf("the recipient reads %q", got)
	}
	for name, s := range map[string]*muxrpc.Session{"somebody else": other.socket(t), "the writer": w} { // who is no recipient
		if got := contents(t, s, "private.read", `{}`); len(got) != 0 {
			t.Errorf("%s reads %q", name, got)
		}
		for _, content := range contents(t, s, "createLogStream", `{"private":true}`) {
			if content[0] != '"' {
				t.Errorf("%s reads %s", name, content)
			}
		}
	}
}

// TestPrivateLeaks looks for the text of a private message that was read where
// it must not be: on other people's connections, in the log, in the home folder.
func TestPrivateLeaks(t *testing.T) {
	const marker = "marker9Xq"
	r := start(t, `{}`)
	s := r.socket(t)
	publish(t, s, fmt.Sprintf(`{"type":"post","text":"%s","recps":["%s"]}`, marker, r.id(t)))
	call(t, s, "tribes2.publish", raw(`{"type":"post","text":"%s","recps":["%s"]}`, marker, r.id(t)))
	for _, method := range []string{"private.read", "createFeedStream", "messagesByType"} {
		if got := collect(t, s, -1, method, `{"type":"post","private":true}`); len(got) != 2 || !strings.Contains(got[1], marker) {
			t.Fatalf("%s: %q", method, got)
		}
	}
	them := r.dial(t, stranger(t))
	for _, options := range []string{`"private":true`, `"private":true,"keys":false`, `"live":false`} {
		got := collect(t, them, -1, "createHistoryStream", fmt.Sprintf(`{"id":"%s",%s}`, r.id(t), options))
		if len(got) != 2 || strings.Contains(strings.Join(got, ""), marker) || strings.Contains(strings.Join(got, ""), "unbox") {
			t.Errorf("a stranger reads %q", got)
		}
	}
	r.stop()
	files := 0
	err := filepath.WalkDir(r.home, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		files++
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte(marker)) {
			t.Errorf("%s has the text in clear", path)
		}
		return err
	})
	if err != nil || files < 2 {
		t.Errorf("%d files searched, %v", files, err)
	}
	if strings.Contains(r.log.String(), marker) {
		t.Errorf("the log has the text in clear")
	}
}

// TestPrivateNonsense is for us, but holds no JSON object.
func TestPrivateNonsense(t *testing.T) {
	r := start(t, `{}`)
	s := r.socket(t)
	self, err := refs.ParseFeed(r.id(t))
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{"", "{", "no JSON", `"text"`, "[1,2]", "42", "null", `{"type":"post"} `, `{"type":1}`, strings.Repeat("[", 3000)}
	for _, text := range texts {
		box, err := privatebox.Box(rand.Reader, []byte(text), []refs.Feed{self})
		if err != nil {
			t.Fatal(err)
		}
		publish(t, s, `"`+box+`"`)
	}
	for _, content := range []string{`"YWJj.box"`, `"YWJj.box2"`, `"` + strings.Repeat("AAAA", 100) + `.box"`, `"` + strings.Repeat("AAAA", 100) + `.box2"`} {
		publish(t, s, content)
	}
	if got := contents(t, s, "private.read", `{}`); !slices.Equal(got, []string{`{"type":"post"}`, `{"type":1}`}) {
		t.Errorf("read %q", got)
	}
	boxed := 0
	for _, content := range contents(t, s, "createLogStream", `{"private":true}`) {
		if content[0] == '"' {
			boxed++
		}
	}
	if want := len(texts) + 4 - 2; boxed != want {
		t.Errorf("%d of the contents stay boxed, want %d", boxed, want)
	}
	if got := collect(t, s, -1, "messagesByType", `{"type":"post"}`); len(got) != 1 {
		t.Errorf("by type: %q", got)
	}
	for _, arg := range []any{nil, 7, "x", "YWJj.box", raw("{}"), raw(`{"value":7}`), raw(`{"value":{"content":"YWJj.box"}}`), raw(`{"value":{"content":7}}`)} {
		if got := call(t, s, "private.unbox", arg); got != "false" && got != "null" && got != "" {
			t.Errorf("private.unbox(%v): %s", arg, got)
		}
	}
	t.Logf("%d texts that are no object, %d contents that are no box", len(texts)-2, 4)
}

// TestPrivateOtherIdentity gives a store to another identity: nothing that was
// read before is, in no index.
func TestPrivateOtherIdentity(t *testing.T) {
	home := t.TempDir()
	r := startIn(t, home, `{}`)
	s := r.socket(t)
	publish(t, s, fmt.Sprintf(`{"type":"post","recps":["%s"]}`, r.id(t)))
	call(t, s, "tribes2.create")
	publish(t, s, fmt.Sprintf(`{"type":"letter","root":"%s","see":"%s","recps":["%s"]}`, aMessage, noBlob, r.id(t)))
	if got := collect(t, s, -1, "private.read", `{}`); len(got) != 4 {
		t.Fatalf("read %q", got)
	}
	finds(t, r, 1, 1, 1)
	r.stop()
	secret := filepath.Join(home, "secret")
	own, err := os.ReadFile(secret)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(secret, keys.FromSeed([32]byte{1}).FormatSecret(), 0o600); err != nil {
		t.Fatal(err)
	}
	r = startIn(t, home, `{}`)
	finds(t, r, 0, 0, 0)
	if got := collect(t, r.socket(t), -1, "private.read", `{}`); len(got) != 0 {
		t.Errorf("another identity reads %q", got)
	}
	if got := collect(t, r.socket(t), -1, "tribes2.list", `{}`); len(got) != 0 {
		t.Errorf("another identity is in groups %q", got)
	}
	r.stop()

	// Who gets the own secret back only after a program has read the store with
	// another one lacks nothing.
	if err := os.WriteFile(secret, own, 0o600); err != nil {
		t.Fatal(err)
	}
	r = startIn(t, home, `{}`)
	finds(t, r, 1, 1, 1)
}

// aMessage is the id of some message.
const aMessage = "%AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=.sha256"

// finds waits until there are so many messages of the type letter, so many that
// lead to aMessage, and so many blobs wanted.
func finds(t testing.TB, r *running, letters, links, blobs int) {
	t.Helper()
	s := r.socket(t)
	until(t, fmt.Sprintf("%d letters, %d links, %d blobs", letters, links, blobs), func() bool {
		return len(collect(t, s, -1, "messagesByType", `{"type":"letter"}`)) == letters &&
			len(collect(t, s, -1, "links", `{"dest":"`+aMessage+`"}`)) == links &&
			len(collect(t, s, -1, "blobs.wants", `{}`)) == blobs
	})
}
