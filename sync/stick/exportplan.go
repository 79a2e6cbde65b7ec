package stick

import (
	"cmp"
	"slices"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/vector"
)

// demand is whom an export serves. The own feed is offered to everybody who
// lacks it, wanted or not: nobody could come to want the feed of a newcomer
// that no stick ever shows.
type demand struct {
	own       refs.Feed
	haves     []*Have // live stores of nodes that we trust, or the one receiver
	dormant   []*Have // stores of such nodes that have not come by for long
	strangers []*Have // stores of nodes that we do not know
	unknown   bool    // somebody who lacks and wants everything
	curious   bool    // whoever lacks something wants it

	// patient: what only dormant stores and strangers lack may wait until
	// there is space to spare.
	patient bool
}

// needs returns what of a feed that we hold to seq at least one receiver
// lacks and wants: always its end. live is the first message that a live store
// wants, known the first that one of those or a dormant one does; seq+1 when
// there is none.
func (d *demand) needs(feed refs.Feed, seq int64) (span vector.Span, live, known int64) {
	live = d.lacking(d.haves, feed, seq+1)
	known = d.lacking(d.dormant, feed, live)
	first := d.lacking(d.strangers, feed, known)
	if d.unknown {
		first = 1
	}
	return vector.Span{Feed: feed, First: first, Last: seq}, live, known
}

// lacking returns the first message of a feed that one of the stores lacks and
// wants, if that is below first.
func (d *demand) lacking(haves []*Have, feed refs.Feed, first int64) int64 {
	for _, h := range haves {
		if held := h.Holds(feed); held < first-1 && d.wants(h, feed) {
			first = held + 1
		}
	}
	return first
}

// wants reports whether a store is to be served with a feed.
func (d *demand) wants(h *Have, feed refs.Feed) bool {
	return d.curious || feed == d.own || h.Wants(feed)
}

// reads returns the formats that every known receiver reads.
func (d *demand) reads() []string {
	return slices.DeleteFunc(ourFormats(), func(name string) bool {
		lacks := func(h *Have) bool { return !h.Reading(name) }
		return slices.ContainsFunc(d.haves, lacks) || slices.ContainsFunc(d.dormant, lacks)
	})
}

// piece is a span to write, with what decides its turn.
type piece struct {
	vector.Span
	live  int64 // the first message that a live store wants; what is before it may wait
	class int   // 0 own feed, 1 wanted by a known store, 2 the rest
	hops  int   // distance, the highest for feeds out of reach
}

// exportPlan returns what to write, in the order of writing.
func exportPlan(held vector.Clock, d *demand, covered *vector.Ranges, policy Policy, own refs.Feed, wants func(refs.Feed) bool) []piece {
	var plan []piece
	for feed, seq := range held.All() {
		if wants != nil && !wants(feed) {
			continue
		}
		span, live, known := d.needs(feed, seq)
		if span.Len() == 0 {
			continue
		}
		missing := covered.Uncovered(span)
		if len(missing) == 0 {
			continue
		}
		p := piece{class: 2, hops: distance(policy, feed), live: live}
		if known <= seq {
			p.class = 1
		}
		if feed == own {
			p.class = 0
		}
		for _, p.Span = range missing {
			plan = append(plan, p)
		}
	}
	slices.SortStableFunc(plan, func(a, b piece) int {
		return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(a.hops, b.hops))
	})
	return plan
}

// distance is Policy.Hops with feeds out of reach behind all others.
func distance(policy Policy, feed refs.Feed) int {
	if hops := policy.Hops(feed); hops >= 0 {
		return hops
	}
	return 1 << 20
}

// messages counts the messages of a plan.
func messages(plan []piece) (n int64) {
	for i := range plan {
		n += plan[i].Len()
	}
	return n
}
