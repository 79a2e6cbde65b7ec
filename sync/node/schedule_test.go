package node_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
)

// answerOf calls a method and returns its answer, or "error: " and the error.
func answerOf(s *muxrpc.Session, method string, args ...any) string {
	answer, err := s.Async(context.Background(), method, args...)
	if err != nil {
		return "error: " + err.Error()
	}
	return string(answer)
}

// TestSteering stages addresses, stops and starts dialling, and switches groups
// of addresses off, which lasts.
func TestSteering(t *testing.T) {
	home := t.TempDir()
	r := startIn(t, home, `{}`)
	s := r.socket(t)
	address := "net:203.0.113.7:8008~shs:" + strings.TrimSuffix(stranger(t).Feed().String()[1:], ".ed25519")
	own := r.addr.String()
	cases := []struct {
		method string
		args   []any
		want   string
	}{
		{"conn.stop", nil, "false"},
		{"conn.stage", []any{address, map[string]any{"type": "internet"}}, "true"},
		{"conn.stage", []any{address}, "false"},
		{"conn.stage", []any{own}, "false"},
		{"conn.stage", []any{"nonsense"}, "error: not a valid address:nonsense"},
		{"conn.stage", nil, "error: Param 0 is required"},
		{"conn.unstage", []any{address}, "true"},
		{"conn.unstage", []any{address}, "false"},
		{"conn.start", nil, "false"},
		{"gossip.disable", []any{"global"}, `"disabled gossip type global"`},
		{"gossip.enable", nil, `"enabled gossip type global"`},
		{"gossip.disable", []any{"local"}, `"disabled gossip type local"`},
		{"gossip.disable", []any{"nonsense"}, `"disabled gossip type nonsense"`},
		{"gossip.disable", []any{map[string]any{}}, "error: Param 0 must by of type string"},
		{"friends.onEdge", nil, "error: friends.onEdge takes a function and cannot be called from outside: use friends.graphStream"},
	}
	for _, c := range cases {
		if got := answerOf(s, c.method, c.args...); got != c.want {
			t.Errorf("%s(%v): %s, want %s", c.method, c.args, got, c.want)
		}
	}
	answerOf(s, "conn.stop")
	answerOf(s, "conn.stage", address)
	if staged := collect(t, s, 1, "conn.stagedPeers", `{}`); !strings.Contains(staged[0], address) {
		t.Errorf("staged: %s", staged)
	}
	for group, method := range map[string]string{"gossip": "enable", "friends": "hops"} {
		if help := answerOf(s, group+".help"); !strings.Contains(help, `"`+method+`":{"type":`) {
			t.Errorf("%s.help: %s", group, help)
		}
	}
	r.stop()
	r = startIn(t, home, `{}`)
	if got := answerOf(r.socket(t), "gossip.enable", "local"); got != `"enabled gossip type local"` {
		t.Errorf("after a new start: %s", got)
	}
}

// TestPeerStatus asks how far a peer is with a feed.
func TestPeerStatus(t *testing.T) {
	server, client := start(t, `{"ssbsync":{"replicate":"all"}}`), start(t, `{"ssbsync":{"replicate":"all"}}`)
	for range 3 {
		publish(t, server.socket(t), `{"type":"post","text":"x"}`)
	}
	if _, err := client.socket(t).Async(context.Background(), "conn.connect", server.addr.String()); err != nil {
		t.Fatal(err)
	}
	client.waitForMessage(t, publish(t, server.socket(t), `{"type":"post","text":"last"}`))
	type status struct {
		Seq   int64
		Peers map[string]struct {
			Seq         int64
			Replicating map[string]any
		}
	}
	var theirs, ours status
	if err := json.Unmarshal([]byte(answerOf(client.socket(t), "ebt.peerStatus", server.id(t))), &theirs); err != nil {
		t.Fatal(err)
	}
	peer := theirs.Peers[server.id(t)]
	if theirs.Seq != 4 || peer.Seq != 4 || peer.Replicating["rx"] != true {
		t.Errorf("the client: %+v", theirs)
	}
	if err := json.Unmarshal([]byte(answerOf(server.socket(t), "ebt.peerStatus")), &ours); err != nil {
		t.Fatal(err)
	}
	peer = ours.Peers[client.id(t)]
	if ours.Seq != 4 || peer.Replicating["tx"] != true || fmt.Sprint(peer.Replicating["sent"]) != "4" {
		t.Errorf("the server: %+v", ours)
	}
}
