package sim

import (
	"fmt"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/space"
	"github.com/ssbsync/ssbsync/sync/stick"
	"github.com/ssbsync/ssbsync/sync/vector"
)

// The second half of a visit, as sync/stick/squeeze.go and merge.go have it.

// give exports what others lack, as far as there is room or room is made.
func (v *call) give() (moved bool) {
	plan := v.plan()
	if len(plan.Spans) > 0 {
		moved = v.export(plan)
	}
	moved = v.merge() || moved
	return v.relieve() || moved
}

// relieve removes what nobody needs from a stick that is nearly full.
func (v *call) relieve() bool {
	room := v.room()
	if !v.policy.Relieves || len(v.others) == 0 || room >= (room+v.medium.bundleBytes)/space.SpareShare {
		return false
	}
	var gone []*Bundle
	for _, c := range space.Relieve(v.policy.Goes, v.space()) {
		gone = append(gone, v.medium.bundles[c.Bundle])
	}
	v.remove(gone)
	return len(gone) > 0
}

// plan asks what to export.
func (v *call) plan() Plan {
	e := Export{Own: v.node.own, Held: v.node.clock(v.world), Covered: v.covered(), Policy: reach{v.node, v.world}}
	e.Unknown = len(v.others) == 0
	for _, h := range v.others {
		switch {
		case !v.node.trusts[h.Identity]:
			e.Strangers = append(e.Strangers, h)
		case v.live(h):
			e.Live = append(e.Live, h)
		default:
			e.Dormant = append(e.Dormant, h)
		}
	}
	return v.rules.Plan(e)
}

// live reports whether a store comes by still, as far as the policy asks.
func (v *call) live(h *stick.Have) bool {
	return !v.policy.DropDormant || space.Live(h.Visit, v.newest, len(v.others)+1)
}

// export writes a plan.
func (v *call) export(plan Plan) (moved bool) {
	room, each := v.room(), v.medium.messageSize()
	if v.rules.Estimate(messages(plan.Spans), each) <= room-v.spare(room) {
		rest, wrote := v.write(plan.Spans, room)
		if len(rest) == 0 {
			return wrote
		}
		moved = wrote
		plan = Plan{rest, plan.Live[len(plan.Live)-len(rest):]}
		each = v.learn(each)
	}
	return v.squeeze(plan, each) || moved
}

// squeeze writes what there is or can be made room for.
func (v *call) squeeze(plan Plan, each int64) bool {
	urgent, other := v.rules.Split(plan)
	moved := v.makeRoom(urgent, each)
	room := v.room()
	_, wrote := v.write(other, room-v.spare(room))
	return moved || wrote
}

// maxTries is how often room is made in one visit.
const maxTries = 4

func (v *call) makeRoom(plan []vector.Span, each int64) (moved bool) {
	for try := 0; len(plan) > 0 && try < maxTries; try++ {
		fit := space.Make(v.policy.Goes, v.space(), v.pieces(plan, each))
		if len(fit.Write) == 0 {
			break
		}
		var gone []*Bundle
		for _, c := range fit.Remove {
			gone = append(gone, v.medium.bundles[c.Bundle])
		}
		v.remove(gone)
		rest, wrote := v.write(fit.Write, v.room())
		moved = moved || wrote || len(gone) > 0
		plan = without(plan, fit.Write, rest)
		each = v.learn(each)
	}
	return moved
}

// without returns a plan without what was written: all but the rest.
func without(plan, written, rest []vector.Span) (left []vector.Span) {
	gone := vector.FromSpans(written).Subtract(vector.FromSpans(rest))
	for _, s := range plan {
		left = append(left, gone.Uncovered(s)...)
	}
	return left
}

// learn returns what a message took in this visit, or believes that it takes
// more than was thought.
func (v *call) learn(each int64) int64 {
	if v.packed == 0 {
		return 2 * each
	}
	return v.bytes / v.packed
}

// pieces says what the spans of a plan take on a stick.
func (v *call) pieces(plan []vector.Span, each int64) []space.Piece {
	total := messages(plan)
	per := v.rules.Estimate(total, each) / max(1, total)
	list := make([]space.Piece, len(plan))
	for i, s := range plan {
		list[i] = space.Piece{Span: s, Bytes: per * s.Len()}
	}
	return list
}

func messages(plan []vector.Span) (n int64) {
	for _, s := range plan {
		n += s.Len()
	}
	return n
}

// room is how much may be written: the reserve and what the have will take
// are left alone.
func (v *call) room() int64 {
	if v.medium.capacity == 0 {
		return 1 << 52
	}
	return max(0, v.medium.capacity-v.medium.used()-stick.DefaultReserve-48*int64(len(v.feeds))-4096)
}

// spare is how much room is kept for what live stores will lack.
func (v *call) spare(room int64) int64 {
	if len(v.others) == 0 {
		return 0
	}
	return (room + v.medium.bundleBytes) / space.SpareShare
}

// space returns the stick as package space sees it.
func (v *call) space() *space.Medium {
	m := &space.Medium{Room: v.room(), Offered: v.offered}
	m.Bundles = make([]space.Bundle, len(v.medium.bundles))
	for i, b := range v.medium.bundles {
		trusted := v.node.trusts[b.Exporter]
		sb := space.Bundle{Name: b.name(), Fixed: b.visit == v.res.Visits, Size: b.Size, Exporter: b.Exporter, Own: b.Exporter == v.node.own, Stranger: !trusted, Messages: b.Messages}
		sb.Runs = make([]space.Run, len(b.Spans))
		for k, s := range b.Spans {
			held := v.node.held[v.number[s.Feed]] >= s.Last
			sb.Runs[k] = space.Run{Span: s, Counts: trusted || held, Held: held}
		}
		m.Bundles[i] = sb
	}
	for _, h := range v.others {
		m.Stores = append(m.Stores, space.Store{
			Identity: h.Identity, Trusted: v.node.trusts[h.Identity], Live: v.live(h),
			Holds: h.Holds, Wants: h.Wants,
		})
	}
	return m
}

// name returns a name in whose order there is no meaning, as that of a hash.
func (b *Bundle) name() string { return fmt.Sprintf("%016x", uint64(b.Number)*0x9e3779b97f4a7c15) }

// offered reports whether a feed is offered to everybody.
func (v *call) offered(feed refs.Feed) bool {
	for _, h := range v.others {
		if h.Identity == feed && v.node.trusts[feed] {
			return true
		}
	}
	return feed == v.node.own
}

func (v *call) remove(gone []*Bundle) {
	v.medium.remove(gone)
	v.res.Removed += len(gone)
}

// merge writes one bundle that takes the place of some, where that pays.
func (v *call) merge() bool {
	m, options := v.medium, space.MergeOptions{}
	tiny := 0
	for _, b := range m.bundles {
		if b.Exporter == v.node.own && options.IsTiny(b.Size) {
			tiny++
		}
	}
	if !v.policy.Merges || !options.Enough(len(m.bundles), tiny) {
		return false
	}
	group := v.pick(space.Merge(v.space(), options))
	if len(group) == 0 {
		return false
	}
	if old := v.pick(space.Replaced(v.space())); len(old) > 0 {
		v.remove(old)
		group = v.pick(space.Merge(v.space(), options))
	}
	var spans []vector.Span
	for _, b := range group {
		spans = append(spans, b.Spans...)
	}
	if len(spans) > 0 {
		b := m.place(v.node.own, pack(spans), v.res.Visits)
		v.res.MergeBytes += b.Size
		v.res.Merged += len(group)
		m.remove(group)
	}
	return true
}

// pick returns the bundles with some numbers.
func (v *call) pick(list []int) (bundles []*Bundle) {
	for _, i := range list {
		bundles = append(bundles, v.medium.bundles[i])
	}
	return bundles
}
