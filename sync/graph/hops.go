package graph

import (
	"maps"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// Hops returns the feeds that root reaches along so many follows at most,
// each with the number of follows to it: 0 for root itself, 1 for those it
// follows. Blocked feeds are not among them; see Distances.
func (g *Graph) Hops(root refs.Feed, steps int) map[refs.Feed]int {
	hops := g.Distances(root, steps, false)
	maps.DeleteFunc(hops, func(_ refs.Feed, distance int) bool { return distance < 0 })
	return hops
}

// Distances returns what friends.hops of ssb-friends does: the distance from
// root of each feed that is named within so many steps, negative if it is
// blocked or given up. With reverse, edges are walked against their direction.
//
// Of several edges to a feed the one nearest to root counts. A feed d steps
// from root that follows another puts it at d+1; that blocks it, at −(d+1);
// that took back a follow or block, at −(d+2). The distance of the smallest
// amount wins, and of equal amounts the positive one: a block by root always
// holds, one by a friend holds against follows by friends of friends, and
// gives way to a follow by another friend. From a negative distance nothing
// is reached.
func (g *Graph) Distances(root refs.Feed, steps int, reverse bool) map[refs.Feed]int {
	g.mu.RLock()
	defer g.mu.RUnlock()
	result := map[refs.Feed]int{root: 0}
	start, ok := g.index[root]
	if !ok {
		return result
	}
	edges := g.out
	if reverse {
		edges = g.reversed()
	}
	for n, distance := range walk(edges, start, steps) {
		result[g.feeds[n]] = distance
	}
	return result
}

// walk computes distances by number. All feeds of one distance are walked
// from before those of the next, so that what is walked from is final.
func walk(edges [][]arc, start uint32, steps int) map[uint32]int {
	distances := map[uint32]int{start: 0}
	level := []uint32{start}
	for d := 0; d < steps && len(level) > 0; d++ {
		var reached []uint32
		for _, from := range level {
			for _, a := range edges[from] {
				before, known := distances[a.to]
				after := step(d, a.relation)
				if known && !nearer(after, before) {
					continue
				}
				distances[a.to] = after
				if after > 0 {
					reached = append(reached, a.to)
				}
			}
		}
		level = reached
	}
	return distances
}

// step returns the distance of a feed of which one at distance d says so.
func step(d int, r Relation) int {
	if r == Following {
		return d + 1
	}
	return -d + int(r)
}

// nearer reports whether distance a wins against b.
func nearer(a, b int) bool {
	x, y := abs(a), abs(b)
	return x < y || x == y && a > b
}

func abs(n int) int { return max(n, -n) }

// reversed returns the edges by the feed they lead to.
func (g *Graph) reversed() [][]arc {
	in := make([][]arc, len(g.out))
	for from, arcs := range g.out {
		for _, a := range arcs {
			in[a.to] = append(in[a.to], arc{a.seq, uint32(from), a.relation})
		}
	}
	return in
}
