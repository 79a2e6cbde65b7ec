package space

import (
	"cmp"
	"slices"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// excess returns the bundles that strangers have on the medium above their
// share: of whoever has most the largest first, so that one who fills the
// medium does not drive out another. Those in gone are not counted any more.
func excess(m *Medium, gone map[int]bool) []int {
	share := int64(StrangerShare * float64(m.Capacity()))
	total := int64(0)
	each := make(map[refs.Feed]*stranger)
	for i := range m.Bundles {
		b := &m.Bundles[i]
		if !b.Stranger || gone[i] || b.Fixed {
			continue
		}
		if each[b.Exporter] == nil {
			each[b.Exporter] = &stranger{id: b.Exporter}
		}
		each[b.Exporter].bytes += b.Size
		each[b.Exporter].bundles = append(each[b.Exporter].bundles, i)
		total += b.Size
	}
	list := make([]*stranger, 0, len(each))
	for _, s := range each {
		slices.SortFunc(s.bundles, func(a, b int) int {
			return cmp.Or(cmp.Compare(m.Bundles[a].Size, m.Bundles[b].Size), cmp.Compare(b, a))
		})
		list = append(list, s)
	}
	var over []int
	for total > share {
		s := slices.MaxFunc(list, compareStrangers)
		i := s.bundles[len(s.bundles)-1]
		s.bundles = s.bundles[:len(s.bundles)-1]
		s.bytes -= m.Bundles[i].Size
		total -= m.Bundles[i].Size
		over = append(over, i)
	}
	return over
}

// stranger is what one exporter whom we do not trust has on the medium.
type stranger struct {
	id      refs.Feed
	bytes   int64
	bundles []int // the largest last
}

func compareStrangers(a, b *stranger) int {
	return cmp.Or(cmp.Compare(a.bytes, b.bytes), a.id.Compare(b.id))
}
