package sim

import "math/rand/v2"

// Year is the scenario of the target: ten nodes, a thousand feeds, one visit
// of each node a day, a stick of twice the data. The rate is the new messages
// of a feed a day.
func Year(days int, rate float64) Scenario {
	s := Scenario{Name: "year", Seed: 1, Days: days, Nodes: 10, Feeds: 1000, Rate: rate}
	s.Sticks = []int64{2 * s.Bytes()}
	return s
}

// busy is the rate of the scenarios with full sticks: so high that the reserve
// and the head of a bundle are small beside what a few feeds write.
const busy = 40

// DeadNode is a stick for a tenth of the data, which one of ten nodes visits
// until a sixth of the time is over.
func DeadNode(seed uint64, days, feeds int) Scenario {
	s := Scenario{Name: "dead node", Seed: seed, Days: days, Nodes: 10, Feeds: feeds, Rate: busy}
	s.Deaths = []Death{{Node: 3, Day: float64(days) / 6}}
	s.Sticks = []int64{s.Bytes() / 10}
	return s
}

// village is what the scenarios below begin with: eight nodes, fifty busy
// feeds, and as many sticks as are given, each for a part of the data.
func village(name string, days int, parts ...float64) Scenario {
	s := Scenario{Name: name, Seed: 1, Days: days, Nodes: 8, Feeds: 50, Rate: busy}
	for _, part := range parts {
		s.Sticks = append(s.Sticks, int64(part*float64(s.Bytes())))
	}
	return s
}

// SeveralSticks has each node meet one of three sticks a day, whichever.
func SeveralSticks(days int) Scenario {
	s := village("several sticks", days, 0.3, 0.3, 0.3)
	s.Visits = s.any
	return s
}

// LostSticks has three sticks, of which one gets lost every other week.
func LostSticks(days int) Scenario {
	s := village("lost sticks", days, 0.3, 0.3, 0.3)
	s.Visits = s.any
	for day := 14; day < days; day += 14 {
		s.Losses = append(s.Losses, Loss{Stick: day / 14 % 3, Day: float64(day)})
	}
	return s
}

// any has each node meet any of the sticks once a day.
func (s *Scenario) any(r *rand.Rand, day int) (visits []Visit) {
	sticks := len(s.Sticks)
	for node := range s.Nodes {
		visits = append(visits, Visit{float64(day) + r.Float64(), node, r.IntN(sticks)})
	}
	return visits
}

// Graphs has nodes that want two feeds of three, not the same ones, and trust
// those whose feeds they want.
func Graphs(days int) Scenario {
	s := village("follow graphs", days, 0.3)
	s.Wants = func(node, feed int) bool { return feed%s.Nodes == node || (feed*7+node*5)%3 != 0 }
	s.Trusts = func(node, other int) bool { return s.Wants(node, other) }
	return s
}

// Restored has one node that comes back ten days old.
func Restored(days int) Scenario {
	s := village("restored store", days, 0.3)
	s.Restores = []Restore{{Node: 2, Day: float64(days) / 2, Back: 10}}
	return s
}

// TwoVillages has two sticks in two villages of five, and a courier who is at
// both once a week.
func TwoVillages(days int) Scenario {
	s := village("two villages", days, 0.3, 0.3)
	s.Nodes = 11
	s.Visits = func(r *rand.Rand, day int) (visits []Visit) {
		for node := range 10 {
			visits = append(visits, Visit{float64(day) + r.Float64(), node, node / 5})
		}
		if day%7 == 3 {
			visits = append(visits, Visit{float64(day) + 0.3, 10, 0}, Visit{float64(day) + 0.7, 10, 1})
		}
		return visits
	}
	return s
}

// Scenarios returns what every policy for the space on a stick must live with.
func Scenarios(days int) []Scenario {
	return []Scenario{DeadNode(1, days, 50), SeveralSticks(days), LostSticks(days), Graphs(days), Restored(days), TwoVillages(days), Weekly(days)}
}

// Weekly has half of the nodes come by once a week only, to a stick for seven
// days' data: a little too small, for by then they lack that much and it takes a
// reserve.
func Weekly(days int) Scenario {
	s := village("weekly visitors", days, 7/float64(days))
	s.Visits = func(r *rand.Rand, day int) (visits []Visit) {
		for node := range s.Nodes {
			if node%2 == 0 || day%7 == node%7 {
				visits = append(visits, Visit{float64(day) + r.Float64(), node, 0})
			}
		}
		return visits
	}
	return s
}
