package sim

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"sort"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/stick"
	"github.com/ssbsync/ssbsync/sync/vector"
)

// world is a scenario on its way.
type world struct {
	Scenario
	rules  Rules
	policy Policy
	feeds  []feedState // ascending by id
	number map[refs.Feed]int
	nodes  []*node
	sticks []*medium
	visits []Visit
	now    float64
	res    Result
}

// feedState is one feed and when its messages arrived at its home.
type feedState struct {
	id    refs.Feed
	home  int
	times []float64
	sums  []float64 // sums[i] is the sum of the first i times
}

// until returns how many messages arrived up to a time.
func (f *feedState) until(t float64) int64 {
	return int64(sort.Search(len(f.times), func(i int) bool { return f.times[i] > t }))
}

// random derives a source of random numbers for one purpose, so that what is
// drawn for one does not depend on the others.
func (s *Scenario) random(purpose string) *rand.Rand {
	h := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(purpose), s.Seed))
	return rand.New(rand.NewPCG(binary.BigEndian.Uint64(h[:]), binary.BigEndian.Uint64(h[8:])))
}

// id derives a feed id from a number.
func (s *Scenario) id(n int) refs.Feed {
	return sha256.Sum256(binary.BigEndian.AppendUint64([]byte("feed"), s.Seed<<32|uint64(n)))
}

// newWorld makes the world as it is before the first day. Feed n has its home
// at node n modulo the number of nodes; the first feeds are the nodes' own.
func newWorld(s Scenario, rules Rules, policy Policy) *world {
	w := &world{Scenario: s, rules: rules, policy: policy, number: make(map[refs.Feed]int)}
	w.visits = s.schedule(s.random("visits"))
	last := make([]float64, s.Nodes) // what arrives later at a node that died is in nobody's reach
	for i := range last {
		last[i] = float64(s.Days)
	}
	for _, d := range s.Deaths {
		last[d.Node] = 0
		for _, v := range w.visits {
			if v.Node == d.Node {
				last[d.Node] = v.Time
			}
		}
	}
	r := s.random("arrivals")
	for n := range s.Feeds {
		f := feedState{id: s.id(n), home: n % s.Nodes}
		f.times = s.arrivals(r, last[f.home])
		f.sums = make([]float64, 1, len(f.times)+1)
		for i, t := range f.times {
			f.sums = append(f.sums, f.sums[i]+t)
		}
		w.feeds = append(w.feeds, f)
		w.res.Messages += int64(len(f.times))
	}
	slices.SortFunc(w.feeds, func(a, b feedState) int { return bytes.Compare(a.id[:], b.id[:]) })
	for i := range w.feeds {
		w.number[w.feeds[i].id] = i
	}
	for i := range s.Nodes {
		w.nodes = append(w.nodes, w.newNode(i))
	}
	for i := range s.Sticks {
		w.sticks = append(w.sticks, w.newMedium(i))
	}
	return w
}

// newMedium makes an empty stick in the i-th place.
func (w *world) newMedium(i int) *medium {
	m := &medium{capacity: w.Sticks[i], haves: make(map[stick.ID]*standing), covered: &vector.Ranges{}, runs: make(map[refs.Feed][]*Bundle)}
	binary.BigEndian.PutUint64(m.id[:], uint64(w.res.Lost)<<32|uint64(i)+1)
	return m
}

// run plays the scenario to its end.
func (w *world) run() Result {
	for _, v := range w.visits {
		w.happen(v.Time)
		w.now = v.Time
		w.visit(w.nodes[v.Node], w.sticks[v.Stick])
	}
	w.now = float64(w.Days)
	w.happen(w.now)
	w.settleLag()
	w.calm()
	return w.res
}

// happen lets losses and restores happen that are due.
func (w *world) happen(until float64) {
	for _, l := range w.Losses {
		if l.Day > w.now && l.Day <= until {
			w.res.Lost++
			w.sticks[l.Stick] = w.newMedium(l.Stick)
		}
	}
	for _, r := range w.Restores {
		n := w.nodes[r.Node]
		if at := r.Day - r.Back; at > w.now && at <= until {
			n.backup = n.copy()
		}
		if r.Day > w.now && r.Day <= until {
			n.restore()
		}
	}
}

// calmRounds bounds the calm phase.
const calmRounds = 100

// calm lets the nodes take turns, as they visited the sticks in the last
// days, until a whole round writes and moves nothing.
func (w *world) calm() {
	round := w.lastVisits()
	for w.res.CalmRounds = 1; w.res.CalmRounds <= calmRounds; w.res.CalmRounds++ {
		moved := false
		for _, v := range round {
			moved = w.visit(w.nodes[v.Node], w.sticks[v.Stick]) || moved
		}
		if !moved {
			break
		}
	}
	for _, n := range w.nodes {
		w.res.Renewed += n.renewed - 1
		if !n.dead(w) {
			w.res.Missing += n.missing(w)
		}
	}
}

// lastVisits returns each pair of a node and a stick that met in the last
// two weeks once, in the order of their first meeting then.
func (w *world) lastVisits() []Visit {
	type pair struct{ node, stick int }
	var round []Visit
	seen := make(map[pair]bool)
	for _, v := range w.visits {
		p := pair{v.Node, v.Stick}
		if v.Time >= float64(w.Days)-14 && !w.nodes[v.Node].dead(w) && !seen[p] {
			seen[p] = true
			round = append(round, v)
		}
	}
	return round
}

// Step is one visit of a script, and what arrived at the node before it.
type Step struct {
	Visit
	New []Arrival
}

// Arrival is that so many messages of a feed arrived at its home.
type Arrival struct {
	Feed  int // the first feeds are the nodes' own
	Count int
}

// Script returns the visits of a scenario, and a round of its calm phase, for
// those who want to play it with real stores.
func Script(s Scenario) (steps, round []Step) {
	w := newWorld(s, Rules{}, Real())
	done := make([]int64, s.Feeds)
	step := func(v Visit) Step {
		step := Step{Visit: v}
		for n := v.Node; n < s.Feeds; n += s.Nodes {
			f := &w.feeds[w.number[s.id(n)]]
			if count := f.until(v.Time); count > done[n] {
				step.New = append(step.New, Arrival{n, int(count - done[n])})
				done[n] = count
			}
		}
		return step
	}
	for _, v := range w.visits {
		steps = append(steps, step(v))
	}
	for _, v := range w.lastVisits() {
		v.Time = float64(s.Days)
		round = append(round, step(v))
	}
	return steps, round
}
