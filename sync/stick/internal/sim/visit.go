package sim

import (
	"slices"
	"sort"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/space"
	"github.com/ssbsync/ssbsync/sync/stick"
	"github.com/ssbsync/ssbsync/sync/vector"
)

// Rules are the decisions of package stick that a simulation drives.
type Rules struct {
	// Present drops the haves of stores that others continue.
	Present func(haves []*stick.Have) []*stick.Have
	// NewestVisit returns the highest believable visit number.
	NewestVisit func(others []*stick.Have, own *stick.Have, trusts func(refs.Feed) bool) uint64
	// Plan returns what to export, and Split what of it, or of the end of it,
	// live stores lack.
	Plan  func(Export) Plan
	Split func(Plan) (urgent, other []vector.Span)
	// Estimate returns what so many messages take on a stick.
	Estimate func(count, each int64) int64
	// Shrink makes a delta of a have where that saves enough.
	Shrink func(h, full *stick.Have)
	// SameNews reports whether two haves say the same.
	SameNews func(a, b *stick.Have) bool
	// Size returns the size of a have file.
	Size func(h *stick.Have) int64
}

// Export is what decides what a visit exports.
type Export struct {
	Own       refs.Feed
	Held      vector.Clock
	Live      []*stick.Have // of stores that we trust and that come by
	Dormant   []*stick.Have // of those that do not any more
	Strangers []*stick.Have
	Unknown   bool // nobody else has left a have
	Covered   *vector.Ranges
	Policy    stick.Policy
}

// Plan is what to export, in the order of writing.
type Plan struct {
	Spans []vector.Span
	Live  []int64 // for each, the first message that a live store wants
}

// visit is a node at a stick. It reports whether anything moved.
func (w *world) visit(n *node, m *medium) bool {
	n.publish(w)
	n.recognise(m)
	others := w.rules.Present(m.others(n.id))
	if mine := m.haves[n.id]; mine == nil {
		delete(n.seen, m.id)
	}
	v := &call{world: w, node: n, medium: m, others: others}
	v.newest = w.rules.NewestVisit(others, n.seen[m.id], reach{n, w}.Trusts)
	moved := v.take()
	moved = v.give() || moved
	moved = v.acknowledge() || moved
	w.res.Visits++
	w.res.Fullest = max(w.res.Fullest, m.used())
	return moved
}

// call is one visit on its way.
type call struct {
	*world
	node   *node
	medium *medium
	others []*stick.Have
	newest uint64 // visit number
	packed int64  // messages written in this visit
	bytes  int64  // and what they took
}

// take imports what the node wants and lacks.
func (v *call) take() (moved bool) {
	n := v.node
	for f := range v.feeds {
		if !n.wants[f] {
			continue
		}
		seq := v.medium.covered.Through(v.feeds[f].id, n.held[f]+1)
		if seq <= n.held[f] {
			continue
		}
		n.held[f], moved = seq, true
		v.deliver(f, seq)
	}
	return moved
}

// deliver notes how late messages came. A store that gets back what it had
// before it was restored, and the home of a feed, are not late.
func (v *call) deliver(f int, seq int64) {
	n, s := v.node, &v.feeds[f]
	if from := n.arrived[f]; seq > from {
		n.arrived[f] = seq
		if !n.dead(v.world) && !v.res.calm {
			v.res.delivered += seq - from
			v.res.lag += v.now*float64(seq-from) - (s.sums[seq] - s.sums[from])
			v.res.Worst = max(v.res.Worst, v.now-s.times[from])
		}
	}
}

// settleLag counts what has not been delivered by the end of the last day as
// if it came then.
func (w *world) settleLag() {
	end := float64(w.Days)
	for _, n := range w.nodes {
		if n.dead(w) {
			continue
		}
		for f := range w.feeds {
			s, from := &w.feeds[f], n.arrived[f]
			if late := int64(len(s.times)) - from; n.wants[f] && late > 0 && s.home != n.index {
				w.res.Late += late
				w.res.delivered += late
				w.res.lag += end*float64(late) - (s.sums[len(s.times)] - s.sums[from])
				w.res.Worst = max(w.res.Worst, end-s.times[from])
			}
		}
	}
	w.res.Lag = w.res.lag / max(1, float64(w.res.delivered))
	w.res.calm = true
}

// covered returns what lies on the stick for everybody to take: what somebody
// exported whom the node trusts, and what it could compare with its own.
func (v *call) covered() *vector.Ranges {
	if v.Trusts == nil {
		return v.medium.covered
	}
	var spans []vector.Span
	for _, b := range v.medium.bundles {
		trusted := v.node.trusts[b.Exporter]
		for _, s := range b.Spans {
			if trusted || s.Last <= v.node.held[v.number[s.Feed]] {
				spans = append(spans, s)
			}
		}
	}
	return vector.FromSpans(spans)
}

// write packs a plan into bundles as far as the room goes, and returns what is
// left.
func (v *call) write(plan []vector.Span, room int64) (rest []vector.Span, wrote bool) {
	for len(plan) > 0 {
		spans, rest, full := fill(plan, min(targetSize, room), room < targetSize)
		if len(spans) == 0 {
			break
		}
		b := v.medium.place(v.node.own, pack(spans), v.res.Visits)
		v.res.Bundles++
		v.res.BundleBytes += b.Size
		v.res.Copies += b.Messages
		v.packed, v.bytes = v.packed+b.Messages, v.bytes+b.Size
		wrote, plan = true, rest
		before := room
		if room -= b.Size; full && room < before/2 {
			break
		}
	}
	return plan, wrote
}

// targetSize is where an exporter closes a bundle.
const targetSize = 64 << 20

// fill returns the spans that go into a bundle of at most limit bytes, and
// what is left; full says that the limit was the room on the stick.
func fill(plan []vector.Span, limit int64, tight bool) (spans, rest []vector.Span, full bool) {
	messages, runs := int64(0), int64(0)
	for i, s := range plan {
		// The program stops before the first message that might not fit.
		n := int64(sort.Search(int(s.Len()), func(k int) bool {
			return bundleBound(messages+int64(k), runs+1, tight)+lineSize+frameCost > limit
		}))
		if n > 0 {
			spans = append(spans, vector.Span{Feed: s.Feed, First: s.First, Last: s.First + n - 1})
			messages, runs = messages+n, runs+1
		}
		if n < s.Len() {
			rest = slices.Clone(plan[i:])
			rest[0].First += n
			return spans, rest, tight
		}
	}
	return spans, nil, false
}

// frameCost is what an export keeps for one more message besides itself.
const frameCost = 512

// acknowledge leaves a have if there is something new to say.
func (v *call) acknowledge() bool {
	n, m := v.node, v.medium
	h, mine, stores := v.compose(), n.seen[m.id], len(v.others)+1
	if mine != nil && v.rules.SameNews(mine, h) && !(v.policy.DropDormant && space.Fading(mine.Visit, v.newest, stores)) {
		return false
	}
	h.Counter, h.Visit = n.counter+1, v.newest+1
	file := *h
	if s := m.haves[n.id]; s != nil && s.full != nil {
		v.rules.Shrink(&file, s.full)
	}
	size := v.rules.Size(&file)
	if m.capacity > 0 && m.used()+size > m.capacity {
		return false // the stick is full
	}
	n.counter++
	m.acknowledge(h, file.Base, size)
	n.seen[m.id] = h
	v.res.Haves++
	v.res.HaveBytes += size
	return true
}

// compose says what the node holds and wants.
func (v *call) compose() *stick.Have {
	n := v.node
	h := &stick.Have{Stick: v.medium.id, Identity: n.own, Store: n.id, WantAll: n.wantsAll}
	h.Reads = append([]string{"bundle-1"}, bundle.Codecs()...)
	h.Replaces = slices.Clone(n.replaces)
	slices.SortFunc(h.Replaces, func(a, b stick.ID) int { return slices.Compare(a[:], b[:]) })
	for f := range v.feeds {
		switch id := v.feeds[f].id; {
		case n.held[f] > 0:
			h.Holdings = append(h.Holdings, stick.Holding{Feed: id, Seq: n.held[f], Wanted: !n.wantsAll && n.wants[f]})
		case n.wants[f] && !n.wantsAll:
			h.Feeds = append(h.Feeds, id)
		}
	}
	return h
}
