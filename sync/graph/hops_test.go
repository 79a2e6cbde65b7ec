package graph_test

import (
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/graph"
)

// TestDistances spells out how follows and blocks by different people add up.
func TestDistances(t *testing.T) {
	const me, friend, other, far = 0, 1, 2, 3
	cases := []struct {
		name  string
		edges [][3]int // from, to, relation
		steps int
		want  map[int]int
	}{
		{"alone", nil, 3, map[int]int{me: 0}},
		{"chain", [][3]int{{0, 1, 1}, {1, 2, 1}, {2, 3, 1}}, 3, map[int]int{0: 0, 1: 1, 2: 2, 3: 3}},
		{"chain cut by steps", [][3]int{{0, 1, 1}, {1, 2, 1}, {2, 3, 1}}, 2, map[int]int{0: 0, 1: 1, 2: 2}},
		{"no steps", [][3]int{{0, 1, 1}}, 0, map[int]int{0: 0}},
		{"shorter way", [][3]int{{0, 1, 1}, {1, 2, 1}, {2, 3, 1}, {1, 3, 1}}, 3, map[int]int{0: 0, 1: 1, 2: 2, 3: 2}},
		{"follows of others", [][3]int{{1, 0, 1}, {2, 0, -1}, {1, 2, 1}}, 3, map[int]int{0: 0}},
		{"I block", [][3]int{{0, 1, 1}, {0, 2, -1}, {1, 2, 1}, {2, 3, 1}}, 3, map[int]int{0: 0, 1: 1, 2: -1}},
		{"I unfollowed", [][3]int{{0, 1, -2}, {1, 2, 1}}, 3, map[int]int{0: 0, 1: -2}},
		{"I unfollowed, a friend follows", [][3]int{{0, 1, 1}, {0, 2, -2}, {1, 2, 1}}, 3, map[int]int{0: 0, 1: 1, 2: 2}},
		{"a friend blocks", [][3]int{{0, 1, 1}, {1, 3, -1}}, 3, map[int]int{0: 0, 1: 1, 3: -2}},
		{"a friend blocks, another follows", [][3]int{{0, 1, 1}, {0, 2, 1}, {1, 3, -1}, {2, 3, 1}}, 3, map[int]int{0: 0, 1: 1, 2: 1, 3: 2}},
		{"a friend blocks, I follow", [][3]int{{0, 1, 1}, {0, 3, 1}, {1, 3, -1}}, 3, map[int]int{0: 0, 1: 1, 3: 1}},
		{"a friend blocks, a friend's friend follows", [][3]int{{0, 1, 1}, {1, 2, 1}, {1, 3, -1}, {2, 3, 1}}, 4, map[int]int{0: 0, 1: 1, 2: 2, 3: -2}},
		{"a friend unfollowed, a friend's friend follows", [][3]int{{0, 1, 1}, {1, 2, 1}, {1, 3, -2}, {2, 3, 1}}, 4, map[int]int{0: 0, 1: 1, 2: 2, 3: 3}},
		{"a friend blocks me", [][3]int{{0, 1, 1}, {1, 0, -1}}, 3, map[int]int{0: 0, 1: 1}},
	}
	for n, c := range cases {
		s := openStore(t)
		authors := []*author{newAuthor(4 * n), newAuthor(4*n + 1), newAuthor(4*n + 2), newAuthor(4*n + 3)}
		for _, e := range c.edges {
			appendAll(t, s, authors[e[0]].write(t, contact(authors[e[1]].feed(), says(graph.Relation(e[2])))))
		}
		want := map[refs.Feed]int{}
		for who, distance := range c.want {
			want[authors[who].feed()] = distance
		}
		g := update(t, openGraph(t, s))
		if got := g.Distances(authors[me].feed(), c.steps, false); !maps.Equal(got, want) {
			t.Errorf("%s: %v, want %v", c.name, got, want)
		}
		maps.DeleteFunc(want, func(_ refs.Feed, d int) bool { return d < 0 })
		if got := g.Hops(authors[me].feed(), c.steps); !maps.Equal(got, want) {
			t.Errorf("%s: hops %v, want %v", c.name, got, want)
		}
	}
}

func says(r graph.Relation) string {
	return map[graph.Relation]string{graph.Following: follow, graph.Blocking: block, graph.Neutral: unfollow}[r]
}

// TestDistancesAgainstRelaxation compares with the rules applied to every
// edge again and again until nothing changes.
func TestDistancesAgainstRelaxation(t *testing.T) {
	const graphs, people = 60, 9
	rng := rand.New(rand.NewPCG(1, 1))
	s := openStore(t)
	var roots []refs.Feed
	var msgs []*message.Message
	for n := range graphs {
		var authors []*author
		for i := range people {
			authors = append(authors, newAuthor(n*people+i))
		}
		roots = append(roots, authors[0].feed())
		for range rng.IntN(40) {
			r := []graph.Relation{graph.Following, graph.Following, graph.Blocking, graph.Neutral}[rng.IntN(4)]
			to := authors[rng.IntN(people)].feed()
			msgs = append(msgs, authors[rng.IntN(people)].write(t, contact(to, says(r))))
		}
	}
	appendAll(t, s, msgs...)
	g := update(t, openGraph(t, s))
	edges, _ := g.Edges()
	for _, root := range roots {
		for steps := range 5 {
			for _, reverse := range []bool{false, true} {
				want := relax(edges, root, steps, reverse)
				if got := g.Distances(root, steps, reverse); !maps.Equal(got, want) {
					t.Fatalf("%d steps, reverse %v: %v, want %v", steps, reverse, got, want)
				}
			}
		}
	}
	t.Logf("%d graphs, %d messages, %d edges", graphs, len(msgs), len(edges))
}

func relax(edges []graph.Edge, root refs.Feed, steps int, reverse bool) map[refs.Feed]int {
	distances := map[refs.Feed]int{root: 0}
	for changed := true; changed; {
		changed = false
		for _, e := range edges {
			if reverse {
				e.From, e.To = e.To, e.From
			}
			from, ok := distances[e.From]
			if !ok || from < 0 || from >= steps {
				continue
			}
			after := from + 1
			if e.Relation != graph.Following {
				after = -from + int(e.Relation)
			}
			if before, ok := distances[e.To]; !ok || wins(after, before) {
				distances[e.To], changed = after, true
			}
		}
	}
	return distances
}

func wins(a, b int) bool {
	if a*a == b*b {
		return a > b
	}
	return a*a < b*b
}
