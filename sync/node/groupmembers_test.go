package node_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
)

// memberLists returns who is in a group, and who was excluded.
func memberLists(t testing.TB, s *muxrpc.Session, g group) (added, excluded []string) {
	t.Helper()
	var members struct{ Added, ToExclude []string }
	unmarshal(t, collect(t, s, -1, "tribes2.listMembers", `"`+g.ID+`"`)[0], &members)
	return members.Added, members.ToExclude
}

// TestGroupExclude excludes a member: his program says so, lists the group no
// more and writes nothing to it; what was written he still reads.
func TestGroupExclude(t *testing.T) {
	a, b, c := start(t, `{}`), start(t, `{}`), start(t, `{}`)
	as, bs, cs := a.socket(t), b.socket(t), c.socket(t)
	g := create(t, as)
	call(t, as, "tribes2.addMembers", g.ID, []string{b.id(t), c.id(t)})
	say(t, as, "one", g.ID)
	carry(t, as, bs)
	carry(t, as, cs)
	say(t, bs, "two", g.ID)
	for want, args := range map[string][]any{
		"tribes2.excludeMembers: no feeds are given":                             {"tribes2.excludeMembers", g.ID},
		"tribes2.excludeMembers: the group is missing":                           {"tribes2.excludeMembers"},
		"tribes2.excludeMembers: who is in a group cannot exclude himself":       {"tribes2.excludeMembers", g.ID, []string{a.id(t)}},
		stranger(t).Feed().String() + " is not in group " + g.ID:                 nil,
		"tribes2.excludeMembers: 65 feeds are given, at most 64 can be excluded": {"tribes2.excludeMembers", g.ID, slices.Repeat([]string{b.id(t)}, 65)},
	} {
		if args == nil {
			args = []any{"tribes2.excludeMembers", g.ID, []string{strings.Fields(want)[0]}}
		}
		if _, err := as.Async(context.Background(), args[0].(string), args[1:]...); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", args, err)
		}
	}
	carry(t, bs, as)
	call(t, as, "tribes2.excludeMembers", g.ID, []string{b.id(t)})
	say(t, as, "three", g.ID)
	carry(t, as, bs)
	carry(t, as, cs)
	for who, s := range map[string]*muxrpc.Session{"a": as, "b": bs, "c": cs} {
		added, excluded := memberLists(t, s, g)
		if len(added) != 2 || slices.Contains(added, b.id(t)) || !slices.Equal(excluded, []string{b.id(t)}) {
			t.Errorf("%s sees %v in the group, %v excluded", who, added, excluded)
		}
		listed, out := 1, 0
		if who == "b" {
			listed, out = 0, 1
		}
		if n := len(collect(t, s, -1, "tribes2.list", `{}`)); n != listed {
			t.Errorf("%s is in %d groups", who, n)
		}
		if n := len(collect(t, s, -1, "tribes2.list", `{"excluded":true}`)); n != out {
			t.Errorf("%s was excluded from %d groups", who, n)
		}
	}
	for _, args := range [][]any{
		{"tribes2.publish", raw(`{"type":"post","recps":["%s"]}`, g.ID)}, {"publish", raw(`{"type":"post","recps":["%s"]}`, g.ID)},
		{"tribes2.addMembers", g.ID, []string{stranger(t).Feed().String()}}, {"tribes2.excludeMembers", g.ID, []string{a.id(t)}},
	} {
		if _, err := bs.Async(context.Background(), args[0].(string), args[1:]...); err == nil || !strings.Contains(err.Error(), "you were excluded from group "+g.ID) {
			t.Errorf("b: %s: %v", args[0], err)
		}
	}
	if answer := call(t, bs, "tribes2.get", g.ID); !strings.Contains(answer, `"excluded":true`) {
		t.Errorf("b gets %s", answer)
	}
	if got := posts(t, bs); got != "two one three" && got != "one two three" { // he keeps the key
		t.Errorf("b reads %q", got)
	}
	if _, err := as.Async(context.Background(), "tribes2.addMembers", g.ID, []string{b.id(t)}); err == nil || !strings.Contains(err.Error(), "was excluded") {
		t.Errorf("b is let in again: %v", err)
	}
}

// TestGroupReplication: the feeds of those who are in a group with us are
// replicated, those of blocked ones and of groups of strangers are not, and after
// an exclusion no more.
func TestGroupReplication(t *testing.T) {
	a, b, c := start(t, `{}`), start(t, `{"friends":{"hops":1}}`), start(t, `{}`)
	as, bs, cs := a.socket(t), b.socket(t), c.socket(t)
	g := create(t, as)
	call(t, as, "tribes2.addMembers", g.ID, []string{b.id(t), c.id(t)})
	carry(t, as, cs)
	say(t, cs, "by c", g.ID)
	wanted := func(id string) bool {
		return slices.ContainsFunc(collect(t, bs, -1, "replicate.upto", `{}`), func(item string) bool { return strings.Contains(item, id) })
	}
	carry(t, as, bs)
	if got := len(collect(t, bs, -1, "tribes2.list", `{}`)); got != 1 || wanted(c.id(t)) {
		t.Errorf("in %d groups of a stranger, whose members are wanted: %v", got, wanted(c.id(t)))
	}
	publish(t, bs, fmt.Sprintf(`{"type":"contact","contact":"%s","following":true}`, a.id(t)))
	until(t, "the member is wanted", func() bool { return wanted(c.id(t)) })
	call(t, bs, "gossip.connect", c.addr.String())
	until(t, "the message of a member", func() bool { return posts(t, bs) == "by c" })
	carry(t, cs, as)
	call(t, as, "tribes2.excludeMembers", g.ID, []string{c.id(t)})
	carry(t, as, bs)
	collect(t, bs, -1, "private.read", `{}`) // which looks at what is new
	until(t, "the former member is wanted no more", func() bool { return !wanted(c.id(t)) })

	late := start(t, `{}`)
	call(t, as, "tribes2.addMembers", g.ID, []string{late.id(t)})
	carry(t, as, bs)
	until(t, "a later member is wanted", func() bool { collect(t, bs, -1, "private.read", `{}`); return wanted(late.id(t)) })
	publish(t, bs, fmt.Sprintf(`{"type":"contact","contact":"%s","blocking":true}`, late.id(t)))
	until(t, "who is blocked is wanted no more", func() bool { return !wanted(late.id(t)) })
}
