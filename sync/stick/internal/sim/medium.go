package sim

import (
	"cmp"
	"slices"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/stick"
	"github.com/ssbsync/ssbsync/sync/vector"
)

// medium is a stick and what lies on it.
type medium struct {
	id          stick.ID
	capacity    int64 // 0: no limit
	bundleBytes int64
	haveBytes   int64
	messages    int64     // in all bundles, copies counted
	placed      int       // bundles so far
	bundles     []*Bundle // in the order in which they were placed
	haves       map[stick.ID]*standing

	covered *vector.Ranges
	runs    map[refs.Feed][]*Bundle // the bundles with something of a feed
}

// Bundle is a bundle on a stick.
type Bundle struct {
	Number   int // counts the bundles of a stick, in the order of placing
	Exporter refs.Feed
	Spans    []vector.Span // grouped by feed, ascending in each
	Messages int64
	Size     int64
	visit    int // in which it was written
}

// standing is what one store left on a stick: its newest have, and the file
// that stays beside it.
type standing struct {
	newest *stick.Have // complete, also where the file is a delta
	full   *stick.Have // the newest one written in full
	sizes  map[uint64]int64
}

// used returns how much is on the stick.
func (m *medium) used() int64 { return m.bundleBytes + m.haveBytes }

// messageSize returns what a message takes on the average (scene.messageSize).
func (m *medium) messageSize() int64 {
	if m.messages == 0 {
		return 400
	}
	return min(max(m.bundleBytes/m.messages, 128), 4096)
}

// place puts a bundle on the stick.
func (m *medium) place(exporter refs.Feed, spans []vector.Span, visit int) *Bundle {
	m.placed++
	b := &Bundle{Number: m.placed, Exporter: exporter, Spans: spans, visit: visit}
	for _, s := range spans {
		b.Messages += s.Len()
		m.covered.Add(s.Feed, s.First, s.Last)
		if list := m.runs[s.Feed]; len(list) == 0 || list[len(list)-1] != b {
			m.runs[s.Feed] = append(list, b)
		}
	}
	b.Size = bundleBytes(b.Messages, int64(len(spans)))
	m.bundleBytes += b.Size
	m.messages += b.Messages
	m.bundles = append(m.bundles, b)
	return b
}

// remove takes bundles off the stick.
func (m *medium) remove(gone []*Bundle) {
	if len(gone) == 0 {
		return
	}
	out := make(map[*Bundle]bool)
	feeds := make(map[refs.Feed]bool)
	var spans []vector.Span
	for _, b := range gone {
		out[b] = true
		m.bundleBytes -= b.Size
		m.messages -= b.Messages
		spans = append(spans, b.Spans...)
		for _, s := range b.Spans {
			feeds[s.Feed] = true
		}
	}
	m.bundles = slices.DeleteFunc(m.bundles, func(b *Bundle) bool { return out[b] })
	m.covered = m.covered.Subtract(vector.FromSpans(spans))
	for feed := range feeds {
		m.runs[feed] = slices.DeleteFunc(m.runs[feed], func(b *Bundle) bool { return out[b] })
		for _, b := range m.runs[feed] {
			for _, s := range b.of(feed) {
				m.covered.Add(feed, s.First, s.Last)
			}
		}
	}
}

// of returns the spans of one feed.
func (b *Bundle) of(feed refs.Feed) []vector.Span {
	i, found := slices.BinarySearchFunc(b.Spans, feed, func(s vector.Span, f refs.Feed) int { return s.Feed.Compare(f) })
	if !found {
		return nil
	}
	j := i
	for j < len(b.Spans) && b.Spans[j].Feed == feed {
		j++
	}
	return b.Spans[i:j]
}

// pack orders spans as they stand in a bundle and joins those that touch.
func pack(spans []vector.Span) []vector.Span {
	return slices.Collect(vector.FromSpans(spans).All())
}

// others returns the newest haves on the stick but that of one store.
func (m *medium) others(own stick.ID) []*stick.Have {
	var haves []*stick.Have
	for id, s := range m.haves {
		if id != own {
			haves = append(haves, s.newest)
		}
	}
	slices.SortFunc(haves, func(a, b *stick.Have) int {
		return cmp.Or(a.Identity.Compare(b.Identity), slices.Compare(a.Store[:], b.Store[:]))
	})
	return haves
}

// acknowledge puts a have on the stick and removes the older ones, but for
// its base or the one before it. It returns the size of the file.
func (m *medium) acknowledge(h *stick.Have, base uint64, size int64) {
	s := m.haves[h.Store]
	if s == nil {
		s = &standing{sizes: make(map[uint64]int64)}
		m.haves[h.Store] = s
	}
	keep := base
	if base == 0 {
		if s.full = h; s.newest != nil {
			keep = s.newest.Counter
		}
	}
	s.newest, s.sizes[h.Counter] = h, size
	m.haveBytes += size
	for counter, size := range s.sizes {
		if counter != h.Counter && counter != keep {
			delete(s.sizes, counter)
			m.haveBytes -= size
		}
	}
}
