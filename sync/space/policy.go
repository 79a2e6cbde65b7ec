package space

import (
	"cmp"
	"slices"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// Reason says why a bundle may go.
type Reason int

// The reasons, in the order in which bundles go.
const (
	IsReplaced Reason = iota // by other bundles
	IsExcess                 // strangers have more than their share
	IsReleased               // no live store that we trust lacks anything of it
	IsPressed                // somebody needs it, but others need something else more
)

// String returns a word for reports.
func (r Reason) String() string {
	return [...]string{"replaced", "excess", "released", "pressed"}[r]
}

// Candidate is a bundle that may go.
type Candidate struct {
	Bundle int // its index
	Reason Reason
	Need   float64 // per byte, of live stores; 0 unless IsPressed
}

// A Policy lists what may go, first to go first, when a medium runs out of
// space. Of two candidates that are pressed the one with less need comes
// first.
type Policy interface {
	Candidates(m *Medium) []Candidate
}

// StrangerShare is the part of a medium's capacity that bundles of strangers
// keep when space is short: an eighth. While there is space they may use all.
const StrangerShare = 1.0 / 8

// NeedScore is the policy of spec/stick.md: what is replaced goes first, then
// what strangers have above their share and no live store lacks, then whatever
// else none lacks, then the rest of what strangers have above their share, and
// at last what live stores need least. The zero value is ready.
type NeedScore struct{}

// Candidates implements Policy.
func (NeedScore) Candidates(m *Medium) []Candidate {
	gone := make(map[int]bool)
	var list []Candidate
	add := func(i int, why Reason, need float64) {
		list = append(list, Candidate{i, why, need})
		gone[i] = true
	}
	for _, i := range Replaced(m) {
		add(i, IsReplaced, 0)
	}
	useless, useful := m.rateExcess(gone)
	for _, i := range useless {
		add(i, IsExcess, 0)
	}
	var rest []rated
	for i := range m.Bundles {
		if !gone[i] && m.expendable(&m.Bundles[i]) {
			rest = append(rest, m.rate(i))
		}
	}
	slices.SortFunc(rest, compareRated)
	for len(rest) > 0 && rest[0].need == 0 {
		add(rest[0].bundle, IsReleased, 0)
		rest = rest[1:]
	}
	for _, i := range useful {
		add(i, IsExcess, 0)
	}
	for _, r := range rest {
		add(r.bundle, IsPressed, r.need)
	}
	return list
}

// rateExcess divides what strangers have above their share into what no live
// store lacks and the rest, and takes note that it is gone.
func (m *Medium) rateExcess(gone map[int]bool) (useless, useful []int) {
	for _, i := range excess(m, gone) {
		list := &useless
		if m.rate(i).need > 0 {
			list = &useful
		}
		*list = append(*list, i)
		gone[i] = true
	}
	return useless, useful
}

// expendable reports whether nothing is lost with a bundle: our store has all
// of it. One without anything readable in it is none of these.
func (m *Medium) expendable(b *Bundle) bool {
	if b.Fixed || len(b.Runs)+len(b.Blobs) == 0 {
		return false
	}
	for i := range b.Runs {
		if !b.Runs[i].Held {
			return false
		}
	}
	for _, id := range b.Blobs {
		if m.HoldsBlob == nil || !m.HoldsBlob(id) || m.lackedBlob(id) {
			return false
		}
	}
	return true
}

func (m *Medium) lackedBlob(id refs.Blob) bool {
	return slices.ContainsFunc(m.Stores, func(s Store) bool { return s.pins() && s.WantsBlob != nil && s.WantsBlob(id) })
}

// rated is a bundle with what it is worth, per byte.
type rated struct {
	bundle  int
	need    float64 // to live stores
	dormant float64 // to those that have not come by for long
	size    int64
}

func (m *Medium) rate(i int) rated {
	b := &m.Bundles[i]
	r := rated{bundle: i, size: max(b.Size, 1)}
	for k := range b.Runs {
		live, dormant := m.need(b.Runs[k].Span)
		r.need += live
		r.dormant += dormant
	}
	r.need /= float64(r.size)
	r.dormant /= float64(r.size)
	return r
}

// compareRated puts first what is needed least; of what nobody needs, small
// bundles first, so that no more goes than must.
func compareRated(a, b rated) int {
	return cmp.Or(cmp.Compare(a.need, b.need), cmp.Compare(a.dormant, b.dormant), cmp.Compare(a.size, b.size), cmp.Compare(a.bundle, b.bundle))
}
