// Package space decides what stays on a medium that is too small for
// everything: which bundles may go and in which order, what is worth writing
// in their place, and which small bundles to merge.
//
// It is pure: a [Medium] says what one store knows of a medium at a visit, and
// the answers follow from it alone. The rules are those of spec/stick.md,
// "Space"; a store that follows others does no harm to this one.
//
// What is at stake when a bundle goes is never a message: it may go only when
// its messages lie elsewhere on the medium or in the deciding store, which will
// write them again for whoever asks. (Strangers who fill a medium are the one
// exception.) It is the time until somebody gets it.
package space

import (
	"math"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/vector"
)

// Run is a piece of a feed that a bundle claims to hold. What was found to be
// of no use to anybody is left out by the caller.
type Run struct {
	vector.Span

	// Counts: it is coverage (spec/stick.md, "Coverage"). What does not count
	// replaces nothing.
	Counts bool

	// Held: our store holds each message of it, and nothing says that they
	// are other ones.
	Held bool
}

// Bundle is one bundle on a medium.
type Bundle struct {
	Name     string
	Size     int64     // bytes
	Exporter refs.Feed // who signed it; zero when nobody can tell
	Own      bool      // our own identity signed it
	Stranger bool      // we do not trust the exporter, or nobody can tell who it is
	Messages int64     // that it claims to hold, the useless ones too: the same for everybody who looks
	Runs     []Run
	Blobs    []refs.Blob

	// Fixed: the bundle is not touched, whatever is in it: it is damaged in
	// part, say, and somebody may still read the rest.
	Fixed bool
}

// Store is somebody who comes by the medium, as its accepted have says.
type Store struct {
	Identity refs.Feed
	Trusted  bool // within our hops, or on our list: only such stores pin and release
	Live     bool // see Live

	Holds func(refs.Feed) int64 // the last sequence it holds, 0 for none
	Wants func(refs.Feed) bool  // whether it wants more of the feed

	WantsBlob func(refs.Blob) bool // nil: none
}

// Medium is what a store knows of a medium when it decides.
type Medium struct {
	Bundles []Bundle
	Stores  []Store // others, not our own
	Room    int64   // bytes that may still be written, the reserve left alone

	// Offered reports whether a feed is offered to every store, wanted or
	// not; nil means none. So are the feeds of those who come by: nobody can
	// come to want the feed of a newcomer that no medium ever shows.
	Offered func(refs.Feed) bool

	// HoldsBlob reports whether our store holds a blob; nil means none.
	HoldsBlob func(refs.Blob) bool
}

// Capacity is how many bytes of bundles the medium can hold in all.
func (m *Medium) Capacity() int64 {
	used := max(m.Room, 0)
	for i := range m.Bundles {
		used += m.Bundles[i].Size
	}
	return used
}

// Need says how badly live stores that we trust need a piece of a feed that
// may lie on the medium: a message counts 1/d for each store that lacks and
// wants it, d being its distance from the store's newest message of that
// feed. So the next message of a feed counts 1 for everyone who waits for it,
// and one that somebody can use only after a thousand others next to nothing.
func (m *Medium) Need(s vector.Span) float64 {
	live, _ := m.need(s)
	return live
}

// need is Need, of live stores and of those that have not come by for long.
func (m *Medium) need(s vector.Span) (live, dormant float64) {
	offered := m.Offered != nil && m.Offered(s.Feed)
	for i := range m.Stores {
		st := &m.Stores[i]
		if !st.Trusted || !offered && !st.Wants(s.Feed) {
			continue
		}
		if c := closeness(s, st.Holds(s.Feed)); st.Live {
			live += c
		} else {
			dormant += c
		}
	}
	return live, dormant
}

// pins reports whether the store has a say in what stays.
func (s *Store) pins() bool { return s.Trusted && s.Live }

// closeness is what a piece is worth to a store that holds the feed to seq.
func closeness(s vector.Span, seq int64) float64 {
	first := max(s.First, seq+1)
	if first > s.Last {
		return 0
	}
	return harmonic(s.Last-seq) - harmonic(first-1-seq)
}

// harmonic returns 1 + 1/2 + … + 1/n, to about six digits.
func harmonic(n int64) float64 {
	if n > 8 {
		x := float64(n)
		return math.Log(x) + 0.57721566490153286 + 1/(2*x) - 1/(12*x*x)
	}
	var sum float64
	for k := n; k >= 1; k-- {
		sum += 1 / float64(k)
	}
	return sum
}
