package blobs

import (
	"cmp"
	"slices"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// book is what is wanted and pushed, in the order in which it is announced. It
// is not safe for concurrent use.
type book struct {
	wants  map[refs.Blob]*want
	counts [Sympathy + 1]int // of wants by origin
	pushes map[refs.Blob]*push

	// released has the numbers of what was wanted and is not any more, for those
	// who want it for our sake.
	released map[refs.Blob]uint64

	// log has what to announce by number, ascending. An entry whose number is
	// not that of its blob any more is passed over.
	log  []entry
	last uint64
}

// entry is one announcement.
type entry struct {
	number uint64
	id     refs.Blob
}

// want is a blob that is wanted and not here.
type want struct {
	hops   int // −1 by us, −2 by a peer, −3 by one of its
	origin Origin
	number uint64 // in the log
	order  uint64 // higher ones go first among those of one origin
	source *peer  // from which it is being fetched
	askers []*peer
	failed int // fetches in a row, from whomever
}

// push is a blob that is offered until enough peers have it.
type push struct {
	number uint64
	taken  map[refs.Feed]struct{}
}

func newBook() *book {
	return &book{wants: make(map[refs.Blob]*want), pushes: make(map[refs.Blob]*push), released: make(map[refs.Blob]uint64)}
}

const (
	// releasedHops is so far away that nobody wants a blob out of sympathy: a
	// want of it says only that we lack the blob. The protocol has no other way
	// to take a want back.
	releasedHops = -1000

	// maxReleased bounds those that are remembered. Who was not told keeps a want
	// until we disconnect.
	maxReleased = 1 << 13
)

// release no longer wants a blob that has not come, and says so.
func (b *book) release(id refs.Blob) {
	b.drop(id)
	if len(b.released) >= maxReleased {
		clear(b.released)
	}
	b.released[id] = b.announce(id)
}

// add wants a blob, or wants it more than before, and reports whether that is
// to be announced.
func (b *book) add(id refs.Blob, hops int, origin Origin) (*want, bool) {
	w := b.wants[id]
	if w == nil {
		delete(b.released, id)
		w = &want{hops: hops, origin: origin}
		b.wants[id] = w
		b.counts[origin]++
		w.number = b.announce(id)
		w.order = w.number
		return w, true
	}
	if origin < w.origin {
		b.counts[w.origin]--
		w.origin = origin
		b.counts[origin]++
	}
	if hops <= w.hops {
		return w, false
	}
	w.hops = hops
	w.number = b.announce(id)
	return w, true
}

// drop no longer wants a blob.
func (b *book) drop(id refs.Blob) {
	if w := b.wants[id]; w != nil {
		b.counts[w.origin]--
		delete(b.wants, id)
		b.compact()
	}
}

// announce puts a blob at the end of the log. The entry counts once the caller has
// noted its number.
func (b *book) announce(id refs.Blob) uint64 {
	b.compact() // before: who calls has not noted the number yet
	b.last++
	b.log = append(b.log, entry{b.last, id})
	return b.last
}

// slack is how many entries of the log may be out of date, beside as many as
// are not.
const slack = 1024

// compact removes what is out of date once that is most of the log.
func (b *book) compact() {
	if len(b.log) <= 2*(len(b.wants)+len(b.pushes)+len(b.released))+slack {
		return
	}
	b.log = slices.Clip(slices.DeleteFunc(b.log, func(e entry) bool { return b.note(e).number == 0 }))
}

// note is what an entry announces, the number 0 when it is out of date.
func (b *book) note(e entry) note {
	if p := b.pushes[e.id]; p != nil && p.number == e.number {
		return note{e.id, -1}
	}
	if w := b.wants[e.id]; w != nil && w.number == e.number {
		return note{e.id, int64(w.hops)}
	}
	if number := b.released[e.id]; number != 0 && number == e.number {
		return note{e.id, releasedHops}
	}
	return note{}
}

// after returns what is announced after a number, at most limit notes, and the
// number to go on from. Of what was released up to the number heard nothing is
// said to who has not heard that it was wanted.
func (b *book) after(number, heard uint64, limit int) (notes []note, next uint64) {
	i, _ := slices.BinarySearchFunc(b.log, number+1, func(e entry, n uint64) int { return cmp.Compare(e.number, n) })
	for ; i < len(b.log) && len(notes) < limit; i++ {
		number = b.log[i].number
		if n := b.note(b.log[i]); n.number != 0 && (n.number != releasedHops || number > heard) {
			notes = append(notes, n)
		}
	}
	return notes, number
}
