package ingest

import (
	"fmt"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/vector"
)

// Bounds of the details that a Summary keeps. What lies beyond them is still
// counted.
const (
	maxFeedDetails = 1 << 16
	maxRejects     = 100
	maxForks       = 1000
	maxGaps        = 1000
)

// Reject names one message that was refused because it is bad input.
type Reject struct {
	Source string    // Source.Name
	Pos    int64     // as given to AddAt, or the count of the message; -1 when it had waited
	Feed   refs.Feed // zero when the author could not be read
	Seq    int64     // 0 when the sequence could not be read
	Reason string
}

// Error implements error.
func (r Reject) Error() string {
	if r.Feed.IsZero() {
		return fmt.Sprintf("%s: message at %d: %s", r.Source, r.Pos, r.Reason)
	}
	return fmt.Sprintf("%s: message at %d: feed %s sequence %d: %s", r.Source, r.Pos, r.Feed, r.Seq, r.Reason)
}

// Fork names two different valid messages at one place of a feed.
type Fork struct {
	Feed refs.Feed
	Seq  int64
	ID   refs.Message // the message that came second, which is not stored
}

// FeedSummary is what became of one feed's messages.
type FeedSummary struct {
	New     int64 // messages stored
	Refused int64 // messages refused by policy
	Waiting int64 // messages that still wait for those before them
	First   bool  // the store held nothing of the feed before

	lowest int64 // the first sequence that went into waiting, 0 for none
}

// Summary counts what became of the messages that were handed to an intake
// since its previous Flush. A message that waited and attached meanwhile counts
// as New. Always
//
//	Messages + Retried = New + Duplicate + Rejected + Refused + Waiting + Evicted + Forked + Frozen + Lost
type Summary struct {
	Messages  int64 // handed over
	New       int64 // stored
	Duplicate int64 // held already
	Rejected  int64 // bad input; see Rejects
	Refused   int64 // of feeds that Source.Accept does not want
	Waiting   int64 // valid, but what lies before them is missing: they wait in the store; see Gaps
	Evicted   int64 // as Waiting, but there was no room for them to wait
	Forked    int64 // another message of the same place was there first; see Forks
	Frozen    int64 // of feeds that are forked already
	Lost      int64 // not stored, for there was no room: Flush returns ErrNoRoom

	// Retried counts messages that had waited since before, until the ones
	// handed over now let them attach (or showed that they never will).
	Retried int64

	// NewFeeds counts the feeds of which the store held nothing before.
	NewFeeds int64

	Feeds   map[refs.Feed]FeedSummary // of at most 65,536 feeds that changed
	Gaps    []vector.Span             // what is missing before messages that wait, at most 1,000
	Forks   []Fork                    // at most 1,000
	Rejects []Reject                  // the first 100
}

// Merge adds what t counted to s.
func (s *Summary) Merge(t Summary) {
	s.Messages += t.Messages
	s.New += t.New
	s.Duplicate += t.Duplicate
	s.Rejected += t.Rejected
	s.Refused += t.Refused
	s.Waiting += t.Waiting
	s.Evicted += t.Evicted
	s.Forked += t.Forked
	s.Frozen += t.Frozen
	s.Lost += t.Lost
	s.Retried += t.Retried
	s.NewFeeds += t.NewFeeds
	for feed, d := range t.Feeds {
		s.mergeFeed(feed, d)
	}
	s.Gaps = appendUpTo(s.Gaps, maxGaps, t.Gaps...)
	s.Forks = appendUpTo(s.Forks, maxForks, t.Forks...)
	s.Rejects = appendUpTo(s.Rejects, maxRejects, t.Rejects...)
}

func (s *Summary) mergeFeed(feed refs.Feed, d FeedSummary) {
	s.feed(feed, func(f *FeedSummary) {
		f.New += d.New
		f.Refused += d.Refused
		f.Waiting += d.Waiting
		f.First = f.First || d.First
	})
}

// feed changes the details of a feed, unless there are too many.
func (s *Summary) feed(feed refs.Feed, change func(*FeedSummary)) {
	d, ok := s.Feeds[feed]
	if !ok && len(s.Feeds) >= maxFeedDetails {
		return
	}
	if s.Feeds == nil {
		s.Feeds = make(map[refs.Feed]FeedSummary)
	}
	change(&d)
	s.Feeds[feed] = d
}

// appendUpTo appends as many items as the bound allows.
func appendUpTo[T any](s []T, bound int, items ...T) []T {
	return append(s, items[:max(0, min(len(items), bound-len(s)))]...)
}
