package space

import (
	"cmp"
	"slices"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/vector"
)

// Replaced returns the bundles that others replace: each message in them lies
// in bundles that come after them in an order which is the same for everybody
// (by messages, bytes and name). So of several copies of a message the one in
// the last bundle is never removed for being a copy, even by stores that see
// different parts of a folder which is still being synced.
//
// Bundles of strangers replace nothing.
func Replaced(m *Medium) []int {
	order := make([]int, len(m.Bundles))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return compareBundles(&m.Bundles[b], &m.Bundles[a]) })
	var after vector.Ranges
	blobs := make(map[refs.Blob]bool)
	var replaced []int
	for _, i := range order {
		b := &m.Bundles[i]
		switch {
		case b.Fixed:
		case b.within(&after, blobs):
			replaced = append(replaced, i)
		case !b.Stranger:
			b.addTo(&after, blobs)
		}
	}
	slices.Sort(replaced)
	return replaced
}

// compareBundles is the order in which bundles replace each other.
func compareBundles(a, b *Bundle) int {
	return cmp.Or(cmp.Compare(a.Messages, b.Messages), cmp.Compare(a.Size, b.Size), cmp.Compare(a.Name, b.Name))
}

// within reports whether all that a bundle may be good for lies elsewhere. A
// bundle that is good for nothing is not replaced: nobody can tell what it is.
func (b *Bundle) within(messages *vector.Ranges, blobs map[refs.Blob]bool) bool {
	for i := range b.Runs {
		if r := &b.Runs[i]; !messages.Covers(r.Feed, r.First, r.Last) {
			return false
		}
	}
	for _, id := range b.Blobs {
		if !blobs[id] {
			return false
		}
	}
	return len(b.Runs)+len(b.Blobs) > 0
}

func (b *Bundle) addTo(messages *vector.Ranges, blobs map[refs.Blob]bool) {
	for i := range b.Runs {
		if r := &b.Runs[i]; r.Counts {
			messages.Add(r.Feed, r.First, r.Last)
		}
	}
	for _, id := range b.Blobs {
		blobs[id] = true
	}
}
