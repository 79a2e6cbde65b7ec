package vector

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// Missing returns what c holds and theirs lacks, feeds ascending.
func (c Clock) Missing(theirs Clock) []Span {
	var spans []Span
	var found [stretch]place
	for i, j := 0, 0; i < len(c.feeds); {
		end := min(i+stretch, len(c.feeds))
		var n int
		n, j = c.lacking(theirs, i, end, j, &found)
		i = end
		if cap(spans)-len(spans) < n {
			spans = slices.Grow(spans, c.expect(len(spans)+n, i)-len(spans))
		}
		for _, p := range found[:n] {
			s := Span{c.feeds[p.ours], 1, c.seqs[p.ours]}
			if p.theirs != unknown {
				s.First += theirs.seqs[p.theirs]
			}
			spans = append(spans, s)
		}
	}
	return spans
}

// expect tells how many spans there will be in all if as many feeds are missing
// among the rest as among the first i, and a few more. Ids are random, so that
// is nearly always true: memory for the result is taken once and not in vain.
func (c Clock) expect(spans, i int) int {
	return spans + (spans+spans/8+8)*(len(c.feeds)-i)/i
}

// stretch is how many feeds are compared before their spans are written: as
// many as leave what was found about them close to the processor.
const stretch = 1024

// place is where a feed that theirs lacks something of stands in both.
type place struct{ ours, theirs uint32 }

// unknown is the place in theirs of a feed that they do not know.
const unknown = math.MaxUint32

// lacking finds which of the feeds i to end, at most stretch, Missing reports.
// All of theirs before j are below them. It returns how many it found, and the
// next j.
func (c Clock) lacking(theirs Clock, i, end, j int, found *[stretch]place) (int, int) {
	n := 0
	for i < end && j < len(theirs.feeds) {
		a, b := &c.feeds[i], &theirs.feeds[j]
		if *a == *b { // most feeds are the same on both sides
			found[n%stretch] = place{uint32(i), uint32(j)}
			n += one(theirs.seqs[j] < c.seqs[i])
			i, j = i+1, j+1
			continue
		}
		// Which of two random ids is less nobody can guess, no processor
		// either: hence no branch.
		x, y := prefix(a), prefix(b)
		less := one(x < y)
		if x == y {
			less = one(bytes.Compare(a[8:], b[8:]) < 0)
		}
		found[n%stretch] = place{uint32(i), unknown}
		n += less & one(c.seqs[i] > 0)
		i += less
		j += 1 - less
	}
	for ; i < end; i++ {
		found[n%stretch] = place{uint32(i), unknown}
		n += one(c.seqs[i] > 0)
	}
	return n, j
}

// prefix returns the first eight bytes of an id as a number that orders as they
// do. Ids are random: this nearly always decides.
func prefix(feed *refs.Feed) uint64 { return binary.BigEndian.Uint64(feed[:8]) }

// one is 1 if true, else 0.
func one(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
