package message

import (
	"errors"
	"fmt"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// Head is the newest message of a feed. Seq 0 stands for an empty feed.
type Head struct {
	Feed refs.Feed
	Seq  int64
	ID   refs.Message
}

// ErrDuplicate says that the head already is this message.
var ErrDuplicate = errors.New("message is already there")

// GapError says that a message does not attach yet: what lies between is
// missing, or (Seq at or below Have) it lies behind the head and only the
// store can tell whether it is a duplicate or a fork.
type GapError struct {
	Feed refs.Feed
	Have int64 // the head's sequence
	Seq  int64 // the message's sequence
}

// Error implements error.
func (e *GapError) Error() string {
	return fmt.Sprintf("feed %s: message %d does not attach to %d", e.Feed, e.Seq, e.Have)
}

// ForkError says that two different valid messages of one feed have the same
// sequence.
type ForkError struct {
	Feed        refs.Feed
	Seq         int64
	Have, Other refs.Message // the head, the other message
}

// Error implements error.
func (e *ForkError) Error() string {
	return fmt.Sprintf("feed %s: forked at %d: %s and %s", e.Feed, e.Seq, e.Have, e.Other)
}

// PreviousError says that a message follows the head by its sequence but
// names another message as the one before. That is no proof of a fork: only
// two verified messages of one sequence are.
type PreviousError struct {
	Feed     refs.Feed
	Seq      int64        // the message's sequence
	Have     refs.Message // the head
	Previous refs.Message // what the message names instead
}

// Error implements error.
func (e *PreviousError) Error() string {
	return fmt.Sprintf("feed %s: message %d follows %s, not the head %s: the feed looks forked", e.Feed, e.Seq, e.Previous, e.Have)
}

// Next returns the head after m is appended: the only rule by which a feed
// grows. It returns ErrDuplicate, *GapError, *ForkError or *PreviousError when m
// is not the next message.
func (h Head) Next(m *Message) (Head, error) {
	switch {
	case !m.Valid():
		return h, errors.New("not a verified message")
	case m.feed != h.Feed:
		return h, fmt.Errorf("message of feed %s appended to feed %s", m.feed, h.Feed)
	case m.seq == h.Seq && m.id == h.ID:
		return h, ErrDuplicate
	case m.seq == h.Seq:
		return h, &ForkError{Feed: h.Feed, Seq: m.seq, Have: h.ID, Other: m.id}
	case m.seq != h.Seq+1:
		return h, &GapError{Feed: h.Feed, Have: h.Seq, Seq: m.seq}
	case m.previous != h.ID:
		return h, &PreviousError{Feed: h.Feed, Seq: m.seq, Have: h.ID, Previous: m.previous}
	}
	return Head{Feed: h.Feed, Seq: m.seq, ID: m.id}, nil
}
