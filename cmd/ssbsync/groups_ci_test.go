//go:build ci

package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// until waits until texts are what is wanted, in any order.
func until(t *testing.T, what string, want []string, texts func() []string) {
	t.Helper()
	slices.Sort(want)
	var have []string
	for began := time.Now(); time.Since(began) < 2*time.Minute; time.Sleep(200 * time.Millisecond) {
		have = texts()
		if slices.Sort(have); slices.Equal(have, want) {
			t.Logf("%s: %d texts", what, len(want))
			return
		}
	}
	t.Fatalf("%s: %q, want %q", what, have, want)
}

// privateTexts are the texts of the private posts that we read.
func (p *peer) privateTexts() (texts []string) {
	p.t.Helper()
	for _, line := range strings.Split(strings.TrimSpace(p.cli("--json", "private", "read")), "\n") {
		var msg struct {
			Value struct{ Content struct{ Type, Text string } }
		}
		if line != "" {
			if err := json.Unmarshal([]byte(line), &msg); err != nil {
				p.t.Fatal(err)
			}
		}
		if msg.Value.Content.Type == "post" {
			texts = append(texts, msg.Value.Content.Text)
		}
	}
	return texts
}

// TestGroupsWithTribes shares groups with npm ssb-tribes: one that they made and
// one that we made. Both sides read what was written before and after they came,
// and direct messages of the newer scheme; and they what we write to their P.O.
// box.
func TestGroupsWithTribes(t *testing.T) {
	theirs := newMachine(t, nil).javaScript("groups", "peer.js")
	ours := newMachine(t, nil).ours()
	var their, our group

	theirs.ask(&their, "test.create")
	theirs.ask(nil, "test.say", "theirs, before", []string{their.ID})
	theirs.ask(nil, "test.invite", their.ID, []string{ours.ID})
	theirs.ask(nil, "test.say", "theirs, after", []string{their.ID})
	theirs.ask(nil, "test.say", "theirs, direct", []string{theirs.ID, ours.ID})

	if err := json.Unmarshal([]byte(ours.cli("--json", "private", "group", "create")), &our); err != nil {
		t.Fatal(err)
	}
	ours.cli("private", "group", "send", our.ID, "--text", "ours, before")
	ours.cli("private", "group", "add", our.ID, theirs.ID)
	ours.cli("private", "group", "send", our.ID, "--text", "ours, after")
	direct, _ := json.Marshal(obj{"type": "post", "text": "ours, direct", "recps": []string{ours.ID, theirs.ID}})
	ours.cli("call", "tribes2.publish", string(direct))

	for _, feed := range []string{theirs.ID, ours.ID} {
		theirs.ask(nil, "test.request", feed)
		ours.cli("replicate", feed)
	}
	ours.cli("connect", theirs.Address)
	theirTexts := func() (texts []string) {
		theirs.ask(&texts, "test.texts")
		return texts
	}
	all := []string{"theirs, before", "theirs, after", "theirs, direct", "ours, before", "ours, after", "ours, direct"}
	until(t, "we read", all, ours.privateTexts)
	until(t, "they read", all, theirTexts)

	// each side writes to the other's group, and sees the same members
	var box string
	theirs.ask(&box, "test.box", their.ID)
	letter, _ := json.Marshal(obj{"type": "post", "text": "ours, to a P.O. box", "recps": []string{box}})
	ours.cli("call", "tribes2.publish", string(letter))
	ours.cli("private", "group", "send", their.ID, "--text", "ours, in theirs")
	theirs.ask(nil, "test.say", "theirs, in ours", []string{our.ID})
	all = append(all, "ours, in theirs", "theirs, in ours")
	until(t, "we read", all, ours.privateTexts)
	until(t, "they read", append(all, "ours, to a P.O. box"), theirTexts)
	for _, id := range []string{their.ID, our.ID} {
		us := strings.Fields(ours.cli("private", "group", "members", id))
		var them []string
		theirs.ask(&them, "test.members", id)
		slices.Sort(us)
		if slices.Sort(them); len(us) != 2 || !slices.Equal(us, them) {
			t.Errorf("the members of %s are %q for us, %q for them", id, us, them)
		}
	}
	if groups := strings.Fields(ours.cli("private", "group", "list")); len(groups) != 2 || !slices.Contains(groups, their.ID) {
		t.Errorf("we are in %q", groups)
	}

	// each side excludes the other from its own group, and heeds it
	ours.cli("private", "group", "exclude", our.ID, theirs.ID)
	theirs.ask(nil, "test.exclude", their.ID, []string{ours.ID})
	until(t, "our groups", []string{our.ID}, func() []string { return strings.Fields(ours.cli("private", "group", "list")) })
	until(t, "their groups", []string{their.ID}, func() (list []string) {
		theirs.ask(&list, "test.list")
		return list
	})
	if us := strings.Fields(ours.cli("private", "group", "members", their.ID)); !slices.Equal(us, []string{theirs.ID}) {
		t.Errorf("the members of their group are %q for us", us)
	}
	var them []string
	if theirs.ask(&them, "test.members", our.ID); !slices.Equal(them, []string{ours.ID}) {
		t.Errorf("the members of our group are %q for them", them)
	}
}
