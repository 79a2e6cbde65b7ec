package sim

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// Scenario is a world and what happens in it. Times are in days.
type Scenario struct {
	Name  string
	Seed  uint64
	Days  int     // with new messages and the visits below
	Nodes int     // each has one store and its own feed
	Feeds int     // in all, at least Nodes
	Rate  float64 // new messages of a feed a day, on average

	// Sticks holds the size of each stick in bytes; 0 means no limit.
	Sticks []int64

	// Visits lists who visits which stick on a day, at any time of it; nil
	// means that each node visits the first stick once.
	Visits func(r *rand.Rand, day int) []Visit

	// Wants says whether a node wants a feed other than its own; nil means
	// every node wants every feed.
	Wants func(node, feed int) bool

	// Trusts says whether a node trusts another one; nil means always.
	Trusts func(node, other int) bool

	Deaths   []Death
	Losses   []Loss
	Restores []Restore
}

// Visit is a node at a stick.
type Visit struct {
	Time        float64
	Node, Stick int
}

// Death ends a node: it comes by no more.
type Death struct {
	Node int
	Day  float64
}

// Loss takes a stick away and puts an empty one in its place.
type Loss struct {
	Stick int
	Day   float64
}

// Restore brings a node's store back to what it was some days ago.
type Restore struct {
	Node int
	Day  float64
	Back float64
}

// Bytes returns the size of all messages of a scenario, each written once, as
// far as it can be told beforehand.
func (s *Scenario) Bytes() int64 {
	return onceBytes(int64(s.Rate * float64(s.Days) * float64(s.Feeds)))
}

// schedule returns the visits of all days, in order.
func (s *Scenario) schedule(r *rand.Rand) []Visit {
	plan := s.Visits
	if plan == nil {
		plan = func(r *rand.Rand, day int) []Visit {
			var visits []Visit
			for node := range s.Nodes {
				visits = append(visits, Visit{float64(day) + r.Float64(), node, 0})
			}
			return visits
		}
	}
	var all []Visit
	for day := range s.Days {
		visits := slices.DeleteFunc(plan(r, day), func(v Visit) bool { return v.Time >= s.death(v.Node) })
		slices.SortStableFunc(visits, func(a, b Visit) int { return cmp.Compare(a.Time, b.Time) })
		all = append(all, visits...)
	}
	return all
}

// death returns when a node dies.
func (s *Scenario) death(node int) float64 {
	for _, d := range s.Deaths {
		if d.Node == node {
			return d.Day
		}
	}
	return math.Inf(1)
}

// arrivals returns when the messages of a feed arrive at its home. Some feeds
// are busy and most are not: the averages are spread as in the data set of
// ssb-fixtures (Pareto, exponent 2: the busiest tenth makes a third).
func (s *Scenario) arrivals(r *rand.Rand, until float64) []float64 {
	u := (1 + r.Float64()*float64(s.Feeds)*2) / (1 + float64(s.Feeds)*2)
	rate := s.Rate / 2 / math.Sqrt(u)
	var times []float64
	for t := r.ExpFloat64() / rate; t < min(until, float64(s.Days)); t += r.ExpFloat64() / rate {
		times = append(times, t)
	}
	return times
}
