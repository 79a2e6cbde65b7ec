//go:build ci

package main

import (
	"strings"
	"testing"
	"time"
)

// TestRoomOfOthers meets a peer of npm ssb-room-client in a real room, npm
// ssb-room: the one dials us through it, and we dial another.
func TestRoomOfOthers(t *testing.T) {
	room := newMachine(t, nil).javaScript("modern", "room.js")
	everything := map[string]any{"ssbsync": map[string]any{"replicate": "all"}}
	for _, weDial := range []bool{true, false} {
		us := newMachine(t, everything)
		us.cli("publish", "--type", "post", "--text", "through a room")
		ours := us.ours()
		them := newMachine(t, nil).javaScript("modern", "peer.js", "2", "room")
		them.ask(nil, "test.publish", map[string]any{"type": "post", "text": "from theirs"})
		them.ask(nil, "test.request", ours.ID)
		ours.cli("connect", room.Address)
		them.ask(nil, "test.connect", room.Address)
		key := func(id string) string { return strings.TrimSuffix(id[1:], ".ed25519") }
		// Either is in the room as soon as it knows that this is one.
		if weDial {
			eventuallyDo(t, func() bool {
				cmd := us.command(us.home, newPrograms(t).path, "connect", "tunnel:"+room.ID+":"+them.ID+"~shs:"+key(them.ID))
				return cmd.Run() == nil
			})
		} else {
			eventuallyDo(t, func() bool {
				address := "tunnel:" + room.ID + ":" + ours.ID + "~shs:" + key(ours.ID)
				return !strings.Contains(them.calls([]remote{{Method: "test.connect", Args: []any{address}}})[0], `"error"`)
			})
		}
		want := map[string]int64{ours.ID: 1, them.ID: 1}
		eventually(t, "theirs", want, javaScriptClock(them, "test.clock"))
		eventually(t, "ours", want, ours.clock)
		us.cli("publish", "--type", "post", "--text", "live")
		want[ours.ID]++
		eventually(t, "theirs, live", want, javaScriptClock(them, "test.clock"))
		them.stop()
		ours.stop()
	}
}

// eventuallyDo repeats what may fail at first.
func eventuallyDo(t testing.TB, do func() bool) {
	t.Helper()
	for began := time.Now(); !do(); time.Sleep(200 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatal("it never succeeds")
		}
	}
}
