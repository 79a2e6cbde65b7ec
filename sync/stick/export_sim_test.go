package stick

import (
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/vector"
)

// What decides in a visit, for the simulator (see sim_test.go).

// DropReplaced is dropReplaced.
func DropReplaced(haves []*Have) []*Have { return dropReplaced(haves) }

// NewestVisitFor is newestVisit.
func NewestVisitFor(haves []*Have, own *Have, trusts func(refs.Feed) bool) uint64 {
	return newestVisit(haves, own, trusts)
}

// ExportPlan is exportPlan of a visit; live holds for each span the first
// message that a live store wants.
func ExportPlan(held vector.Clock, lively, dormant, strangers []*Have, unknown bool, covered *vector.Ranges, policy Policy, own refs.Feed) (plan []vector.Span, live []int64) {
	d := &demand{own: own, haves: lively, dormant: dormant, strangers: strangers, unknown: unknown, patient: !unknown}
	for _, p := range exportPlan(held, d, covered, policy, own, nil) {
		plan, live = append(plan, p.Span), append(live, p.live)
	}
	return plan, live
}

// Split is split.
func Split(plan []vector.Span, live []int64) (urgent, other []vector.Span) {
	pieces := unsized(plan)
	for i := range pieces {
		pieces[i].live = live[i]
	}
	a, b := split(pieces)
	return spansIn(a), spansIn(b)
}

func spansIn(plan []piece) (spans []vector.Span) {
	for _, p := range plan {
		spans = append(spans, p.Span)
	}
	return spans
}

// Estimate is estimate.
func Estimate(count, each int64) int64 { return estimate(count, each) }

// Shrink is shrink.
func Shrink(h, full *Have) { h.shrink(&ownHaves{full: full}) }

// SameNews is sameNews.
func SameNews(a, b *Have) bool { return a.sameNews(b) }

// HaveFileSize is the size of the file of a have.
func HaveFileSize(h *Have) int64 { return int64(len(h.body()) + signatureLen) }
