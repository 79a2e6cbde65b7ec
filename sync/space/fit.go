package space

import (
	"cmp"
	"math"
	"slices"

	"github.com/ssbsync/ssbsync/sync/vector"
)

// Piece is something to write: messages that live stores lack and want.
type Piece struct {
	vector.Span
	Bytes int64 // what it will take on the medium, about
}

// Fit is what to do on a medium that is too small.
type Fit struct {
	Remove []Candidate   // in this order
	Write  []vector.Span // what is worth writing, in the order of the pieces
	Left   []vector.Span // what is not, or has no place
	Frees  int64         // bytes of what is removed
}

// displace is how many times more what is written must be needed than what
// somebody needs as well and that goes for it. Without a margin two would take
// turns in being written.
const displace = 2

// Make decides which bundles go to make place for pieces, and which pieces are
// worth that. What live stores need most comes first. Nothing goes when
// everything fits into the room there is, and nothing goes in vain.
func Make(p Policy, m *Medium, pieces []Piece) Fit {
	f := fitter{Medium: m, chunks: m.chunks(pieces), room: m.Room}
	if !f.takeAll() {
		f.candidates = p.Candidates(m)
		f.takeFree()
		f.takePressed()
	}
	f.fit.sort(f.chunks)
	return f.fit
}

// Relieve returns what goes although our store has nothing to write, so that
// there is some room for others: what nobody needs, until the spare part of the
// capacity is free. A store that has something to write may not hold what is in
// the way, and so may not remove it.
func Relieve(p Policy, m *Medium) []Candidate {
	lacking := m.Spare() - m.Room
	if lacking <= 0 {
		return nil
	}
	list := Unneeded(p, m)
	for i, c := range list {
		if lacking <= 0 {
			return list[:i]
		}
		lacking -= m.Bundles[c.Bundle].Size
	}
	return list
}

// Unneeded returns what may go although nothing is written in its place, in the
// order in which it goes. What no store that we know acknowledged is not
// released by that: who it is for may be on his way. Nor do strangers have too
// much of what a live store lacks: our own may be unable to write it again.
func Unneeded(p Policy, m *Medium) []Candidate {
	return slices.DeleteFunc(p.Candidates(m), func(c Candidate) bool {
		switch c.Reason {
		case IsReplaced:
			return false
		case IsExcess:
			return m.lacked(c.Bundle)
		case IsReleased:
			return !m.acknowledged(c.Bundle)
		}
		return true
	})
}

// lacked reports whether a live store that we trust needs something of a bundle.
func (m *Medium) lacked(bundle int) bool {
	return m.rate(bundle).need > 0 || slices.ContainsFunc(m.Bundles[bundle].Blobs, m.lackedBlob)
}

// acknowledged reports whether there is somebody whose word releases a bundle
// that no live store lacks: a live store, or where all have not come by for
// long one of those, and none of them lacks any of it.
func (m *Medium) acknowledged(bundle int) bool {
	if slices.ContainsFunc(m.Stores, func(s Store) bool { return s.pins() }) {
		return true
	}
	return slices.ContainsFunc(m.Stores, func(s Store) bool { return s.Trusted }) && m.rate(bundle).dormant == 0
}

// fitter is Make on its way.
type fitter struct {
	*Medium
	chunks     []chunk // what is needed most first
	candidates []Candidate
	room       int64
	fit        Fit
}

// takeAll takes every chunk if there is room for all.
func (f *fitter) takeAll() bool {
	var sum int64
	for i := range f.chunks {
		sum += f.chunks[i].bytes
	}
	for i := range f.chunks {
		f.chunks[i].fits = sum <= f.room
	}
	return sum <= f.room
}

// takeFree takes chunks as far as the room goes, and what nobody needs makes
// room for more.
func (f *fitter) takeFree() {
	for i := range f.chunks {
		c := &f.chunks[i]
		n, gain := 0, int64(0)
		for c.need > 0 && f.room+gain < c.bytes && n < len(f.candidates) && f.candidates[n].Need == 0 {
			gain += f.sizeOf(n)
			n++
		}
		if f.room+gain >= c.bytes {
			f.remove(n)
			f.take(c)
		}
	}
}

// takePressed removes what is needed for what is needed more: as much as it
// takes until what fits then is worth it.
func (f *fitter) takePressed() {
	f.candidates = slices.DeleteFunc(f.candidates, func(c Candidate) bool { return c.Need == 0 })
	_, most := f.wouldFit(math.MaxInt64)
	for n, gain, loss := 0, int64(0), 0.0; n < len(f.candidates) && displace*loss <= most; {
		gain += f.sizeOf(n)
		loss += f.candidates[n].Need * float64(f.sizeOf(n))
		n++
		list, need := f.wouldFit(f.room + gain)
		if len(list) == 0 || need < displace*loss {
			continue
		}
		f.remove(n)
		for _, i := range list {
			f.take(&f.chunks[i])
		}
		n, gain, loss, most = 0, 0, 0, most-need
	}
}

// wouldFit returns the chunks not taken yet that fit into so much room
// together, and how badly they are needed.
func (f *fitter) wouldFit(room int64) (list []int, need float64) {
	for i := range f.chunks {
		if c := &f.chunks[i]; !c.fits && c.need > 0 && c.bytes <= room {
			room -= c.bytes
			list, need = append(list, i), need+c.need*float64(c.bytes)
		}
	}
	return list, need
}

func (f *fitter) sizeOf(n int) int64 { return f.Bundles[f.candidates[n].Bundle].Size }

// remove lets the first n candidates go.
func (f *fitter) remove(n int) {
	for i := range n {
		f.fit.Frees += f.sizeOf(i)
		f.room += f.sizeOf(i)
	}
	f.fit.Remove = append(f.fit.Remove, f.candidates[:n]...)
	f.candidates = f.candidates[n:]
}

func (f *fitter) take(c *chunk) {
	f.room -= c.bytes
	c.fits = true
}

// chunk is a part of a piece.
type chunk struct {
	vector.Span
	piece int
	bytes int64
	need  float64 // per byte
	fits  bool
}

// firstChunk is the length of the first part of a piece, in messages; each
// further one is twice as long, for what is far from what a store holds is of
// little use without what comes before.
const firstChunk = 32

// chunks cuts the pieces, and sorts by need.
func (m *Medium) chunks(pieces []Piece) []chunk {
	var list []chunk
	for i, p := range pieces {
		each := max(1, p.Bytes/max(1, p.Len()))
		for size := int64(firstChunk); p.First <= p.Last; size *= 2 {
			c := chunk{Span: p.Span, piece: i}
			c.Last = min(p.Last, p.First+size-1)
			c.bytes = each * c.Len()
			c.need = m.Need(c.Span) / float64(c.bytes)
			list = append(list, c)
			p.First = c.Last + 1
		}
	}
	slices.SortStableFunc(list, func(a, b chunk) int { return cmp.Compare(b.need, a.need) })
	return list
}

// sort lists what is written and what is left, in the order of the pieces.
func (f *Fit) sort(chunks []chunk) {
	slices.SortFunc(chunks, func(a, b chunk) int {
		return cmp.Or(cmp.Compare(a.piece, b.piece), cmp.Compare(a.First, b.First))
	})
	for i := range chunks {
		list := &f.Left
		if chunks[i].fits {
			list = &f.Write
		}
		if n := len(*list); n > 0 && i > 0 && chunks[i-1].piece == chunks[i].piece && (*list)[n-1].Feed == chunks[i].Feed && (*list)[n-1].Last+1 == chunks[i].First {
			(*list)[n-1].Last = chunks[i].Last
			continue
		}
		*list = append(*list, chunks[i].Span)
	}
}
