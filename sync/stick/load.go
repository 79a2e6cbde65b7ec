package stick

import (
	"container/heap"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// maxLoad bounds the memory that the claims of all bundles on a medium take,
// in bytes; what an import plans with them takes about as much again. A thousand
// bundles with a thousand pieces each fit.
const maxLoad = 96 << 20

// load is how much memory the claims of the bundles on a medium take. When it
// is too much, the ones that claim most go first, those of exporters whom nobody
// vouches for before others: what somebody puts on a medium to be in the way
// keeps nobody from the rest.
type load struct {
	trusts  func(refs.Feed) bool
	limit   int64
	bytes   int64
	heap    []weighed
	dropped []*source
}

type weighed struct {
	src     *source
	trusted bool
	bytes   int64
}

func newLoad(trusts func(refs.Feed) bool, limit int64) *load {
	return &load{trusts: trusts, limit: limit}
}

// add takes a source in and drops what there is no room for.
func (l *load) add(s *source) {
	if s.broken != "" {
		return
	}
	w := weighed{s, l.trusts(s.exporter), s.weight()}
	heap.Push(l, w)
	for l.bytes += w.bytes; l.bytes > l.limit; {
		w := heap.Pop(l).(weighed)
		l.bytes -= w.bytes
		w.src.facts = &facts{name: w.src.name}
		w.src.broken = "too large"
		l.dropped = append(l.dropped, w.src)
	}
}

// weight returns about what the facts of a source take in memory.
func (s *source) weight() int64 {
	const perFrame, perRun, perBlob = 32, 80, 32
	n := perBlob * int64(len(s.facts.blobs))
	for i := range s.frames {
		n += perFrame + perRun*int64(len(s.frames[i].runs))
	}
	return n
}

// Len implements heap.Interface.
func (l *load) Len() int { return len(l.heap) }

// Less implements heap.Interface: what is dropped first comes first.
func (l *load) Less(a, b int) bool {
	x, y := l.heap[a], l.heap[b]
	if x.trusted != y.trusted {
		return y.trusted
	}
	return x.bytes > y.bytes
}

// Swap implements heap.Interface.
func (l *load) Swap(a, b int) { l.heap[a], l.heap[b] = l.heap[b], l.heap[a] }

// Push implements heap.Interface.
func (l *load) Push(x any) { l.heap = append(l.heap, x.(weighed)) }

// Pop implements heap.Interface.
func (l *load) Pop() any {
	last := l.heap[len(l.heap)-1]
	l.heap = l.heap[:len(l.heap)-1]
	return last
}
