package vector

import (
	"slices"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// Union returns the messages that are in r or in other.
func (r *Ranges) Union(other *Ranges) *Ranges {
	var sum Ranges
	sum.AddAll(r)
	sum.AddAll(other)
	return &sum
}

// Intersect returns the messages that are in both sets.
func (r *Ranges) Intersect(other *Ranges) *Ranges { return r.combine(other, intersect) }

// Subtract returns the messages of r that are not in other.
func (r *Ranges) Subtract(other *Ranges) *Ranges { return r.combine(other, subtract) }

// combine applies op to the runs of each feed of r.
func (r *Ranges) combine(other *Ranges, op func(a, b []Range) []Range) *Ranges {
	result := Ranges{make(map[refs.Feed][]Range)}
	if r == nil {
		return &result
	}
	for feed, runs := range r.feeds {
		if left := op(runs, other.runs(feed)); len(left) > 0 {
			result.feeds[feed] = left
		}
	}
	return &result
}

// union merges the normalised runs of one feed.
func union(a, b []Range) []Range {
	merged := make([]Range, 0, len(a)+len(b))
	for len(a) > 0 || len(b) > 0 {
		if len(b) == 0 || len(a) > 0 && a[0].First <= b[0].First {
			merged, a = insert(merged, a[0]), a[1:]
		} else {
			merged, b = insert(merged, b[0]), b[1:]
		}
	}
	return merged
}

// intersect returns what is in both a and b.
func intersect(a, b []Range) []Range {
	var both []Range
	for len(a) > 0 && len(b) > 0 {
		first, last := max(a[0].First, b[0].First), min(a[0].Last, b[0].Last)
		if first <= last {
			both = append(both, Range{first, last})
		}
		if a[0].Last < b[0].Last {
			a = a[1:]
		} else {
			b = b[1:]
		}
	}
	return both
}

// subtract returns what is in a and not in b.
func subtract(a, b []Range) []Range {
	if len(b) == 0 {
		return slices.Clone(a)
	}
	var left []Range
	for _, run := range a {
		for _, cut := range b[search(b, run.First):] {
			if cut.First > run.Last {
				break
			}
			if cut.First > run.First {
				left = append(left, Range{run.First, cut.First - 1})
			}
			run.First = cut.Last + 1
		}
		if run.First <= run.Last {
			left = append(left, run)
		}
	}
	return left
}
