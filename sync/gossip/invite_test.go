package gossip_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/multiserver"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/sync/gossip"
)

func (nd *node) invite(uses int) string {
	nd.t.Helper()
	end, _ := nd.addr.Endpoint()
	code, err := nd.CreateInvite(end.Host, end.Port, uses, "a note")
	if err != nil {
		nd.t.Fatal(err)
	}
	return code
}

// following asks the graph.
func (nd *node) following(other *node) bool {
	nd.t.Helper()
	if err := nd.graph.Update(nd.t.Context()); err != nil {
		nd.t.Error(err)
	}
	return nd.graph.IsFollowing(nd.id, other.id)
}

func TestInvites(t *testing.T) {
	checkLeaks(t, func(t *testing.T) {
		pub, a, b, c := startNode(t, 1, options{}), startNode(t, 2, options{}), startNode(t, 3, options{}), startNode(t, 4, options{})
		code := pub.invite(2)
		if !strings.HasPrefix(code, "127.0.0.1:") || !strings.Contains(code, ":"+pub.id.String()+"~") {
			t.Errorf("code %s", code)
		}
		for _, nd := range []*node{a, b} {
			got, err := nd.AcceptInvite(t.Context(), ` "`+code+`" `)
			if err != nil {
				t.Fatal(err)
			}
			if got.Pub != pub.id || len(got.Messages) != 2 || !nd.following(pub) || !pub.following(nd) {
				t.Errorf("accepted: %+v, following %v, followed %v", got, nd.following(pub), pub.following(nd))
			}
			if known := nd.Known(); len(known) != 1 || known[0].Feed != pub.id || known[0].Source != gossip.Invite {
				t.Errorf("peer book: %+v", known)
			}
		}
		if _, err := c.AcceptInvite(t.Context(), code); err == nil {
			t.Error("the third of two uses worked")
		}
		pub.end()
		pub.start() // what was used stays used
		if _, err := c.AcceptInvite(t.Context(), code); err == nil || pub.following(c) {
			t.Error("the invite worked again after a restart")
		}
		for _, bad := range []string{"", "x", code + "x", pub.id.String(), strings.Split(code, "~")[0]} {
			if _, err := c.AcceptInvite(t.Context(), bad); err == nil {
				t.Errorf("code %q was accepted", bad)
			}
		}
		if _, err := pub.AcceptInvite(t.Context(), pub.invite(1)); err == nil {
			t.Error("our own invite was accepted")
		}
		for _, uses := range []int{0, -1, 1 << 30} {
			if _, err := pub.CreateInvite("127.0.0.1", 8008, uses, ""); err == nil {
				t.Errorf("an invite for %d uses", uses)
			}
		}
	})
}

// TestGuest lets who comes on an invite call nothing but what it is for, and not
// more often than it is good for.
func TestGuest(t *testing.T) {
	pub := startNode(t, 1, options{})
	invite, err := multiserver.ParseInvite(pub.invite(3))
	if err != nil {
		t.Fatal(err)
	}
	session := muxrpc.NewSession(dialSecret(t, pub, keys.FromSeed(invite.Seed)), muxrpc.Config{})
	defer session.Close()
	for _, method := range []string{"whoami", "publish", "invite.create", "ebt.replicate"} {
		if _, err := session.Async(t.Context(), method); err == nil || !strings.Contains(err.Error(), "is not in list of allowed methods") {
			t.Errorf("%s: %v", method, err)
		}
	}
	for _, args := range [][]any{{}, {map[string]any{}}, {map[string]any{"feed": "x"}}, {map[string]any{"feed": pub.id}}} {
		if _, err := session.Async(t.Context(), "invite.use", args...); err == nil {
			t.Errorf("invite.use(%v) worked", args)
		}
	}
	var group sync.WaitGroup
	var mu sync.Mutex
	used := 0
	for n := range 20 {
		group.Go(func() {
			_, err := session.Async(t.Context(), "invite.use", map[string]any{"feed": pair(500 + n).Feed()})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				used++
			} else if err.Error() != "invite has expired" {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if used != 3 || pub.head(pub.id) != 3 {
		t.Errorf("used %d times, %d messages", used, pub.head(pub.id))
	}
}
