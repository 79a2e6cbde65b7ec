//go:build ci

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestSeedScript runs the first script of scuttlebot's README against our
// server, with npm ssb-client as it comes.
func TestSeedScript(t *testing.T) {
	us := newMachine(t, nil).ours()
	out, err := us.command(interop(t, "classic"), "node", "seed.js").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var keys []string
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		var step [2]string
		if err := json.Unmarshal([]byte(line), &step); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		t.Logf("%s: %s", step[0], step[1])
		keys = append(keys, step[1])
	}
	if len(keys) != 4 || keys[0] != keys[1] || keys[0] != keys[2] || keys[0] != keys[3] {
		t.Errorf("the four steps saw %q", keys)
	}
}

// somebody is a feed that nobody has messages of, and somebodyElse another.
const (
	somebody     = "@XQNqhYzon4REkXYuuJ4r+9UKSgoNpljksmKLJbEXrgk=.ed25519"
	somebodyElse = "@6CAxOI3f+LUOVrbAl0IemqiS7ATpQvr9Mdw9LC4+Uv0=.ed25519"
)

// obj is a JSON object.
type obj = map[string]any

// sameCalls are calls that are answered alike by ssb-server and by us. The
// first ones publish: "$0.key" is the first message.
func sameCalls() []remote {
	async := func(method string, args ...any) remote { return remote{Method: method, Args: args} }
	source := func(method string, args ...any) remote { return remote{Method: method, Type: "source", Args: args} }
	live := func(take int, method string, args ...any) remote {
		return remote{Method: method, Type: "source", Args: args, Take: take, Wait: 1500}
	}
	behind := func(r remote) remote { r.Behind = true; r.Wait = max(r.Wait, 3000); return r }
	loose := func(r remote) remote { r.loose = true; return r }
	set := func(r remote) remote { r.set = true; return r }
	return []remote{
		async("publish", obj{"type": "post", "text": "hello <&> \"ümläut\" \u2028"}),
		async("publish", obj{"type": "contact", "contact": somebody, "following": true}),
		async("publish", obj{"type": "vote", "vote": obj{"link": "$0.key", "value": 1}}),
		async("publish", obj{"type": "post", "text": "re", "root": "$0.key", "branch": "$0.key", "mentions": []any{obj{"link": somebody}, obj{"link": "&6CAxOI3f+LUOVrbAl0IemqiS7ATpQvr9Mdw9LC4+Uv0=.sha256", "name": "x"}, 7, "text"}}),
		async("publish", obj{"type": "contact", "contact": somebodyElse, "blocking": true}),
		async("publish", obj{"type": "post", "text": "numbered", "mentions": obj{"0": obj{"link": "$1.key"}, "1": "$2.key"}}),
		async("publish", obj{"type": "about", "about": "$id", "name": "me", "number": 1e21, "nested": obj{"link": "$0.key"}}),

		// what cannot be published
		async("publish", obj{"text": "no type"}),
		async("publish", obj{"type": "ab"}),
		async("publish", obj{"type": 7}),
		async("publish", obj{"type": "this is a type of more than fifty-two characters, one"}),
		async("publish", obj{"type": "post", "text": strings.Repeat("x", 9000)}),
		async("publish", obj{"type": "post", "text": strings.Repeat("ü", 7850)}), // too long with its signature
		async("publish", "plain"),
		async("publish"),

		async("whoami"),
		async("auth", somebody),
		async("get", "$0.key"),
		async("get", obj{"id": "$0.key", "meta": true}),
		async("get", obj{"id": "$3.key", "private": true}),
		async("get", "%aaaa=.sha256"),
		behind(remote{Method: "get", Args: []any{obj{"id": "%6CAxOI3f+LUOVrbAl0IemqiS7ATpQvr9Mdw9LC4+Uv0=.sha256"}}, Wait: 60_000}), // ssb-server takes its time
		async("get"),
		async("getLatest", "$id"),
		async("getLatest", somebody),
		async("getLatest"),
		async("getLatest", "nonsense"),
		async("latestSequence", "$id"),
		async("latestSequence", somebody),
		async("getVectorClock"),
		async("getFeedState", "$id"),
		async("getFeedState", somebody),
		async("add", obj{"previous": nil}),
		async("add", obj{"content": obj{"type": "post"}}),
		async("add", obj{"content": obj{"text": "post"}}),
		async("add", "text"),
		async("add"),
		source("latest"),

		source("createLogStream"),
		source("createLogStream", obj{"limit": 2}),
		source("createLogStream", obj{"limit": 1, "keys": false}),
		source("createLogStream", obj{"limit": 1, "values": false}),
		source("createLogStream", obj{"reverse": true, "limit": 3}),
		source("createLogStream", obj{"gt": "$2.timestamp"}),
		source("createLogStream", obj{"gte": "$2.timestamp", "limit": 1}),
		source("createLogStream", obj{"lt": "$2.timestamp"}),
		source("createLogStream", obj{"gt": "$0.timestamp", "lte": "$2.timestamp", "reverse": true}),
		source("createLogStream", obj{"live": "yes"}),
		source("createLogStream", obj{"limit": "two"}),
		source("createLogStream", "text"),
		live(9, "createLogStream", obj{"live": true}),
		live(9, "createLogStream", obj{"live": true, "sync": false, "gt": "$5.timestamp"}),
		live(1, "createLogStream", obj{"live": true, "old": false}),

		source("createFeedStream"),
		source("createFeedStream", obj{"limit": 2, "reverse": true}),
		source("createFeedStream", obj{"limit": 1, "keys": false}),
		source("createFeedStream", obj{"limit": 1, "values": false}),
		source("createFeedStream", obj{"lt": "$2.value.timestamp"}),
		source("createFeedStream", obj{"gte": "$2.value.timestamp", "lte": "$3.value.timestamp"}),
		source("createFeedStream", obj{"gt": "$2.value.timestamp", "reverse": true}),

		source("createHistoryStream", obj{"id": "$id"}),
		source("createHistoryStream", obj{"id": "$id", "seq": 2, "limit": 2}),
		source("createHistoryStream", obj{"id": "$id", "sequence": 7, "keys": false}),
		source("createHistoryStream", obj{"id": somebody}),
		source("createHistoryStream", obj{"id": "$id", "limit": 0}),
		source("createHistoryStream", obj{"id": "$id", "reverse": true, "limit": 1}),
		source("createLogStream", obj{"id": 7, "type": 7, "limit": 1}),
		source("createUserStream", obj{"id": 7}),
		async("friends.isFollowing", obj{"source": "x", "dest": somebody}),
		async("friends.isFollowing", obj{"source": "$id"}),
		async("friends.isFollowing", obj{}),
		async("friends.isBlocking", obj{"source": "x", "dest": 7}),
		async("friends.isBlocking", obj{"source": "$id", "dest": "x"}),
		async("friends.get", obj{"source": "x"}),
		async("friends.get", obj{"source": "x", "dest": somebody}),
		async("friends.get", obj{"source": "$id", "dest": "x"}),
		async("friends.get", obj{"dest": "x"}),
		async("friends.get", obj{"source": 7}),
		loose(async("friends.hops", 0)),
		loose(async("friends.hops", "x")),
		async("replicate.block", ""),
		async("replicate.block"),

		source("createUserStream", obj{"id": "$id", "gt": 1, "limit": 2}),
		source("createUserStream", obj{"id": "$id", "reverse": true, "limit": 1}),
		source("createUserStream", obj{"id": "$id", "gte": 2, "lt": 4, "keys": false}),
		source("createUserStream", obj{"id": "$id", "lte": 1, "values": false}),
		source("createUserStream", obj{"limit": 1}),
		source("createUserStream"),
		live(3, "createUserStream", obj{"id": "$id", "gt": 5, "live": true}),

		source("messagesByType", obj{"type": "vote"}),
		source("messagesByType", "contact"),
		source("messagesByType", obj{"type": "vote", "keys": false}),
		source("messagesByType", obj{"type": "vote", "values": false}),
		source("messagesByType", obj{"type": "post", "reverse": true, "limit": 2}),
		source("messagesByType", obj{"type": "post", "gt": "$0.timestamp"}),
		source("messagesByType", obj{"type": "post", "lt": "$3.timestamp"}),
		source("messagesByType", "nonesuch"),
		source("messagesByType"),
		live(4, "messagesByType", obj{"type": "post", "live": true}),

		source("links", obj{"dest": "$0.key"}),
		source("links", obj{"dest": "$0.key", "values": true}),
		source("links", obj{"dest": "$0.key", "values": true, "keys": false}),
		source("links", obj{"dest": "$0.key", "values": true, "meta": false}),
		source("links", obj{"dest": "$0.key", "rel": "root"}),
		source("links", obj{"dest": "$0.key", "reverse": true}),
		source("links", obj{"source": "$id", "rel": "vote"}),
		set(source("links", obj{"source": "$id", "dest": "@", "keys": false})),
		set(source("links", obj{"source": "$id", "dest": "feed"})),
		set(source("links", obj{"dest": "%"})),
		source("links", obj{"dest": "&"}),
		set(source("links", obj{"dest": "@"})),
		set(source("links", obj{"rel": "mentions", "meta": false})),
		set(source("links", obj{"source": "@", "rel": "contact"})),
		source("links", obj{"dest": "nonsense"}),
		source("links", obj{"rel": 7}),
		source("links"),

		loose(async("friends.get")),
		loose(async("friends.get", obj{"source": "$id"})),
		loose(async("friends.get", obj{"dest": somebody})),
		async("friends.get", obj{"source": "$id", "dest": somebody}),
		async("friends.get", obj{"source": "$id", "dest": somebodyElse}),
		loose(async("friends.hops")),
		loose(async("friends.hops", obj{"start": somebody})),
		loose(async("friends.hops", obj{"max": 1})),
		loose(async("friends.hops", obj{"start": somebody, "reverse": true})),
		async("friends.isFollowing", obj{"source": "$id", "dest": somebody}),
		async("friends.isFollowing", obj{"source": "$id", "dest": somebodyElse}),
		async("friends.isFollowing", obj{"source": "$id"}),
		async("friends.isBlocking", obj{"source": "$id", "dest": somebodyElse}),
		async("friends.isBlocking", obj{"source": "$id", "dest": somebody}),
		set(source("friends.createFriendStream")),
		source("friends.createFriendStream", obj{"meta": true}),
		loose(source("friends.hopStream", obj{"old": true, "live": false})),
		loose(live(1, "friends.stream")),

		async("gossip.peers"),
		async("gossip.get", somebody),
		async("gossip.remove", somebody),
		async("gossip.enable", "local"),
		async("gossip.disable", "nonsense"),
		async("gossip.enable"),
		async("ebt.peerStatus", "$id"),
		async("replicate.request", somebody),
		loose(set(source("replicate.upto"))),
		async("nosuch"),

		// live, while something is published
		behind(live(3, "createLogStream", obj{"live": true, "gt": "$5.timestamp"})),
		behind(live(1, "createFeedStream", obj{"live": true, "old": false})),
		behind(live(2, "createUserStream", obj{"id": "$id", "gt": 7, "live": true})),
		behind(live(1, "createHistoryStream", obj{"id": "$id", "seq": 8, "live": true})),
		behind(live(2, "createHistoryStream", obj{"id": "$id", "seq": 7, "live": true})),
		behind(live(1, "messagesByType", obj{"type": "post", "live": true, "old": false})),
		behind(live(1, "links", obj{"dest": somebody, "rel": "about", "live": true, "old": false})),
		behind(loose(live(2, "friends.stream"))),
		behind(live(1, "createLogStream", obj{"old": false})), // live, without saying so
		behind(live(1, "createFeedStream", obj{"old": false})),
		behind(live(1, "createUserStream", obj{"id": "$id", "old": false})),
		behind(live(1, "createHistoryStream", obj{"id": "$id", "old": false})),
		behind(live(1, "messagesByType", obj{"type": "post", "old": false})),
		behind(live(1, "links", obj{"dest": somebody, "rel": "about", "old": false})),
		// a limit is one of what is there
		behind(live(4, "createLogStream", obj{"live": true, "reverse": true, "limit": 1, "lt": 1e15})),
		behind(live(4, "createFeedStream", obj{"live": true, "reverse": true, "limit": 1})),
		behind(live(4, "createUserStream", obj{"id": "$id", "live": true, "reverse": true, "limit": 1})),
		behind(live(3, "createUserStream", obj{"id": "$id", "live": true, "limit": 0})),
		behind(live(2, "createUserStream", obj{"id": "$id", "live": true, "lte": 1})),
		behind(live(3, "createHistoryStream", obj{"id": "$id", "live": true, "reverse": true, "limit": 1})),
		behind(live(3, "messagesByType", obj{"type": "contact", "live": true, "reverse": true, "limit": 1, "lt": 1e15})),
		behind(live(3, "links", obj{"dest": somebody, "rel": "contact", "live": true, "limit": 1})),
		async("whoami"), // the streams above have begun
		async("publish", obj{"type": "post", "text": "live", "about": somebody}),
		async("publish", obj{"type": "contact", "contact": somebody, "following": false}),
	}
}

// TestSameAnswers makes the same calls to a real ssb-server and to us, through
// npm ssb-client, and compares what comes back, errors included. Ids, times and
// signatures are made equal first.
func TestSameAnswers(t *testing.T) {
	calls := sameCalls()
	theirs := newMachine(t, nil).javaScript("classic", "server.js", "3")
	them := equalize(theirs.ID, theirs.calls(calls))
	theirs.stop()
	ours := newMachine(t, map[string]any{"friends": map[string]any{"hops": 3}}).ours()
	us := equalize(ours.ID, ours.calls(calls))
	differ := 0
	for i, c := range calls {
		if us[i] != them[i] && !(c.loose && equalJSON(us[i], them[i])) && !(c.set && equalSets(us[i], them[i])) {
			differ++
			args, _ := json.Marshal(c.Args)
			t.Errorf("%s%s:\nssb-server %s\nwe         %s", c.Method, args, them[i], us[i])
		}
	}
	t.Logf("%d calls, %d answered otherwise", len(calls), differ)
}

var (
	times      = regexp.MustCompile(`"(timestamp|ts|rts)":[0-9.]+`)
	signatures = regexp.MustCompile(`"signature":"[^"]*"`)
)

// equalize replaces what differs between two servers: the identity, times,
// signatures and the ids of the messages that were published.
func equalize(id string, lines []string) []string {
	pairs := []string{id, "@self"}
	for i, line := range lines {
		var a struct {
			Answer struct {
				Key       string
				Timestamp float64
			}
		}
		if json.Unmarshal([]byte(line), &a) == nil && strings.HasPrefix(a.Answer.Key, "%") && a.Answer.Timestamp > 0 {
			pairs = append(pairs, a.Answer.Key, fmt.Sprintf("%%message-%d", i))
		}
	}
	replacer := strings.NewReplacer(pairs...)
	equal := make([]string, len(lines))
	for i, line := range lines {
		line = replacer.Replace(line)
		line = times.ReplaceAllString(line, `"$1":0`)
		equal[i] = signatures.ReplaceAllString(line, `"signature":""`)
	}
	return equal
}

// equalSets compares the items of two streams without regard to their order.
func equalSets(a, b string) bool {
	var x, y struct{ Items []json.RawMessage }
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return false
	}
	slices.SortFunc(x.Items, func(a, b json.RawMessage) int { return bytes.Compare(a, b) })
	slices.SortFunc(y.Items, func(a, b json.RawMessage) int { return bytes.Compare(a, b) })
	return len(x.Items) > 0 && slices.EqualFunc(x.Items, y.Items, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) })
}

// equalJSON compares without regard to the order of members.
func equalJSON(a, b string) bool {
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}
