package ebt_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/ebt"
	"github.com/ssbsync/ssbsync/sync/vector"
)

var me, peerP, peerQ = refs.Feed{100}, refs.Feed{101}, refs.Feed{102}

// expect drains the notes for a peer and compares them.
func expect(t *testing.T, s *ebt.State, peer refs.Feed, want ...ebt.FeedNote) {
	t.Helper()
	var got []ebt.FeedNote
	for {
		notes, ok := s.NextNotes(peer)
		if !ok {
			break
		}
		got = append(got, notes...)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("notes for %d are %+v, want %+v", peer[0], got, want)
	}
}

func expectSend(t *testing.T, s *ebt.State, peer refs.Feed, want ...vector.Span) {
	t.Helper()
	var got []vector.Span
	for span, ok := s.NextSend(peer, 100); ok; span, ok = s.NextSend(peer, 100) {
		got = append(got, span)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("messages for %d are %v, want %v", peer[0], got, want)
	}
}

func connect(t *testing.T, s *ebt.State, peer refs.Feed) {
	t.Helper()
	if err := s.Connect(peer, false, ebt.Memory{}); err != nil {
		t.Fatal(err)
	}
}

// asking returns a state that asked P for feed A, which Q has too.
func asking(t *testing.T) *ebt.State {
	s := ebt.New(me, ebt.Config{StallTicks: 3, ResendTicks: 1000})
	s.Want(feedA, true)
	connect(t, s, peerP)
	connect(t, s, peerQ)
	expect(t, s, peerP, receive(me, 0), receive(feedA, 0))
	expect(t, s, peerQ, tell(me, 0), tell(feedA, 0))
	s.Notes(peerP, []ebt.FeedNote{tell(feedA, 5), tell(me, 0)})
	s.Notes(peerQ, []ebt.FeedNote{tell(feedA, 5), tell(me, 0)})
	expect(t, s, peerP)
	expect(t, s, peerQ)
	return s
}

func ticks(s *ebt.State, n int) {
	for range n {
		s.Tick()
	}
}

func TestStallSwitchesAndComesBack(t *testing.T) {
	s := asking(t)
	ticks(s, 2)
	expect(t, s, peerP)
	ticks(s, 1)
	expect(t, s, peerP, tell(feedA, 0))
	expect(t, s, peerQ, receive(feedA, 0))
	ticks(s, 6)
	expect(t, s, peerP, receive(feedA, 0))
	expect(t, s, peerQ, tell(feedA, 0))
}

func TestStallAsksAgainMoreAndMoreRarely(t *testing.T) {
	s := asking(t)
	s.Disconnect(peerQ)
	var asked []int
	for tick := 1; tick <= 1000; tick++ {
		s.Tick()
		if notes, ok := s.NextNotes(peerP); ok {
			asked = append(asked, tick)
			if !slices.Equal(notes, []ebt.FeedNote{receive(feedA, 0)}) {
				t.Fatalf("tick %d: notes %+v", tick, notes)
			}
		}
	}
	if !slices.Equal(asked[:5], []int{3, 9, 21, 45, 93}) || len(asked) > 12 {
		t.Fatalf("asked again at ticks %v", asked)
	}
	s.Append(feedA, 2)
	ticks(s, 3)
	expect(t, s, peerP, receive(feedA, 2))
}

func TestProgressIsNoStall(t *testing.T) {
	s := asking(t)
	for seq := int64(1); seq <= 5; seq++ {
		ticks(s, 2)
		if !s.Received(peerP, feedA, seq) {
			t.Fatal("an asked message is refused")
		}
		s.Append(feedA, seq)
	}
	ticks(s, 500)
	expect(t, s, peerP)
	expect(t, s, peerQ)
}

func TestDisconnectAsksAnother(t *testing.T) {
	s := asking(t)
	s.Disconnect(peerP)
	expect(t, s, peerQ, receive(feedA, 0))
}

func TestRefuseAsksAnother(t *testing.T) {
	s := asking(t)
	s.Refuse(peerP, feedA)
	expect(t, s, peerP, tell(feedA, 0))
	expect(t, s, peerQ, receive(feedA, 0))
	if s.Received(peerP, feedA, 1) {
		t.Error("messages are taken from a peer whose messages were no good")
	}
	s.Refuse(peerQ, feedA)
	ticks(s, 500)
	s.Notes(peerP, []ebt.FeedNote{tell(feedA, 9)})
	expect(t, s, peerP)
	expect(t, s, peerQ, tell(feedA, 0))
}

func TestFrozenFeedIsServedAndNotAskedFor(t *testing.T) {
	s := asking(t)
	s.Append(feedA, 3)
	s.Freeze(feedA, true)
	expect(t, s, peerP, tell(feedA, 3))
	ticks(s, 500)
	expect(t, s, peerP)
	if s.Received(peerP, feedA, 4) {
		t.Error("a message of a frozen feed is taken")
	}
	s.Notes(peerQ, []ebt.FeedNote{receive(feedA, 1)})
	expect(t, s, peerQ)
	expectSend(t, s, peerQ, vector.Span{Feed: feedA, First: 2, Last: 3})
	s.Freeze(feedA, false)
	expect(t, s, peerP, receive(feedA, 3))
}

func TestUnaskedMessagesAreRefused(t *testing.T) {
	s := ebt.New(me, ebt.Config{})
	s.Want(feedA, true)
	if s.Received(peerP, feedA, 1) {
		t.Error("a message without a session is taken")
	}
	connect(t, s, peerP)
	if s.Received(peerP, feedB, 1) {
		t.Error("a message of an unknown feed is taken")
	}
	s.Want(feedA, false)
	expect(t, s, peerP, receive(me, 0), refusal(feedA))
	if s.Received(peerP, feedA, 1) {
		t.Error("a message of an unwanted feed is taken")
	}
}

func TestBlocks(t *testing.T) {
	s := ebt.New(me, ebt.Config{})
	s.Want(feedA, true)
	s.Append(feedA, 4)
	connect(t, s, peerP)
	expect(t, s, peerP, receive(me, 0), receive(feedA, 4))
	s.Notes(peerP, []ebt.FeedNote{receive(feedA, 1)})
	s.Block(feedA, peerP, true)
	expect(t, s, peerP, refusal(feedA))
	expectSend(t, s, peerP)
	s.Block(feedA, peerP, false)
	expect(t, s, peerP, receive(feedA, 4))
	expectSend(t, s, peerP, vector.Span{Feed: feedA, First: 2, Last: 4})
	s.Block(me, peerP, true)
	if !s.Blocked(peerP) {
		t.Error("the session with a blocked peer may stay")
	}
	s.Disconnect(peerP)
	if err := s.Connect(peerP, true, ebt.Memory{}); !errors.Is(err, ebt.ErrBlocked) {
		t.Errorf("connecting a blocked peer: %v", err)
	}
	connect(t, s, peerQ)
	if err := s.Connect(peerQ, true, ebt.Memory{}); !errors.Is(err, ebt.ErrConnected) {
		t.Errorf("connecting twice: %v", err)
	}
}

func TestOwnFeedIsAlwaysWanted(t *testing.T) {
	s := ebt.New(me, ebt.Config{})
	s.Want(me, false)
	connect(t, s, peerP)
	expect(t, s, peerP, receive(me, 0))
	s.Notes(peerP, []ebt.FeedNote{tell(me, 12)})
	if s.Claimed(me) != 12 || s.Held(me) != 0 {
		t.Errorf("claimed %d, held %d, want 12, 0", s.Claimed(me), s.Held(me))
	}
}

// TestMessagesUnderWay: a note that was written before all of our messages
// arrived is no reason to send them again; the same note once more is.
func TestMessagesUnderWay(t *testing.T) {
	s := ebt.New(me, ebt.Config{})
	s.Append(me, 10)
	connect(t, s, peerP)
	s.Notes(peerP, []ebt.FeedNote{receive(me, 0)})
	expectSend(t, s, peerP, vector.Span{Feed: me, First: 1, Last: 10})
	s.Notes(peerP, []ebt.FeedNote{receive(me, 6)})
	expectSend(t, s, peerP)
	s.Notes(peerP, []ebt.FeedNote{receive(me, 6)})
	expectSend(t, s, peerP, vector.Span{Feed: me, First: 7, Last: 10})
	s.Notes(peerP, []ebt.FeedNote{receive(me, 2)})
	expectSend(t, s, peerP, vector.Span{Feed: me, First: 3, Last: 10})
	s.Append(me, 11)
	expectSend(t, s, peerP, vector.Span{Feed: me, First: 11, Last: 11})
}

func TestPartialClocksAndTurns(t *testing.T) {
	const feeds = 2500
	s := ebt.New(me, ebt.Config{MaxNotes: 1000})
	notes := make([]ebt.FeedNote, feeds)
	for n := range feeds {
		id := refs.Feed{1, byte(n), byte(n >> 8)}
		s.Append(id, 3)
		s.Want(id, true)
		notes[n] = receive(id, 0)
	}
	connect(t, s, peerP)
	for _, want := range []int{1000, 1000, 501} {
		if got, ok := s.NextNotes(peerP); !ok || len(got) != want {
			t.Fatalf("a frame of %d notes, want %d", len(got), want)
		}
	}
	s.Notes(peerP, notes)
	sent := 0
	for span, ok := s.NextSend(peerP, 2); ok; span, ok = s.NextSend(peerP, 2) {
		if want := notes[sent%feeds].Feed; span.Feed != want || span.First != int64(1+sent/feeds*2) {
			t.Fatalf("span %d is %v", sent, span)
		}
		sent++
	}
	if sent != 2*feeds {
		t.Fatalf("%d spans of %d feeds", sent, feeds)
	}
}

func TestRequestSkipping(t *testing.T) {
	s := ebt.New(me, ebt.Config{ResendTicks: 50})
	s.Append(me, 7)
	s.Append(feedA, 3)
	s.Append(feedB, 4)
	s.Want(feedA, true)
	s.Want(feedB, true)
	connect(t, s, peerP)
	expect(t, s, peerP, receive(me, 7), receive(feedA, 3), receive(feedB, 4))
	s.Notes(peerP, []ebt.FeedNote{tell(me, 7), tell(feedA, 2), refusal(feedB)})
	memory := s.Disconnect(peerP)

	if err := s.Connect(peerP, false, memory); err != nil {
		t.Fatal(err)
	}
	expect(t, s, peerP, receive(feedA, 3))
	ticks(s, 50)
	expect(t, s, peerP, tell(me, 7), receive(feedA, 3), tell(feedB, 4))
	memory = s.Disconnect(peerP)

	s.Append(feedB, 5)
	if err := s.Connect(peerP, false, memory); err != nil {
		t.Fatal(err)
	}
	expect(t, s, peerP, receive(feedA, 3), tell(feedB, 5))
}

// TestEmptyFirstFrame: the other side waits for the first notes, so that they
// are sent even if there is nothing to tell.
func TestEmptyFirstFrame(t *testing.T) {
	s := ebt.New(me, ebt.Config{})
	s.Append(me, 1)
	memory := ebt.Memory{Holds: vector.FromEntries([]vector.Entry{{Feed: me, Seq: 1}})}
	for _, client := range []bool{false, true} {
		if err := s.Connect(peerP, client, memory); err != nil {
			t.Fatal(err)
		}
		if client {
			if _, ok := s.NextNotes(peerP); ok || s.Ready(peerP) {
				t.Fatal("the client speaks first")
			}
			s.Notes(peerP, nil)
		}
		if notes, ok := s.NextNotes(peerP); !ok || len(notes) != 0 {
			t.Fatalf("client %v: the first frame is %v, %v", client, notes, ok)
		}
		if _, ok := s.NextNotes(peerP); ok || s.Ready(peerP) {
			t.Fatal("a second empty frame")
		}
		s.Disconnect(peerP)
	}
}

func TestStrangers(t *testing.T) {
	s := ebt.New(me, ebt.Config{MaxStrangers: 2})
	connect(t, s, peerP)
	expect(t, s, peerP, receive(me, 0))
	far := refs.Feed{3}
	s.Notes(peerP, []ebt.FeedNote{receive(feedA, 8), tell(feedB, 2), receive(far, 1), refusal(refs.Feed{4})})
	expect(t, s, peerP, refusal(feedA), refusal(feedB))
	s.Notes(peerP, []ebt.FeedNote{receive(feedA, 9)})
	expect(t, s, peerP)
	if s.Claimed(feedA) != 9 || s.Claimed(far) != 0 {
		t.Errorf("claimed %d and %d, want 9 and 0", s.Claimed(feedA), s.Claimed(far))
	}
	s.Want(feedA, true)
	expect(t, s, peerP, receive(feedA, 0))
	status, _ := s.Status(peerP)
	if status.Receiving != 1 || !status.Heard {
		t.Errorf("status is %+v", status)
	}
}

// TestTooHighForNotes: what a note cannot say is not spoken of.
func TestTooHighForNotes(t *testing.T) {
	s := ebt.New(me, ebt.Config{})
	s.Want(feedA, true)
	s.Append(feedA, ebt.MaxNoteSeq+1)
	connect(t, s, peerP)
	expect(t, s, peerP, receive(me, 0))
	s.Notes(peerP, []ebt.FeedNote{receive(feedA, 1)})
	expect(t, s, peerP, refusal(feedA))
	expectSend(t, s, peerP)
}

// TestNonsense: notes that mean nothing and calls about sessions that are no
// more do no harm.
func TestNonsense(t *testing.T) {
	s := ebt.New(me, ebt.Config{})
	s.Append(me, 3)
	s.Notes(peerP, []ebt.FeedNote{receive(me, 1)})
	s.Refuse(peerP, me)
	s.Disconnect(peerP)
	connect(t, s, peerP)
	expect(t, s, peerP, receive(me, 3))
	s.Notes(peerP, []ebt.FeedNote{receive(me, -1), tell(me, -7), receive(me, 1<<40)})
	expect(t, s, peerP)
	expectSend(t, s, peerP)
	if _, ok := s.NextSend(peerP, 0); ok || s.Ready(peerQ) {
		t.Error("something to send where nothing is asked for")
	}
	if _, ok := s.Status(peerQ); ok {
		t.Error("a session that was never opened has a status")
	}
}
