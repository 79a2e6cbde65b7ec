//go:build ci && linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestFindEachOther puts a real ssb-server and ours on two machines with one
// cable between them: they find each other by their announcements alone, and
// replicate.
func TestFindEachOther(t *testing.T) {
	ours, theirs := cable(t)
	them := theirs.javaScript("classic", "server.js", "3", "ebt", "::")
	us := ours.ours()
	us.cli("replicate", them.ID)
	var published struct{ Key string }
	them.ask(&published, "publish", map[string]any{"type": "post", "text": "over the cable"})
	eventually(t, "what they published", map[string]int64{them.ID: 1}, ours.clock)
	var value struct{ Author string }
	if err := json.Unmarshal([]byte(us.cli("get", published.Key)), &value); err != nil || value.Author != them.ID {
		t.Errorf("got %+v, %v", value, err)
	}
	var known []struct{ Key, Source string }
	for began := time.Now(); ; time.Sleep(time.Second) {
		them.ask(&known, "gossip.peers")
		if strings.Contains(fmt.Sprint(known), us.ID+" local") {
			break
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("ssb-server does not see us: %+v", known)
		}
	}
	t.Logf("ssb-server knows %+v", known)
}

// cable makes two machines in network namespaces of their own, with one cable
// between them: 10.78.0.1 and 10.78.0.2.
func cable(t *testing.T) (a, b *machine) {
	t.Helper()
	ip := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v (this test needs root)\n%s", strings.Join(args, " "), err, out)
		}
	}
	var made []*machine
	for n := range 2 {
		// ssb-local announces itself on the port that the server listens on.
		m := newMachine(t, map[string]any{"local": true, "host": fmt.Sprintf("10.78.0.%d", n+1), "port": 8008})
		m.port = 8008
		m.net = fmt.Sprintf("ssbsync-%d-%d", n, os.Getpid())
		ip("netns", "add", m.net)
		t.Cleanup(func() { ip("netns", "del", m.net) })
		made = append(made, m)
	}
	ip("link", "add", "eth0", "netns", made[0].net, "type", "veth", "peer", "name", "eth0", "netns", made[1].net)
	for n, m := range made {
		ip("-n", m.net, "addr", "add", fmt.Sprintf("10.78.0.%d/24", n+1), "brd", "+", "dev", "eth0")
		ip("-n", m.net, "link", "set", "eth0", "up")
		ip("-n", m.net, "link", "set", "lo", "up")
		ip("-n", m.net, "route", "add", "default", "dev", "eth0")
	}
	return made[0], made[1]
}
