package stick

import (
	"context"
	"fmt"
)

// suspicions reads messages that seem to differ from ours at a place that we
// hold already: if they are valid the feed is forked, and the pipeline keeps
// the evidence. One message of each such run is enough.
func (im *importer) suspicions(ctx context.Context, sources []*source, lacks *lack, o ImportOptions) error {
	var jobs []job
	for _, s := range sources {
		for i := range s.frames {
			j := job{src: s, frame: i}
			for k := range s.frames[i].runs {
				differs, err := lacks.differs(s, &s.frames[i].runs[k])
				if err != nil {
					return fmt.Errorf("looking for forks: %w", err)
				}
				if last := s.frames[i].runs[k].Last; differs {
					j.takes = append(j.takes, take{k, last, last})
				}
			}
			if len(j.takes) > 0 {
				jobs = append(jobs, j)
			}
		}
	}
	if len(jobs) == 0 {
		return nil
	}
	fresh, err := im.round(ctx, jobs, o)
	if err != nil {
		return err
	}
	*lacks = *fresh
	for _, j := range jobs {
		for _, t := range j.takes {
			r := &j.src.frames[j.frame].runs[t.run]
			r.spoil(r.First)
			j.src.learnt = true
		}
	}
	return nil
}

// differs reports whether a run claims another message than ours at its end.
// What agrees once agrees for ever: our store replaces nothing.
func (l *lack) differs(s *source, r *run) (bool, error) {
	if r.agreed || r.junk != 0 || l.held.head(r.Feed) < r.Last || l.frozen[r.Feed] || !l.wants(r.Feed) || s.lost(0) {
		return false, nil
	}
	prefix, known, err := l.held.prefix(r.Feed, r.Last)
	if err != nil || !known {
		return false, err
	}
	if prefix == [8]byte(r.LastID) {
		r.agreed, s.learnt = true, true
		return false, nil
	}
	return true, nil
}
