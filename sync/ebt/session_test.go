package ebt_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/ebt"
	"github.com/ssbsync/ssbsync/sync/vector"
)

// session is a recorded session between peers of the JavaScript
// implementation.
type session struct {
	ID    string
	Peers map[string]struct {
		ID         refs.Feed
		Has        map[string]int64
		Requests   []string
		Unrequests []string
		Blocks     [][2]string
		Saved      map[string]map[string]int64
	}
	IDs         map[string]refs.Feed `json:"ids"`
	Steps       []map[string]json.RawMessage
	Wire        []wireFrame
	FinalClocks map[string]map[refs.Feed]int64 `json:"final_clocks"`
}

type wireFrame struct {
	From, To string
	Notes    map[refs.Feed]int64
	Msg      *struct {
		Author   refs.Feed
		Sequence int64
	}
}

// player is one of our machines in the place of a recorded peer.
type player struct {
	*ebt.State
	has map[refs.Feed]int64
}

// replay runs a session with our machines: frames arrive at once and in
// order, and messages are stored when they arrive.
type replay struct {
	t        *testing.T
	s        *session
	name     map[refs.Feed]string
	players  map[string]*player
	links    [][2]string // who is connected
	memories map[[2]string]ebt.Memory
	notes    map[string][]string // "from>to feed" → notes told, without repetition
	messages map[string][]int64  // "from>to feed" → sequences sent
}

func TestSessionVectors(t *testing.T) {
	eachCase(t, "sessions.jsonl", func(line []byte) {
		var s session
		unmarshal(t, line, &s)
		r := newReplay(t, &s)
		for _, step := range s.Steps {
			r.step(step)
			r.settle()
		}
		r.check()
	})
}

func newReplay(t *testing.T, s *session) *replay {
	r := &replay{t: t, s: s, name: map[refs.Feed]string{}, players: map[string]*player{},
		memories: map[[2]string]ebt.Memory{}, notes: map[string][]string{}, messages: map[string][]int64{}}
	for name, id := range s.IDs {
		r.name[id] = name
	}
	for _, name := range slices.Sorted(maps.Keys(s.Peers)) {
		r.addPlayer(name)
	}
	return r
}

func (r *replay) addPlayer(name string) {
	peer := r.s.Peers[name]
	p := &player{ebt.New(peer.ID, ebt.Config{}), map[refs.Feed]int64{}}
	r.players[name] = p
	for _, feed := range slices.Sorted(maps.Keys(peer.Has)) {
		p.has[r.s.IDs[feed]] = peer.Has[feed]
		p.Append(r.s.IDs[feed], peer.Has[feed])
	}
	for _, feed := range peer.Requests {
		p.Want(r.s.IDs[feed], true)
	}
	for _, feed := range peer.Unrequests {
		p.Want(r.s.IDs[feed], false)
	}
	for _, block := range peer.Blocks {
		p.Block(r.s.IDs[block[0]], r.s.IDs[block[1]], true)
	}
	for other, clock := range peer.Saved {
		r.memories[[2]string{name, other}] = memoryOf(r, peer.Has, clock)
	}
}

// memoryOf translates a clock that the recorded peer had saved of another,
// in which -1 stands for a refusal.
func memoryOf(r *replay, has, clock map[string]int64) ebt.Memory {
	var holds, refusals []vector.Entry
	for feed, seq := range clock {
		if seq >= 0 {
			holds = append(holds, vector.Entry{Feed: r.s.IDs[feed], Seq: seq})
		} else {
			refusals = append(refusals, vector.Entry{Feed: r.s.IDs[feed], Seq: has[feed]})
		}
	}
	return ebt.Memory{Holds: vector.FromEntries(holds), Refused: vector.FromEntries(refusals)}
}

// step does one step of the record. The arguments of each are names.
func (r *replay) step(step map[string]json.RawMessage) {
	for kind, raw := range step {
		var args []string
		unmarshal(r.t, raw, &args)
		who := r.players[args[0]]
		last := r.s.IDs[args[len(args)-1]]
		switch kind {
		case "connect":
			r.connect(args[0], args[1])
		case "disconnect":
			r.disconnect(args[0], args[1])
		case "append":
			who.has[last]++
			who.Append(last, who.has[last])
		case "request", "follow":
			who.Want(last, true)
		case "unrequest", "unfollow":
			who.Want(last, false)
		case "block", "unblock":
			by := r.s.IDs[args[len(args)-2]]
			who.Block(by, last, kind == "block")
		default:
			r.t.Fatalf("%s: unknown step %q", r.s.ID, kind)
		}
	}
	for _, link := range slices.Clone(r.links) {
		a, b := r.players[link[0]], r.players[link[1]]
		if a.Blocked(r.s.IDs[link[1]]) || b.Blocked(r.s.IDs[link[0]]) {
			r.disconnect(link[0], link[1])
		}
	}
}

func (r *replay) connect(client, server string) {
	a := r.players[client].Connect(r.s.IDs[server], true, r.memories[[2]string{client, server}])
	b := r.players[server].Connect(r.s.IDs[client], false, r.memories[[2]string{server, client}])
	if a == nil && b == nil {
		r.links = append(r.links, [2]string{client, server})
		return
	}
	r.disconnect(client, server)
}

func (r *replay) disconnect(a, b string) {
	r.memories[[2]string{a, b}] = r.players[a].Disconnect(r.s.IDs[b])
	r.memories[[2]string{b, a}] = r.players[b].Disconnect(r.s.IDs[a])
	r.links = slices.DeleteFunc(r.links, func(l [2]string) bool {
		return l == [2]string{a, b} || l == [2]string{b, a}
	})
}

// settle delivers frames until nobody has anything to send, also some ticks
// later.
func (r *replay) settle() {
	for range 4 {
		r.exchange()
		for _, p := range r.players {
			p.Tick()
		}
	}
}

func (r *replay) exchange() {
	for frames := 1; frames > 0; {
		frames = 0
		for _, link := range r.links {
			frames += r.deliver(link[1], link[0]) + r.deliver(link[0], link[1])
		}
		if len(r.messages)+len(r.notes) > 10_000 {
			r.t.Fatalf("%s: the session does not settle", r.s.ID)
		}
	}
}

// deliver moves at most one frame of notes and one message.
func (r *replay) deliver(from, to string) (frames int) {
	sender, receiver := r.players[from], r.players[to]
	if notes, ok := sender.NextNotes(r.s.IDs[to]); ok {
		frames++
		for _, n := range notes {
			r.recordNote(from, to, n)
		}
		receiver.Notes(r.s.IDs[from], notes)
	}
	if span, ok := sender.NextSend(r.s.IDs[to], 1); ok {
		frames++
		r.recordMessage(from, to, span.Feed, span.First)
		if receiver.Received(r.s.IDs[from], span.Feed, span.First) && span.First == receiver.has[span.Feed]+1 {
			receiver.has[span.Feed]++
			receiver.Append(span.Feed, span.First)
		}
	}
	return frames
}

func (r *replay) recordNote(from, to string, n ebt.FeedNote) {
	number := int64(-1)
	if n.Replicate {
		number = ebt.EncodeNote(n.Seq, n.Receive)
	}
	appendNew(r.notes, r.key(from, to, n.Feed), fmt.Sprint(number))
}

func (r *replay) recordMessage(from, to string, feed refs.Feed, seq int64) {
	key := r.key(from, to, feed)
	r.messages[key] = append(r.messages[key], seq)
}

func (r *replay) key(from, to string, feed refs.Feed) string {
	return fmt.Sprintf("%s>%s %s", from, to, r.name[feed])
}

// appendNew appends what is not a repetition: to tell the same note twice in
// a row changes nothing.
func appendNew(lists map[string][]string, key, value string) {
	if list := lists[key]; len(list) == 0 || list[len(list)-1] != value {
		lists[key] = append(list, value)
	}
}

// check compares with the record.
//
// Between two peers that connect and write, notes and messages must be the
// same in their order. Where a wish changes within a session ours may tell
// more: the recorded implementation does not say that a feed is no longer
// wanted, nor that one is wanted after all when both hold the same of it.
// Between three peers it depends on the order of events who is asked for a
// feed, and how far it came when it is told; there the same must be refused.
func (r *replay) check() {
	want := &replay{t: r.t, s: r.s, name: r.name, notes: map[string][]string{}, messages: map[string][]int64{}}
	for _, frame := range r.s.Wire {
		for feed, note := range frame.Notes {
			appendNew(want.notes, r.key(frame.From, frame.To, feed), fmt.Sprint(note))
		}
		if frame.Msg != nil && frame.From != "" {
			want.recordMessage(frame.From, frame.To, frame.Msg.Author, frame.Msg.Sequence)
		}
	}
	steady, two := r.onlySteps("connect", "append"), len(r.s.Peers) == 2
	r.checkClocks(steady)
	same := slices.Equal[[]string]
	switch {
	case !two || !r.onlySteps("connect", "append", "request", "block"):
		same = sameStart
	case !steady:
		same = within
	}
	for key, notes := range want.notes {
		if !same(notes, r.notes[key]) {
			r.t.Errorf("%s: %s: notes %v, want %v", r.s.ID, key, r.notes[key], notes)
		}
	}
	if steady && two && len(r.notes) != len(want.notes) {
		r.t.Errorf("%s: notes\n got %v\nwant %v", r.s.ID, r.notes, want.notes)
	}
	if steady && two && !maps.EqualFunc(r.messages, want.messages, slices.Equal[[]int64]) {
		r.t.Errorf("%s: messages\n got %v\nwant %v", r.s.ID, r.messages, want.messages)
	}
}

// onlySteps reports whether the session has no steps but those.
func (r *replay) onlySteps(kinds ...string) bool {
	for _, step := range r.s.Steps {
		for kind := range step {
			if !slices.Contains(kinds, kind) {
				return false
			}
		}
	}
	return true
}

// checkClocks compares what the peers hold at the end: exactly, or whether
// they hold as much at least.
func (r *replay) checkClocks(exactly bool) {
	for name, clock := range r.s.FinalClocks {
		got := r.players[name].has
		for feed, seq := range clock {
			if got[feed] < seq || exactly && got[feed] > seq {
				r.t.Errorf("%s: %s ends with %d of %s, want %d", r.s.ID, name, got[feed], r.name[feed], seq)
			}
		}
		if exactly && len(got) != len(clock) {
			r.t.Errorf("%s: %s ends with %v, want %v", r.s.ID, name, got, clock)
		}
	}
}

// within reports whether part is what is left of all when some are left out.
func within(part, all []string) bool {
	for _, s := range all {
		if len(part) > 0 && part[0] == s {
			part = part[1:]
		}
	}
	return len(part) == 0
}

// sameStart reports whether both begin with a refusal, or both do not.
func sameStart(want, got []string) bool {
	return len(got) > 0 && (want[0] == "-1") == (got[0] == "-1")
}
