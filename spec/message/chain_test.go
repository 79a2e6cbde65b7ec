package message_test

import (
	"errors"
	"testing"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// The data set is valid, every feed an unbroken chain, every id as published.
func TestDataSet(t *testing.T) {
	lines := dataLines(t)
	heads := make(map[refs.Feed]message.Head)
	for i, r := range message.VerifyBatch(dataSet(t), nil, keys.NewVerifier()) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		feed := r.Message.Feed()
		head, err := message.Head{Feed: feed, Seq: heads[feed].Seq, ID: heads[feed].ID}.Next(r.Message)
		if err != nil || `"`+head.ID.String()+`"` != string(ecmajson.Get(lines[i], "key")) {
			t.Fatalf("%v, %v: %s", head, err, lines[i])
		}
		heads[feed] = head
	}
	t.Logf("%d messages of %d feeds", len(lines), len(heads))
}

func TestNext(t *testing.T) {
	pair := testPair(1)
	var heads []message.Head
	var feed []*message.Message
	head := message.Head{Feed: pair.Feed()}
	for range 4 {
		m := create(t, pair, head, `{"type":"post"}`)
		heads, feed = append(heads, head), append(feed, m)
		next, err := head.Next(m)
		if want := (message.Head{Feed: pair.Feed(), Seq: head.Seq + 1, ID: m.ID()}); err != nil || next != want {
			t.Fatalf("%v, %v, want %v", next, err, want)
		}
		head = next
	}
	twin := create(t, pair, heads[3], `{"type":"fork"}`)                                                 // another fourth message
	branch := create(t, pair, message.Head{Feed: pair.Feed(), Seq: 4, ID: twin.ID()}, `{"type":"post"}`) // follows it

	unchanged := func(m *message.Message) error {
		next, err := head.Next(m)
		if next != head || err == nil {
			t.Errorf("%v, %v: the head moved", next, err)
		}
		return err
	}
	if err := unchanged(feed[3]); err != message.ErrDuplicate {
		t.Errorf("the head again: %v", err)
	}
	var fork *message.ForkError
	want := message.ForkError{Feed: pair.Feed(), Seq: 4, Have: head.ID, Other: twin.ID()}
	if err := unchanged(twin); !errors.As(err, &fork) || *fork != want {
		t.Errorf("a twin of the head: %v", err)
	}
	var previous *message.PreviousError
	wantPrevious := message.PreviousError{Feed: pair.Feed(), Seq: 5, Have: head.ID, Previous: twin.ID()}
	if err := unchanged(branch); !errors.As(err, &previous) || *previous != wantPrevious {
		t.Errorf("a branch: %v", err)
	}
	var gap *message.GapError
	if err := unchanged(feed[1]); !errors.As(err, &gap) || *gap != (message.GapError{Feed: pair.Feed(), Have: 4, Seq: 2}) {
		t.Errorf("behind the head: %v", err)
	}
	if _, err := heads[1].Next(feed[3]); !errors.As(err, &gap) || *gap != (message.GapError{Feed: pair.Feed(), Have: 1, Seq: 4}) {
		t.Errorf("ahead of the head: %v", err)
	}
	other := testPair(2)
	unchanged(create(t, other, message.Head{Feed: other.Feed()}, `{"type":"post"}`))
	unchanged(&message.Message{})
	unchanged(nil)
}
