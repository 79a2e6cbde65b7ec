package space

import (
	"cmp"
	"slices"
)

// MergeOptions say when merging pays. The zero value means the defaults.
type MergeOptions struct {
	Most  int   // bundles on a medium above which the smallest are merged; 0: 4,096
	Tiny  int64 // bytes below which a bundle is mostly overhead; 0: 4 KiB
	Least int   // bundles that one merge replaces at least; 0: 32
	Bytes int64 // read by one merge, and so at most written; 0: 64 MiB
}

func (o MergeOptions) orDefaults() MergeOptions {
	return MergeOptions{cmp.Or(o.Most, 4096), cmp.Or(o.Tiny, 4<<10), cmp.Or(o.Least, 32), cmp.Or(o.Bytes, 64<<20)}
}

// IsTiny reports whether a bundle of that size is mostly overhead.
func (o MergeOptions) IsTiny(size int64) bool { return size < o.orDefaults().Tiny }

// Enough reports whether a medium with so many bundles, so many of them tiny
// and our own, may have some to merge.
func (o MergeOptions) Enough(bundles, tiny int) bool {
	o = o.orDefaults()
	return bundles > o.Most || tiny >= o.Least
}

// Merge returns the bundles to be rewritten as one, nil when that does not pay.
//
// Our own bundles below the tiny size are merged when there are enough of
// them: they consist of overhead more than of messages, so that writing those
// again is cheap. Each store merges its own, so that no two of them do the same
// work in a shared folder. Other bundles are merged, the smallest first, only
// when there are so many that visits get slow.
//
// Only bundles of which our store holds every message are merged, and of
// which everything counts: who merges vouches for what it writes.
func Merge(m *Medium, o MergeOptions) []int {
	o = o.orDefaults()
	crowded, limit := len(m.Bundles) > o.Most, o.Tiny
	if crowded {
		limit = o.Bytes
	}
	var list []int
	for i := range m.Bundles {
		if b := &m.Bundles[i]; (b.Own || crowded) && b.mergeable() {
			list = append(list, i)
		}
	}
	slices.SortFunc(list, func(a, b int) int { return compareSizes(&m.Bundles[a], &m.Bundles[b]) })
	n, sum := 0, int64(0)
	for n < len(list) && m.Bundles[list[n]].Size < limit && sum+m.Bundles[list[n]].Size <= min(o.Bytes, m.Room) {
		sum += m.Bundles[list[n]].Size
		n++
	}
	if n < o.Least {
		return nil
	}
	return list[:n]
}

func compareSizes(a, b *Bundle) int {
	return cmp.Or(cmp.Compare(a.Size, b.Size), cmp.Compare(a.Name, b.Name))
}

// mergeable reports whether all of a bundle can be written again.
func (b *Bundle) mergeable() bool {
	if b.Fixed || len(b.Runs) == 0 || len(b.Blobs) > 0 {
		return false
	}
	return !slices.ContainsFunc(b.Runs, func(r Run) bool { return !r.Held || !r.Counts })
}
