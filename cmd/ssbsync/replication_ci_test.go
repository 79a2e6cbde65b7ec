//go:build ci

package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// cli runs a command of ours on the machine, which must succeed.
func (m *machine) cli(args ...string) string {
	m.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := m.command(m.home, newPrograms(m.t).path, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		m.t.Fatalf("ssbsync %v: %v\n%s%s", args, err, stdout.String(), stderr.String())
	}
	return stdout.String()
}

// clock is what our store on the machine holds.
func (m *machine) clock() (clock map[string]int64) {
	m.t.Helper()
	if err := json.Unmarshal([]byte(m.cli("--json", "call", "getVectorClock")), &clock); err != nil {
		m.t.Fatal(err)
	}
	return clock
}

// values are the messages of our store, in no order of ours.
func (m *machine) values() []string {
	lines := strings.Split(strings.TrimSpace(m.cli("--json", "call", "createLogStream", `{"keys":false}`)), "\n")
	slices.Sort(lines)
	return lines
}

// eventually waits until a clock is what is wanted.
func eventually(t testing.TB, what string, want map[string]int64, clock func() map[string]int64) {
	t.Helper()
	began := time.Now()
	for {
		have := clock()
		missing := int64(0)
		for feed, seq := range want {
			missing += max(0, seq-have[feed])
		}
		if missing == 0 {
			t.Logf("%s: complete after %.1f s", what, time.Since(began).Seconds())
			return
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("%s: %d messages are missing", what, missing)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// javaScriptClock is the clock of a peer as it answers it.
func javaScriptClock(p *peer, method string) func() map[string]int64 {
	return func() (clock map[string]int64) {
		p.ask(&clock, method)
		return clock
	}
}

// TestReplicateClassic replicates with a real ssb-server: all of ours to it,
// all of its to another of ours, and live messages, by EBT and by
// createHistoryStream.
func TestReplicateClassic(t *testing.T) {
	for _, protocol := range []string{"ebt", "history"} {
		t.Run(protocol, func(t *testing.T) {
			them := newMachine(t, nil).javaScript("classic", "server.js", "3", protocol)
			replicateBothWays(t, them, "getVectorClock", "replicate.request", "publish", protocol)
		})
	}
}

// TestReplicateModern does the same with ssb-db2 and ssb-ebt 9.
func TestReplicateModern(t *testing.T) {
	them := newMachine(t, nil).javaScript("modern", "peer.js", "3")
	replicateBothWays(t, them, "test.clock", "test.request", "test.publish", "ebt")
}

func replicateBothWays(t *testing.T, them *peer, clock, request, publish, protocol string) {
	settings := map[string]any{"ssbsync": map[string]any{"replicate": "all"}}
	if protocol == "history" { // which cannot ask for feeds that it does not know
		settings = nil
	}
	full := newMachine(t, settings)
	full.cli("import", newPrograms(t).data)
	full.cli("publish", "--type", "post", "--text", "from the full one")
	us := full.ours()
	us.cli("replicate", them.ID)
	want := full.clock()
	var requests []remote
	for _, feed := range slices.Sorted(maps.Keys(want)) {
		requests = append(requests, remote{Method: request, Args: []any{feed}})
	}
	them.calls(requests)

	us.cli("connect", them.Address)
	eventually(t, "ours to theirs", want, javaScriptClock(them, clock))
	if peers := us.cli("--json", "peers"); !strings.Contains(peers, `"protocol":"`+protocol+`"`) {
		t.Errorf("replicated by another protocol than %s: %s", protocol, peers)
	}

	// live, both ways
	them.ask(nil, publish, map[string]any{"type": "post", "text": "live from them"})
	eventually(t, "a live message of theirs", map[string]int64{them.ID: 1}, us.clock)
	us.cli("publish", "--type", "post", "--text", "live from us")
	eventually(t, "a live message of ours", map[string]int64{us.ID: 2}, javaScriptClock(them, clock))

	// they to an empty one of ours, which they dial
	empty := newMachine(t, settings).ours()
	if protocol == "history" {
		for feed := range full.clock() {
			empty.cli("replicate", feed)
		}
	}
	them.ask(nil, "test.connect", strings.Replace(empty.Address, "localhost", "127.0.0.1", 1))
	eventually(t, "theirs to an empty one of ours", full.clock(), empty.clock)
	if a, b := us.values(), empty.values(); !slices.Equal(a, b) {
		t.Errorf("the stores differ: %d and %d messages", len(a), len(b))
	}

	// whom we block gets and gives nothing more
	us.cli("block", them.ID)
	them.ask(nil, publish, map[string]any{"type": "post", "text": "into the void"})
	time.Sleep(2 * time.Second)
	if seq := us.clock()[them.ID]; seq != 1 {
		t.Errorf("after blocking them we hold %d of their messages", seq)
	}
	if peers := us.cli("--json", "peers"); strings.Contains(peers, `"session"`) {
		t.Errorf("still connected after blocking: %s", peers)
	}
}

// TestInvites redeems an invite of a real ssb-server, and lets it redeem one of
// ours.
func TestInvites(t *testing.T) {
	them := newMachine(t, nil).javaScript("classic", "server.js", "2")
	us := newMachine(t, nil).ours()
	var code string
	them.ask(&code, "invite.create", 1)
	us.cli("invite", "accept", code)
	var follows bool
	them.ask(&follows, "friends.isFollowing", map[string]any{"source": them.ID, "dest": us.ID})
	if !follows {
		t.Error("they do not follow us after we accepted their invite")
	}
	if answer := us.cli("call", "friends.isFollowing", `{"source":"`+us.ID+`","dest":"`+them.ID+`"}`); !strings.Contains(answer, "true") {
		t.Error("we do not follow them after we accepted their invite")
	}

	others := newMachine(t, nil).javaScript("classic", "server.js", "2")
	code = strings.TrimSpace(us.cli("invite", "create", "--external", "127.0.0.1"))
	others.ask(nil, "invite.accept", code)
	if answer := us.cli("call", "friends.isFollowing", `{"source":"`+us.ID+`","dest":"`+others.ID+`"}`); !strings.Contains(answer, "true") {
		t.Error("we do not follow who accepted our invite")
	}
	var again answer
	// another one: ssb-server dies of the address of a peer on its own machine
	late := newMachine(t, nil).javaScript("classic", "server.js", "2")
	line := late.calls([]remote{{Method: "invite.accept", Args: []any{code}, Wait: 20_000}})[0]
	if err := json.Unmarshal([]byte(line), &again); err != nil || again.Error == "" {
		t.Errorf("an invite for one was used twice: %s", line)
	}
}
