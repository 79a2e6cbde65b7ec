package vector

import (
	"iter"
	"maps"
	"slices"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// Range is a run of sequences of one feed, both ends included.
type Range struct{ First, Last int64 }

// Ranges is a set of messages: for each feed the runs of sequences that are
// there. The runs of a feed are kept ascending, without overlap and never
// adjacent, so that one set has one form.
//
// The zero value is an empty set, ready for use; a nil *Ranges can be read.
type Ranges struct {
	feeds map[refs.Feed][]Range
}

// FromSpans makes the set of all messages in the spans, in any order. It is
// the way to build a large set: its cost does not depend on the order.
func FromSpans(spans []Span) *Ranges {
	spans = slices.Clone(spans)
	slices.SortFunc(spans, func(a, b Span) int {
		if c := compare(&a.Feed, &b.Feed); c != 0 {
			return c
		}
		return int(min(max(a.First-b.First, -1), 1))
	})
	var r Ranges
	for _, s := range spans {
		r.Add(s.Feed, s.First, s.Last)
	}
	return &r
}

// FromClock makes the set of all messages that c holds: 1 to its sequence
// for each feed.
func FromClock(c Clock) *Ranges {
	r := Ranges{make(map[refs.Feed][]Range, c.Len())}
	for feed, seq := range c.All() {
		r.Add(feed, 1, seq)
	}
	return &r
}

// Add adds the messages first to last of a feed. What is below 1 or above
// MaxSeq is left out; nothing is added when last is below first.
//
// Adding in ascending order costs a constant time; a piece in the middle of
// many has to make room. See FromSpans.
func (r *Ranges) Add(feed refs.Feed, first, last int64) {
	first, last = max(first, 1), min(last, MaxSeq)
	if last < first {
		return
	}
	if r.feeds == nil {
		r.feeds = make(map[refs.Feed][]Range)
	}
	r.feeds[feed] = insert(r.feeds[feed], Range{first, last})
}

// insert adds a run to the normalised runs of one feed, in place.
func insert(runs []Range, add Range) []Range {
	if n := len(runs); n == 0 || runs[n-1].Last+1 < add.First {
		return append(runs, add)
	}
	// The runs i to j-1 overlap the new one or touch it: they become one.
	i := search(runs, add.First-1)
	j := i
	for j < len(runs) && runs[j].First <= add.Last+1 {
		add.First = min(add.First, runs[j].First)
		add.Last = max(add.Last, runs[j].Last)
		j++
	}
	return slices.Replace(runs, i, j, add)
}

// search returns the index of the first run that ends at seq or later.
func search(runs []Range, seq int64) int {
	i, _ := slices.BinarySearchFunc(runs, seq, func(run Range, seq int64) int {
		return int(min(max(run.Last-seq, -1), 1))
	})
	return i
}

// AddAll adds all messages of another set.
func (r *Ranges) AddAll(other *Ranges) {
	if other == nil {
		return
	}
	if r.feeds == nil {
		r.feeds = make(map[refs.Feed][]Range, len(other.feeds))
	}
	for feed, theirs := range other.feeds {
		if ours := r.feeds[feed]; len(ours) == 0 {
			r.feeds[feed] = slices.Clone(theirs)
		} else {
			r.feeds[feed] = union(ours, theirs)
		}
	}
}

// Feed returns the runs of one feed, ascending, as a copy.
func (r *Ranges) Feed(feed refs.Feed) []Range { return slices.Clone(r.runs(feed)) }

// runs returns the runs of one feed; the slice belongs to r.
func (r *Ranges) runs(feed refs.Feed) []Range {
	if r == nil {
		return nil
	}
	return r.feeds[feed]
}

// Covers reports whether every message first to last of the feed is in the
// set. The empty piece (last below first) is covered always.
func (r *Ranges) Covers(feed refs.Feed, first, last int64) bool {
	return last < first || r.Through(feed, first) >= last
}

// Through returns the last sequence of the unbroken run of messages that
// begins with first, or first-1 when first itself is not in the set.
func (r *Ranges) Through(feed refs.Feed, first int64) int64 {
	runs := r.runs(feed)
	if i := search(runs, first); i < len(runs) && runs[i].First <= first {
		return runs[i].Last
	}
	return first - 1
}

// Uncovered returns the pieces of s that are not in the set, ascending.
func (r *Ranges) Uncovered(s Span) []Span {
	return appendSpans(nil, s.Feed, subtract([]Range{{s.First, s.Last}}, r.runs(s.Feed)))
}

// Len returns the number of feeds of which anything is in the set.
func (r *Ranges) Len() int {
	if r == nil {
		return 0
	}
	return len(r.feeds)
}

// Count returns the number of messages in the set.
func (r *Ranges) Count() int64 {
	if r == nil {
		return 0
	}
	var n int64
	for _, runs := range r.feeds {
		for _, run := range runs {
			n += run.Last - run.First + 1
		}
	}
	return n
}

// All yields the runs as spans: feeds ascending, and ascending in each feed.
func (r *Ranges) All() iter.Seq[Span] {
	return func(yield func(Span) bool) {
		for _, feed := range r.sorted() {
			for _, run := range r.feeds[feed] {
				if !yield(Span{feed, run.First, run.Last}) {
					return
				}
			}
		}
	}
}

// sorted returns the feeds in ascending order.
func (r *Ranges) sorted() []refs.Feed {
	if r == nil {
		return nil
	}
	feeds := slices.AppendSeq(make([]refs.Feed, 0, len(r.feeds)), maps.Keys(r.feeds))
	slices.SortFunc(feeds, func(a, b refs.Feed) int { return compare(&a, &b) })
	return feeds
}

// Equal reports whether both sets hold the same messages.
func (r *Ranges) Equal(other *Ranges) bool {
	if r.Len() != other.Len() {
		return false
	}
	return r.Len() == 0 || maps.EqualFunc(r.feeds, other.feeds, slices.Equal[[]Range])
}

func appendSpans(dst []Span, feed refs.Feed, runs []Range) []Span {
	for _, run := range runs {
		dst = append(dst, Span{feed, run.First, run.Last})
	}
	return dst
}
