package stick

import (
	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// salvage finds out what the frames of a bundle hold when its range table is
// lost, as the lines themselves claim. It reports false when that would take
// more memory than the range table could have: the lines are no messages.
func (s *source) salvage(r *bundle.Reader) bool {
	room := int(max(s.size, 1<<16)) / 20 // what a run takes there
	for i := range s.frames {
		raw, err := r.ReadFrame(i)
		if err != nil {
			continue
		}
		s.frames[i].runs = runsOf(raw)
		if room -= len(s.frames[i].runs); room < 0 {
			return false
		}
	}
	return true
}

// runsOf returns what the lines of a frame claim to be. Lines that say nothing
// of it, or nothing that can be true, are runs of no feed, and of no use.
func runsOf(raw []byte) []run {
	var runs []run
	for line := range bundle.Lines(raw) {
		v, err := message.Fields(line)
		if err != nil || v.Feed.IsZero() || v.Seq < 1 {
			v.Feed, v.Seq = refs.Feed{}, 1
			if n := len(runs); n > 0 && runs[n-1].Feed.IsZero() {
				v.Seq = runs[n-1].Last + 1
			}
		}
		if n := len(runs); n > 0 && runs[n-1].Feed == v.Feed && runs[n-1].Last+1 == v.Seq {
			runs[n-1].Last++
			continue
		}
		r := run{Run: bundle.Run{Feed: v.Feed, First: v.Seq, Last: v.Seq}}
		if v.Feed.IsZero() {
			r.spoil(r.First)
			r.lie = true
		}
		runs = append(runs, r)
	}
	return runs
}
