//go:build ci

package stick_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/sync/stick/internal/sim"
)

// TestSimulatedYears guards the target for what is written, from quiet feeds
// to busy ones.
func TestSimulatedYears(t *testing.T) {
	for _, rate := range []float64{1, 3, 8} {
		t.Run(fmt.Sprintf("%g a day", rate), func(t *testing.T) { checkYear(t, sim.Year(365, rate)) })
	}
}

// TestPoliciesCompared makes the table of spec/stick.md, "Policies compared".
func TestPoliciesCompared(t *testing.T) {
	policies := sim.Policies()
	var table strings.Builder
	table.WriteString("| scenario |")
	for _, p := range policies {
		fmt.Fprintf(&table, " %s |", p.Name)
	}
	table.WriteString("\n|---" + strings.Repeat("|---", len(policies)) + "|\n")
	for _, s := range sim.Scenarios(120) {
		fmt.Fprintf(&table, "| %s |", s.Name)
		for _, p := range policies {
			res := sim.Run(s, rules(), p)
			t.Logf("%s, seed %d, %s: %v", s.Name, s.Seed, p.Name, res)
			fmt.Fprintf(&table, " %.1f d, %.1f ×", res.Lag, res.Overhead())
			switch part := 100 * res.MissingPart(); {
			case part >= 1:
				fmt.Fprintf(&table, ", %.0f %%", part)
			case part > 0:
				fmt.Fprintf(&table, ", %.1f %%", part)
			}
			table.WriteString(" |")
			if p.Name == sim.Real().Name && (res.Missing > 0 || !res.Calm()) {
				t.Errorf("%s: %d messages never arrive", s.Name, res.Missing)
			}
		}
		table.WriteString("\n")
	}
	t.Logf("in each cell: mean lag, bytes written to all messages once, and messages that never arrive\n%s", &table)
}

// TestPoliciesWithManySeeds repeats the comparison that chose the policy.
func TestPoliciesWithManySeeds(t *testing.T) {
	for seed := range uint64(5) {
		checkPolicies(t, sim.DeadNode(seed, 60, 50), sim.Policies()...)
	}
}

// TestSimulatorAgainstVisitsOnASmallStick has bundles go, in both.
func TestSimulatorAgainstVisitsOnASmallStick(t *testing.T) {
	s := sim.Scenario{Name: "small stick", Seed: 7, Days: 20, Nodes: 4, Feeds: 50, Rate: 8, Sticks: []int64{2 << 20}}
	res := sim.Run(s, rules(), sim.Real())
	st := newStage(t, s, 0)
	rounds := st.play()
	st.close()
	t.Logf("%d rounds simulated, %d real", res.CalmRounds, rounds)
	if res.Removed == 0 || st.removed == 0 || res.Missing > 0 {
		t.Errorf("the stick is too large: %d bundles removed in the simulator, %d in real visits; %d messages missing", res.Removed, st.removed, res.Missing)
	}
	within(t, "bundles", int64(res.Bundles), st.bundles, 0.2)
	within(t, "bytes of bundles", res.BundleBytes, st.bundleBytes, 0.1)
	within(t, "bytes of haves", res.HaveBytes, st.haveBytes, 0.1)
}

// TestPolicies guards the choice of the policy: with a dead node of ten and a
// small stick messages arrive at least twice as early as when the oldest goes.
func TestPolicies(t *testing.T) {
	checkPolicies(t, sim.DeadNode(1, 36, 50), sim.DropOldest(), sim.Real())
}

func checkPolicies(t *testing.T, s sim.Scenario, policies ...sim.Policy) {
	t.Helper()
	lag := make(map[string]float64)
	for _, p := range policies {
		res := sim.Run(s, rules(), p)
		lag[p.Name] = res.Lag
		t.Logf("%s, seed %d, %s: %v", s.Name, s.Seed, p.Name, res)
		if p.Name == sim.Real().Name && (res.Missing > 0 || !res.Calm()) {
			t.Errorf("%s: %d messages never arrive", p.Name, res.Missing)
		}
	}
	if ours, oldest := lag[sim.Real().Name], lag[sim.DropOldest().Name]; ours*2 > oldest {
		t.Errorf("lag %.2f days, %.2f when the oldest goes: want half at most", ours, oldest)
	}
}

// TestScenarios has everything arrive everywhere, whatever happens, once
// nothing new does.
func TestScenarios(t *testing.T) {
	for _, s := range sim.Scenarios(30) {
		t.Run(s.Name, func(t *testing.T) {
			res := sim.Run(s, rules(), sim.Real())
			t.Logf("%v; %d sticks lost, %d stores renewed", res, res.Lost, res.Renewed)
			if !res.Calm() || res.Missing > 0 {
				t.Errorf("calm %v, %d messages are missing", res.Calm(), res.Missing)
			}
			if res.Removed == 0 || res.Lost != len(s.Losses) || res.Renewed != len(s.Restores) {
				t.Errorf("the scenario did not happen: %d bundles removed, %d sticks lost, %d stores renewed", res.Removed, res.Lost, res.Renewed)
			}
		})
	}
}

// within reports whether a figure of the simulator is at most a part off.
func within(t *testing.T, what string, simulated, real int64, part float64) {
	t.Helper()
	t.Logf("%s: %d simulated, %d real", what, simulated, real)
	if diff := float64(simulated - real); diff > part*float64(real) || -diff > part*float64(real) {
		t.Errorf("%s: the simulator says %d, real visits %d; they may differ by %g %%", what, simulated, real, part*100)
	}
}

// TestSimulatorAgainstVisits plays the same visits in the simulator and with
// real stores and a real folder: so many bundles, and so many bytes.
func TestSimulatorAgainstVisits(t *testing.T) {
	s := sim.Scenario{Name: "small", Seed: 7, Days: 15, Nodes: 4, Feeds: 50, Rate: 1, Sticks: []int64{0}}
	res := sim.Run(s, rules(), sim.Real())
	st := newStage(t, s, 0)
	rounds := st.play()
	st.close()
	within(t, "rounds until nothing moved", int64(res.CalmRounds), int64(rounds), 0)
	within(t, "bundles", int64(res.Bundles), st.bundles, 0)
	within(t, "bytes of bundles", res.BundleBytes, st.bundleBytes, 0.05)
	within(t, "bytes of haves", res.HaveBytes, st.haveBytes, 0.01)
}
