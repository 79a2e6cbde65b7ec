package node_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
)

// publish publishes content and returns the id of the message.
func publish(t testing.TB, s *muxrpc.Session, content string) string {
	t.Helper()
	answer, err := s.Async(context.Background(), "publish", json.RawMessage(content))
	if err != nil {
		t.Fatalf("publishing %s: %v", content, err)
	}
	var msg struct{ Key string }
	if err := json.Unmarshal(answer, &msg); err != nil {
		t.Fatal(err)
	}
	return msg.Key
}

// collect reads a stream to its end, or the given number of items.
func collect(t testing.TB, s *muxrpc.Session, take int, method, options string) (items []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	stream, err := s.Source(ctx, method, json.RawMessage(options))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close(nil)
	for take < 0 || len(items) < take {
		item, err := stream.Recv(ctx)
		if err != nil {
			if take >= 0 || err.Error() != "EOF" {
				t.Fatalf("%s(%s) after %d items: %v", method, options, len(items), err)
			}
			break
		}
		items = append(items, string(item.JSON()))
	}
	return items
}

// TestIndexes reads by type, by link and by time, forwards and backwards, while
// messages are added, so that the indexes catch up again and again.
func TestIndexes(t *testing.T) {
	r := start(t, `{}`)
	s := r.socket(t)
	target := stranger(t).Feed().String()
	var ids []string // of the messages that link
	for i := range 30 {
		if i%3 == 0 {
			ids = append(ids, publish(t, s, fmt.Sprintf(`{"type":"link","n":%d,"to":"%s","many":["%s",{"link":"%s"},7]}`, i, target, target, target)))
		} else {
			publish(t, s, fmt.Sprintf(`{"type":"post","n":%d}`, i))
		}
		if i%10 != 9 {
			continue
		}
		keys := collect(t, s, -1, "messagesByType", `{"type":"link","values":false}`)
		if want := quoted(ids); !slices.Equal(keys, want) {
			t.Fatalf("by type: %q, want %q", keys, want)
		}
		back := collect(t, s, -1, "messagesByType", `{"type":"link","values":false,"reverse":true,"limit":3}`)
		if slices.Reverse(back); !slices.Equal(back, quoted(ids[len(ids)-3:])) {
			t.Fatalf("by type, backwards: %q", back)
		}
		links := collect(t, s, -1, "links", fmt.Sprintf(`{"dest":"%s","rel":"to","meta":false}`, target))
		if !slices.Equal(links, quoted(ids)) {
			t.Fatalf("by link: %q", links)
		}
		both := collect(t, s, -1, "links", fmt.Sprintf(`{"dest":"%s","source":"%s"}`, target, r.id(t)))
		if len(both) != 2*len(ids) {
			t.Fatalf("%d links from us, want %d", len(both), 2*len(ids))
		}
		feed := collect(t, s, -1, "createFeedStream", `{"values":false}`)
		log := collect(t, s, -1, "createLogStream", `{"values":false}`)
		reverse := collect(t, s, -1, "createFeedStream", `{"values":false,"reverse":true}`)
		if slices.Reverse(reverse); len(feed) != i+1 || !slices.Equal(feed, log) || !slices.Equal(feed, reverse) {
			t.Fatalf("by time: %d messages forwards, %d backwards, of %d", len(feed), len(reverse), i+1)
		}
	}
}

func quoted(ids []string) (all []string) {
	for _, id := range ids {
		all = append(all, `"`+id+`"`)
	}
	return all
}

// TestLive follows streams of every kind while a message is published.
func TestLive(t *testing.T) {
	r := start(t, `{}`)
	s := r.socket(t)
	publish(t, s, `{"type":"post","text":"old"}`)
	about := stranger(t).Feed().String()
	streams := []struct{ method, options string }{
		{"createLogStream", `{"live":true}`},
		{"createFeedStream", `{"live":true}`},
		{"createUserStream", fmt.Sprintf(`{"live":true,"id":"%s"}`, r.id(t))},
		{"messagesByType", `{"live":true,"type":"post"}`},
	}
	type seen struct {
		name  string
		items []string
	}
	all := make(chan seen)
	for _, st := range streams {
		go func() { all <- seen{st.method, collect(t, r.socket(t), 3, st.method, st.options)} }()
	}
	go func() {
		all <- seen{"links", collect(t, r.socket(t), 1, "links", fmt.Sprintf(`{"old":false,"dest":"%s"}`, about))}
	}()
	time.Sleep(200 * time.Millisecond) // the streams may as well begin later
	publish(t, s, fmt.Sprintf(`{"type":"post","text":"new","about":"%s"}`, about))
	for range len(streams) + 1 {
		got := <-all
		if got.name == "links" {
			if !strings.Contains(got.items[0], `"rel":"about"`) {
				t.Errorf("links: %q", got.items)
			}
			continue
		}
		if !strings.Contains(got.items[0], "old") || !strings.Contains(got.items[2], "new") || got.items[1] != `{"sync":true}` {
			t.Errorf("%s: %q", got.name, got.items)
		}
	}
}

// TestLiveLimits: what a live stream sends of what is there has a limit, bounds
// and a direction. What arrives only has bounds, which do not end it.
func TestLiveLimits(t *testing.T) {
	r := start(t, `{}`)
	s := r.socket(t)
	names := map[string]string{}
	about := stranger(t).Feed().String()
	write := func(name string) {
		key := publish(t, s, fmt.Sprintf(`{"type":"post","text":"%s","about":"%s"}`, name, about))
		names[key] = name
	}
	for i := range 3 {
		write(fmt.Sprintf("o%d", i))
	}
	soon := time.Now().Add(time.Hour).UnixMilli()
	var checks []func()
	for _, test := range []struct{ method, options, want string }{
		{"createLogStream", `{"live":true,"reverse":true,"limit":2}`, "o2 o1 sync n0 n1"},
		{"createLogStream", `{"live":true,"limit":2}`, "o0 o1 sync n0 n1"},
		{"createLogStream", `{"live":true,"limit":0}`, "sync n0 n1"},
		{"createLogStream", `{"live":true,"old":false,"limit":1,"reverse":true}`, "n0 n1"},
		{"createLogStream", `{"live":true,"gt":7,"lt":SOON}`, "o0 o1 o2 sync n0 n1"},
		{"createLogStream", `{"live":true,"lt":7}`, "sync"},
		{"createLogStream", `{"live":true,"gt":SOON}`, "sync"},
		{"createLogStream", `{"live":true,"raw":true,"limit":4}`, "o0 o1 o2 n0 EOF"},
		{"createUserStream", `{"id":"ID","live":true,"reverse":true,"limit":1}`, "o2 sync n0 n1"},
		{"createUserStream", `{"id":"ID","live":true,"limit":1}`, "o0 sync n0 n1"},
		{"createUserStream", `{"id":"ID","live":true,"limit":0}`, "sync n0 n1"},
		{"createUserStream", `{"id":"ID","live":true,"lte":2}`, "o0 o1 sync"},
		{"createUserStream", `{"id":"ID","live":true,"lte":4}`, "o0 o1 o2 sync n0"},
		{"createUserStream", `{"id":"ID","live":true,"gt":4}`, "sync n1"},
		{"createFeedStream", `{"live":true,"limit":1}`, "o0 sync n0 n1"},
		{"createFeedStream", `{"live":true,"reverse":true,"limit":1}`, "o2 sync n0 n1"},
		{"createFeedStream", `{"live":true,"lt":7}`, "sync"},
		{"messagesByType", `{"type":"post","live":true,"reverse":true,"limit":1}`, "o2 sync n0 n1"},
		{"messagesByType", `{"type":"post","live":true,"limit":1}`, "o0 sync n0 n1"},
		{"messagesByType", `{"type":"post","live":true,"gte":7,"lte":SOON}`, "o0 o1 o2 sync n0 n1"},
		{"messagesByType", `{"type":"post","live":true,"gt":SOON}`, "sync"},
		{"links", `{"dest":"ABOUT","live":true,"reverse":true,"limit":1}`, "o2 sync n0 n1"},
		{"private.read", `{"live":true,"lt":7}`, "sync"},
	} {
		options := strings.NewReplacer("SOON", fmt.Sprint(soon), "ID", r.id(t), "ABOUT", about).Replace(test.options)
		ctx, cancel := context.WithCancel(context.Background())
		stream, err := r.socket(t).Source(ctx, test.method, json.RawMessage(options))
		if err != nil {
			t.Fatal(err)
		}
		items := make(chan string, 100)
		go receive(ctx, stream, items)
		var got []string
		await := func(want string) {
			for deadline := time.After(time.Minute); len(got) < len(strings.Fields(want)); {
				select {
				case item, ok := <-items:
					if !ok {
						return
					}
					got = append(got, nameOf(item, names))
				case <-deadline:
					return
				}
			}
		}
		if before, _, ok := strings.Cut(test.want, "sync"); ok {
			await(before + "sync")
		}
		checks = append(checks, func() {
			await(test.want)
			time.Sleep(20 * time.Millisecond) // or it sends more than that
			cancel()
			for item := range items {
				got = append(got, nameOf(item, names))
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("%s(%s): %s, want %s", test.method, test.options, got, test.want)
			}
		})
	}
	time.Sleep(200 * time.Millisecond) // those that send nothing at first have begun
	write("n0")
	write("n1")
	for _, check := range checks {
		check()
	}
}

// receive receives until ctx ends, or the stream does, which is the item "EOF".
func receive(ctx context.Context, stream *muxrpc.Stream, items chan<- string) {
	defer close(items)
	defer stream.Close(nil)
	for {
		item, err := stream.Recv(ctx)
		if err != nil {
			if ctx.Err() == nil {
				items <- err.Error()
			}
			return
		}
		items <- string(item.JSON())
	}
}

// nameOf returns the name of the message that an item is about, "sync" for the
// mark, and anything else as it is.
func nameOf(item string, names map[string]string) string {
	for key, name := range names {
		if strings.Contains(item, `"key":"`+key+`"`) {
			return name
		}
	}
	if item == `{"sync":true}` {
		return "sync"
	}
	return item
}

// TestErrors are the words for what is wrong with arguments that ssb-server was
// seen to use.
func TestErrors(t *testing.T) {
	s := start(t, `{}`).socket(t)
	async := map[string][2]string{
		`{"text":"no type"}`:             {"publish", "type must be a string3 <= type.length < 52, was:undefined"},
		`"plain"`:                        {"publish", "invalid message content, must be object or encrypted string"},
		`{"type":"post","recps":["@x"]}`: {"publish", `private message requested, but no boxers could encrypt these recps: ["@x"]`},
		`"%aaaa=.sha256"`:                {"get", "Param 0 must by of type object"},
		`{"previous":null}`:              {"add", `Param 0 must have a .content of type "object|string"`},
		`"nonsense"`:                     {"invite.accept", "ssb-invite failed to parse invite"},
		`"nobody"`:                       {"getLatest", "Param 0 must by of type feedId"},
		`{"max":"far"}`:                  {"friends.hops", `friends.hops: options: "max" cannot be a string`},
	}
	for arg, want := range async {
		if _, err := s.Async(context.Background(), want[0], json.RawMessage(arg)); err == nil || err.Error() != want[1] {
			t.Errorf("%s(%s): %v, want %s", want[0], arg, err, want[1])
		}
	}
	sources := map[string][2]string{
		`{"limit":1}`:       {"createUserStream", `Param 0 must have a .id of type "feedId"`},
		`{"limit":"x"}`:     {"createLogStream", `.0 of param limit must be of type "number"`},
		`{"dest":"x"}`:      {"links", `.0 of param dest must be of type "id|filter"`},
		`{"keys":true}`:     {"messagesByType", `Param 0 must have a .type of type "string"`},
		`null`:              {"links", "Param 0 is required"},
		`{"id":"nobody"}`:   {"createHistoryStream", `Param 0 must have a .id of type "feedId"`},
		`{"live":"always"}`: {"createFeedStream", `.0 of param live must be of type "boolean"`},
		`{"gt":"x"}`:        {"createLogStream", `reading the options: "gt" cannot be a string`},
		`{"id":7}`:          {"createUserStream", `Param 0 must have a .id of type "feedId"`},
		`{"type":7}`:        {"messagesByType", `Param 0 must have a .type of type "string"`},
		`7`:                 {"createHistoryStream", `Param 0 must have a .id of type "feedId"`},
	}
	for arg, want := range sources {
		stream, err := s.Source(context.Background(), want[0], json.RawMessage(arg))
		if err == nil {
			_, err = stream.Recv(context.Background())
		}
		if err == nil || err.Error() != want[1] {
			t.Errorf("%s(%s): %v, want %s", want[0], arg, err, want[1])
		}
	}
	t.Logf("%d errors", len(async)+len(sources))
}

// TestOddArguments are arguments that make no sense and to which ssb-server
// gives an answer all the same.
func TestOddArguments(t *testing.T) {
	r := start(t, `{}`)
	s := r.socket(t)
	them := stranger(t).Feed().String()
	publish(t, s, fmt.Sprintf(`{"type":"contact","contact":"%s","following":true}`, them))
	hops := fmt.Sprintf(`{"%s":0,"%s":1}`, r.id(t), them)
	for _, test := range []struct{ method, argument, want string }{
		{"friends.isFollowing", `{"source":"ID","dest":"THEM"}`, "true"},
		{"friends.isFollowing", `{"source":"x","dest":"THEM"}`, "false"},
		{"friends.isFollowing", `{"source":"ID","dest":7}`, "false"},
		{"friends.isFollowing", `{}`, "false"},
		{"friends.isBlocking", `{"source":"x","dest":"THEM"}`, "false"},
		{"friends.isBlocking", `"x"`, "false"},
		{"friends.get", `{"source":"ID","dest":"THEM"}`, "true"},
		{"friends.get", `{"source":"ID","dest":"x"}`, "null"},
		{"friends.get", `{"source":"ID"}`, `{"THEM":true}`},
		{"friends.get", `{"dest":"THEM"}`, `{"ID":true}`},
		{"friends.get", `{"source":"x"}`, "{}"},
		{"friends.get", `{"source":"x","dest":"THEM"}`, "{}"},
		{"friends.get", `{"source":7}`, "{}"},
		{"friends.get", `{"dest":"x"}`, "{}"},
		{"friends.get", `0`, `{"ID":{"THEM":true}}`},
		{"friends.hops", `0`, hops},
		{"friends.hops", `"x"`, hops},
		{"replicate.block", `""`, "false"},
	} {
		fill := strings.NewReplacer("ID", r.id(t), "THEM", them)
		answer, err := s.Async(context.Background(), test.method, json.RawMessage(fill.Replace(test.argument)))
		if err != nil || !sameJSON(t, string(answer), fill.Replace(test.want)) {
			t.Errorf("%s(%s): %s, %v, want %s", test.method, test.argument, answer, err, test.want)
		}
	}
	if got := collect(t, s, -1, "createLogStream", `{"id":7,"type":{},"limit":5}`); len(got) != 1 {
		t.Errorf("createLogStream: %q", got)
	}
}

func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	var x, y any
	if err := errors.Join(json.Unmarshal([]byte(a), &x), json.Unmarshal([]byte(b), &y)); err != nil {
		t.Fatal(err)
	}
	return reflect.DeepEqual(x, y)
}

// TestGossipChanges watches an address that is added, fails and is removed.
func TestGossipChanges(t *testing.T) {
	r := start(t, `{}`)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	stream, err := r.socket(t).Source(ctx, "gossip.changes")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close(nil)
	time.Sleep(100 * time.Millisecond) // it has begun
	key := stranger(t).Feed().String()
	address := "net:127.0.0.1:1~shs:" + strings.TrimSuffix(key[1:], ".ed25519")
	s := r.socket(t)
	if _, err := s.Async(ctx, "gossip.add", address, "manual"); err != nil {
		t.Fatal(err)
	}
	peer := fmt.Sprintf(`{"address":"%s","key":"%s","source":"manual","announcers":1,"duration":null}`, address, key)
	item, err := stream.Recv(ctx)
	if want := `{"type":"discover","peer":` + peer + `,"source":"manual"}`; err != nil || !sameJSON(t, string(item.Body), want) {
		t.Errorf("%s, %v, want %s", item.Body, err, want)
	}
	for !strings.Contains(string(item.Body), "connect-failure") {
		if item, err = stream.Recv(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if body := string(item.Body); strings.Contains(body, "client") || !strings.Contains(body, `"source":"manual"`) || !strings.Contains(body, "stateChange") {
		t.Errorf("%s", body)
	}
	if _, err := s.Async(ctx, "gossip.remove", address); err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(string(item.Body), `"type":"remove"`) {
		if item, err = stream.Recv(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Contains(string(item.Body), "client") {
		t.Errorf("%s", item.Body)
	}
}

// TestSameTime: messages of one time come by author from createFeedStream, and as
// they arrived from the query of all times, which has another index in
// ssb-server.
func TestSameTime(t *testing.T) {
	s := start(t, `{}`).socket(t)
	var arrived []string
	authors := map[string]string{}
	for range 8 {
		author := stranger(t)
		m, err := message.Create(author, message.Head{Feed: author.Feed()}, []byte(`{"type":"post","text":"at once"}`), 1e12, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Async(context.Background(), "add", json.RawMessage(m.Value())); err != nil {
			t.Fatal(err)
		}
		id := `"` + m.ID().String() + `"`
		authors[id] = author.Feed().String()
		arrived = append(arrived, id)
	}
	sorted := slices.SortedFunc(maps.Keys(authors), func(a, b string) int { return strings.Compare(authors[a], authors[b]) })
	for _, reverse := range []string{"false", "true"} {
		options := `"reverse":` + reverse + `}`
		if got := collect(t, s, -1, "createFeedStream", `{"values":false,`+options); !slices.Equal(got, sorted) {
			t.Errorf("by author, %s: %q, want %q", options, got, sorted)
		}
		if got := collect(t, s, -1, "query.read", `{"query":[{"$filter":{"rts":{"$gt":0}}},{"$map":"key"}],`+options); !slices.Equal(got, arrived) {
			t.Errorf("by arrival, %s: %q, want %q", options, got, arrived)
		}
		slices.Reverse(sorted)
		slices.Reverse(arrived)
	}
	bounds := collect(t, s, -1, "createFeedStream", `{"gt":1e12,"lt":1000000000001}`)
	if none := collect(t, s, -1, "createFeedStream", `{"gte":1e12,"lte":1e12}`); len(bounds) != 8 || len(none) != 0 || !strings.Contains(bounds[0], `"rts":1000000000000}`) {
		t.Errorf("between bounds: %q, %q", bounds, none)
	}
}
