package stick_test

import (
	"testing"

	"github.com/ssbsync/ssbsync/sync/stick"
	"github.com/ssbsync/ssbsync/sync/stick/internal/sim"
	"github.com/ssbsync/ssbsync/sync/vector"
)

// rules are the decisions of this package.
func rules() sim.Rules {
	return sim.Rules{
		Present:     stick.DropReplaced,
		NewestVisit: stick.NewestVisitFor,
		Plan: func(e sim.Export) sim.Plan {
			spans, live := stick.ExportPlan(e.Held, e.Live, e.Dormant, e.Strangers, e.Unknown, e.Covered, e.Policy, e.Own)
			return sim.Plan{Spans: spans, Live: live}
		},
		Split:    func(p sim.Plan) (urgent, other []vector.Span) { return stick.Split(p.Spans, p.Live) },
		Estimate: stick.Estimate,
		Shrink:   stick.Shrink,
		SameNews: stick.SameNews,
		Size:     stick.HaveFileSize,
	}
}

// TestSimulatedYear guards the target for what is written: the year is short
// here, and whole in TestSimulatedYears (tag ci).
func TestSimulatedYear(t *testing.T) {
	checkYear(t, sim.Year(30, 4))
}

// checkYear plays a year with ample space. Messages must arrive at the next
// visits, and what is written must stay within 1.5 times the messages.
func checkYear(t *testing.T, s sim.Scenario) {
	t.Helper()
	res := sim.Run(s, rules(), sim.Real())
	t.Logf("%d nodes, %d feeds, %d days, %g messages of a feed a day: %v", s.Nodes, s.Feeds, s.Days, s.Rate, res)
	if res.Overhead() > 1.5 {
		t.Errorf("%.2f times the messages were written, want at most 1.5", res.Overhead())
	}
	if !res.Calm() || res.Missing > 0 || res.Lag > 1.5 || res.Removed > 0 {
		t.Errorf("%d messages are missing, lag %.2f days, %d bundles removed", res.Missing, res.Lag, res.Removed)
	}
}

// TestSimulationRepeats: the seed decides everything.
func TestSimulationRepeats(t *testing.T) {
	run := func(seed uint64) sim.Result {
		s := sim.LostSticks(21)
		s.Seed = seed
		return sim.Run(s, rules(), sim.Real())
	}
	first := run(1)
	if again := run(1); again != first || first.Removed == 0 {
		t.Errorf("the same seed gave\n%+v\n%+v", first, again)
	}
	if other := run(2); other == first {
		t.Error("another seed gave the same")
	}
}
