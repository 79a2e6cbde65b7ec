package stick

import (
	"cmp"
	"slices"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/vector"
)

// job is a frame to open, and what to take from it.
type job struct {
	src   *source
	frame int
	takes []take
}

// take is a piece of one run: the messages First to Last.
type take struct {
	run         int
	first, last int64
}

// lacking returns what of a claimed span our store lacks, our policy wants
// and could be stored.
type lacking func(vector.Span) []vector.Span

// planner chooses the frames to open. It holds what was tried in this visit,
// so that a second round asks other bundles for what the first did not give.
type planner struct {
	sources []*source // best first
	tried   map[*source]*vector.Ranges
}

// newPlanner orders the sources: trusted exporters first, then by name, which
// nobody can choose freely.
func newPlanner(sources []*source, trusts func(refs.Feed) bool) *planner {
	sources = slices.Clone(sources)
	rank := func(s *source) int {
		if trusts(s.exporter) {
			return 0
		}
		return 1
	}
	slices.SortFunc(sources, func(a, b *source) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.name, b.name))
	})
	return &planner{sources, make(map[*source]*vector.Ranges)}
}

// next returns the frames for one round: with once, each lacking message is
// looked for in one place only; without, wherever it is claimed to be.
func (p *planner) next(lacks lacking, once bool) []job {
	var jobs []job
	var planned vector.Ranges
	for _, s := range p.sources {
		for i := range s.frames {
			j := job{src: s, frame: i}
			for k := range s.frames[i].runs {
				j.takes = p.takes(j.takes, s, &s.frames[i].runs[k], k, lacks, &planned, once)
			}
			if len(j.takes) > 0 {
				jobs = append(jobs, j)
			}
		}
	}
	return jobs
}

// takes appends what is to be taken from one run.
func (p *planner) takes(dst []take, s *source, r *run, index int, lacks lacking, planned *vector.Ranges, once bool) []take {
	claim := vector.Span{Feed: r.Feed, First: r.First, Last: r.end()}
	if claim.Len() == 0 {
		return dst
	}
	for _, lack := range lacks(claim) {
		for _, fresh := range p.tried[s].Uncovered(lack) {
			pieces := []vector.Span{fresh}
			if once {
				pieces = planned.Uncovered(fresh)
			}
			for _, piece := range pieces {
				dst = append(dst, take{index, piece.First, piece.Last})
				planned.Add(piece.Feed, piece.First, piece.Last)
				p.try(s, piece)
			}
		}
	}
	return dst
}

func (p *planner) try(s *source, piece vector.Span) {
	if p.tried[s] == nil {
		p.tried[s] = &vector.Ranges{}
	}
	p.tried[s].Add(piece.Feed, piece.First, piece.Last)
}

// attach orders jobs so that, as far as it is possible, what comes before a
// message in its feed is handed over before it. Each job waits for the jobs
// that hold earlier pieces of its feeds; where jobs wait for each other the
// one that waits for least goes first, and the rest is left to the pipeline.
func attach(jobs []job) []job {
	after, blockers := dependencies(jobs)
	queue := newMinQueue(blockers)
	ordered := make([]job, 0, len(jobs))
	for range jobs {
		i := queue.pop()
		ordered = append(ordered, jobs[i])
		for _, next := range after[i] {
			queue.lower(next)
		}
	}
	return ordered
}

// dependencies returns for each job those that directly follow it in some
// feed, and how many it follows.
func dependencies(jobs []job) (after [][]int, blockers []int) {
	type piece struct {
		first int64
		job   int
	}
	feeds := make(map[refs.Feed][]piece)
	for i, j := range jobs {
		for _, t := range j.takes {
			feed := j.src.frames[j.frame].runs[t.run].Feed
			feeds[feed] = append(feeds[feed], piece{t.first, i})
		}
	}
	after, blockers = make([][]int, len(jobs)), make([]int, len(jobs))
	for _, pieces := range feeds {
		slices.SortFunc(pieces, func(a, b piece) int {
			return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.job, b.job))
		})
		for k := 1; k < len(pieces); k++ {
			if a, b := pieces[k-1].job, pieces[k].job; a != b {
				after[a] = append(after[a], b)
				blockers[b]++
			}
		}
	}
	return after, blockers
}
