package space

import (
	"cmp"
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

// displace is how many times more a piece must be needed, per byte, than a
// bundle that somebody needs as well and that goes for it. Without a margin
// two would take turns in being written.
const displace = 2

// Make decides which bundles go to make place for pieces, and which pieces are
// worth that. What live stores need most comes first. Nothing goes when
// everything fits into the room there is.
func Make(p Policy, m *Medium, pieces []Piece) Fit {
	chunks := m.chunks(pieces)
	room := m.Room
	var candidates []Candidate
	asked := false
	var fit Fit
	for i := range chunks {
		c := &chunks[i]
		if c.bytes > room && !asked {
			candidates, asked = p.Candidates(m), true
		}
		n, gain := 0, int64(0)
		for n < len(candidates) && room+gain < c.bytes && candidates[n].Need*displace < c.need {
			gain += m.Bundles[candidates[n].Bundle].Size
			n++
		}
		if room+gain < c.bytes {
			continue // nothing goes in vain
		}
		fit.Remove = append(fit.Remove, candidates[:n]...)
		candidates = candidates[n:]
		fit.Frees += gain
		room += gain - c.bytes
		c.fits = true
	}
	fit.sort(chunks)
	return fit
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
