package stick

import (
	"fmt"

	"github.com/ssbsync/ssbsync/sync/ingest"
	"github.com/ssbsync/ssbsync/sync/vector"
)

// NewReport returns the report of messages that came another way than from a
// medium.
func NewReport(s ingest.Summary) Report {
	var r Report
	r.count(s)
	for _, f := range s.Feeds {
		if f.New > 0 {
			r.Feeds++
		}
	}
	return r
}

// maxNamed is how many rejected messages and forked feeds an explanation
// names, and maxGapsNamed how many gaps, before it only counts.
const (
	maxNamed     = 20
	maxGapsNamed = 3
)

// Explain adds to the warnings and hints what follows from Rejects, Forks and
// Gaps. The report of an import or a visit has them already.
func (r *Report) Explain() {
	for _, reject := range r.Rejects[:min(len(r.Rejects), maxNamed)] {
		r.warn("%s", rejectText(reject))
	}
	if more := r.Rejected - maxNamed; len(r.Rejects) > 0 && more > 0 {
		r.warn("and %d more messages were rejected", more)
	}
	for _, fork := range r.Forks[:min(len(r.Forks), maxNamed)] {
		r.warn("feed %s is forked at sequence %d: nothing more of it is accepted", fork.Feed, fork.Seq)
	}
	if more := len(r.Forks) - maxNamed; more > 0 {
		r.warn("and %d more feeds are forked (see: ssbsync status)", more)
	}
	for _, gap := range r.Gaps[:min(len(r.Gaps), maxGapsNamed)] {
		r.hint("feed %s needs %s", gap.Feed, spanText(gap))
	}
	if more := len(r.Gaps) - maxGapsNamed; more > 0 {
		r.hint("and %d more feeds need earlier messages (see: ssbsync status)", more)
	}
}

// rejectText names a rejected message. Its source says where it lies.
func rejectText(r ingest.Reject) string {
	if r.Feed.IsZero() {
		return fmt.Sprintf("%s: %s", r.Source, r.Reason)
	}
	return fmt.Sprintf("%s: feed %s sequence %d: %s", r.Source, r.Feed, r.Seq, r.Reason)
}

// spanText returns "7" or "7–9".
func spanText(s vector.Span) string {
	if s.First == s.Last {
		return fmt.Sprint(s.First)
	}
	return fmt.Sprintf("%d–%d", s.First, s.Last)
}
