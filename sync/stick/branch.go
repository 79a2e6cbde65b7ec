package stick

import (
	"context"

	"github.com/ssbsync/ssbsync/spec/message"
)

// noteBranch looks at a message of a run that did not give what it claims. The
// run may reach across our head: then what comes after it does not attach
// because the feed was forked before, and the message at the place of our head
// is the evidence.
func (im *importer) noteBranch(at place, run int, m *message.Message, lacks *lack) error {
	if m.Seq() != lacks.held.head(m.Feed()) || lacks.frozen[m.Feed()] {
		return nil
	}
	prefix, known, err := lacks.held.prefix(m.Feed(), m.Seq())
	if id := m.ID(); err == nil && known && prefix != [8]byte(id[:8]) {
		im.branches = append(im.branches, job{at.src, at.frame, []take{{run, m.Seq(), m.Seq()}}})
	}
	return err
}

// takeBranches hands over the messages that noteBranch found, which freezes
// their feeds, and returns what is lacking afterwards.
func (im *importer) takeBranches(ctx context.Context, o ImportOptions) (*lack, error) {
	jobs := im.branches
	im.branches = nil
	lacks, err := im.round(ctx, jobs, o)
	for _, j := range jobs {
		for _, t := range j.takes {
			r := &j.src.frames[j.frame].runs[t.run]
			r.spoil(r.First)
			j.src.learnt = true
		}
	}
	return lacks, err
}
