package stick

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/ingest"
	"github.com/ssbsync/ssbsync/sync/vector"
)

// ErrNetwork says that a bundle belongs to another network.
var ErrNetwork = errors.New("of another network")

// Import takes in what lies on the medium and our store lacks. It never
// writes to the medium. What could not be taken is named in the report (see
// Report.Partly); the error says why the import ended early, and the report
// then what was done until then. A medium that holds bundles of other networks
// only is ErrNetwork.
func (p *Peer) Import(ctx context.Context, st *Stick, o ImportOptions) (Report, error) {
	end, err := p.begin(ctx)
	if err != nil {
		return Report{}, err
	}
	defer end()
	rep, started := Report{}, p.Now()
	progress := orNothing(o.Progress)
	sc, err := p.look(ctx, st, &rep, progress)
	if err == nil && !st.loose {
		err = p.readHaves(sc, false, &rep)
	}
	if err == nil {
		err = p.take(ctx, sc, o, &rep, progress)
	}
	if err == nil && rep.Foreign > 0 {
		err = fmt.Errorf("every bundle there is %w", ErrNetwork)
	}
	p.finish(&rep, started)
	return rep, err
}

// ImportBundle takes in one bundle that lies in the first size bytes of r. The
// name is for reports.
func (p *Peer) ImportBundle(ctx context.Context, name string, r io.ReaderAt, size int64, o ImportOptions) (Report, error) {
	end, err := p.begin(ctx)
	if err != nil {
		return Report{}, err
	}
	defer end()
	rep, started := Report{}, p.Now()
	s := &source{label: name, size: size, read: make(map[int]bool)}
	s.open = func() (*bundle.Reader, io.Closer, error) {
		b, err := bundle.Open(r, size, bundle.Limits{})
		return b, io.NopCloser(nil), err
	}
	if s.study(); s.broken != "" {
		return rep, errors.New(s.broken)
	}
	if s.network != p.Network {
		return rep, fmt.Errorf("bundle %s is %w", s.facts.name, ErrNetwork)
	}
	sc := &scene{stick: &Stick{loose: true}, sources: []*source{s}}
	err = p.take(ctx, sc, o, &rep, orNothing(o.Progress))
	p.finish(&rep, started)
	return rep, err
}

// finish completes a report.
func (p *Peer) finish(rep *Report, started time.Time) {
	rep.Explain()
	rep.Seconds = p.Now().Sub(started).Seconds()
}

func orNothing(progress func(Progress)) func(Progress) {
	if progress == nil {
		return func(Progress) {}
	}
	return progress
}

// importer is one import on its way.
type importer struct {
	*Peer
	rep     *Report
	report  func(Progress)
	readers readers
	intake  *ingest.Intake
	done    Progress
	touched map[*source]bool
	lost    map[place]Loss      // frames that could not be read
	waits   map[refs.Feed]int64 // messages that went into waiting, by feed

	branches []job // where another branch of a feed lies at the place of our head

	handed int64  // messages handed over: the position of the next one
	marks  []mark // where they came from, ascending

	mu      sync.Mutex
	rejects []int64 // positions; the pipeline's goroutine adds
}

// place is a frame of a bundle.
type place struct {
	src   *source
	frame int
}

// mark says where the messages handed over from position pos on came from.
type mark struct {
	pos   int64
	src   *source
	frame int
	run   int
	first int64
}

// rounds of an import in which each message is looked for in one place only.
// Afterwards what is still lacking is read wherever it is claimed to be: a
// stick full of liars must not cost a round for each of them.
const choosyRounds = 2

// take imports what the sources of a scene hold and our store lacks.
func (p *Peer) take(ctx context.Context, sc *scene, o ImportOptions, rep *Report, report func(Progress)) error {
	im := &importer{Peer: p, rep: rep, report: report, touched: make(map[*source]bool), lost: make(map[place]Loss), waits: make(map[refs.Feed]int64)}
	defer im.readers.close()
	im.intake = p.Ingest.Open(ingest.Source{Name: "stick", Accept: im.accepts(o), OnReject: im.onReject})
	usable := im.usable(sc)
	lacks, err := readLack(p.Store, p.Keys.Feed(), o.Accept)
	if err != nil {
		return err
	}
	im.countRefused(usable, lacks)
	if err := im.suspicions(ctx, usable, lacks, o); err != nil {
		return err
	}
	plan := newPlanner(usable, p.trusts)
	for round := 0; ; round++ {
		jobs := plan.next(lacks.spans, round < choosyRounds)
		if len(jobs) == 0 {
			break
		}
		if lacks, err = im.round(ctx, attach(jobs), o); err != nil {
			return errors.Join(err, p.ledger.keep(sc.stick.id, sc.sources, nil))
		}
		if rep.NoRoom {
			break
		}
	}
	if !rep.NoRoom {
		if err := im.blobs(ctx, usable, im.accepts(o)); err != nil {
			return err
		}
	}
	if err := im.settleWaiting(lacks); err != nil {
		return err
	}
	rep.Bundles += int64(len(im.touched))
	im.nameLosses(lacks)
	return p.ledger.keep(sc.stick.id, sc.sources, nil)
}

// takeOrPreview is take or, for a dry run, says what take would read.
func (p *Peer) takeOrPreview(ctx context.Context, sc *scene, o ImportOptions, dryRun bool, rep *Report, report func(Progress)) error {
	if !dryRun {
		return p.take(ctx, sc, o, rep, report)
	}
	im := &importer{Peer: p, rep: rep}
	usable := im.usable(sc)
	lacks, err := readLack(p.Store, p.Keys.Feed(), o.Accept)
	if err != nil {
		return err
	}
	im.countRefused(usable, lacks)
	feeds, bundles := make(map[refs.Feed]bool), make(map[*source]bool)
	for _, j := range newPlanner(usable, p.trusts).next(lacks.spans, true) {
		rep.Messages += j.messages()
		rep.Bytes += j.src.frames[j.frame].stored
		bundles[j.src] = true
		for _, t := range j.takes {
			feeds[j.src.frames[j.frame].runs[t.run].Feed] = true
		}
	}
	rep.New, rep.Feeds, rep.Bundles, rep.DryRun = rep.Messages, int64(len(feeds)), int64(len(bundles)), true
	return nil
}

// trusts extends the policy's trust to ourselves.
func (p *Peer) trusts(node refs.Feed) bool { return node == p.Keys.Feed() || p.Policy.Trusts(node) }

// accepts is the policy as the pipeline applies it once more.
func (im *importer) accepts(o ImportOptions) func(refs.Feed) bool {
	own := im.Keys.Feed()
	return func(feed refs.Feed) bool { return feed == own || o.Accept == nil || o.Accept(feed) }
}

// usable picks the bundles that can be read.
func (im *importer) usable(sc *scene) []*source {
	var usable []*source
	foreign := 0
	for _, s := range sc.sources {
		switch {
		case s.usable(im.Network):
			usable = append(usable, s)
		case s.broken == "" && s.network != im.Network:
			foreign++
		case s.broken == "":
			im.rep.skip(Skip{s.label, fmt.Sprintf("codec %q is not known to this version", s.codec)})
		}
	}
	if foreign > 0 && len(usable) == 0 {
		im.rep.Foreign = int64(foreign)
	}
	return usable
}

// countRefused counts what lies there, is lacking, and is not wanted.
func (im *importer) countRefused(sources []*source, lacks *lack) {
	var spans []vector.Span
	for _, s := range sources {
		for i := range s.frames {
			for k := range s.frames[i].runs {
				r := &s.frames[i].runs[k]
				span := vector.Span{Feed: r.Feed, First: max(r.First, lacks.held.head(r.Feed)+1), Last: r.end()}
				if span.Len() > 0 && !lacks.wants(r.Feed) {
					spans = append(spans, span)
				}
			}
		}
	}
	refused := vector.FromSpans(spans)
	im.rep.Refused += refused.Count()
	im.rep.RefusedFeeds += int64(refused.Len())
}

// round reads the frames of the jobs, in this order, and returns what is
// lacking afterwards.
func (im *importer) round(ctx context.Context, jobs []job, o ImportOptions) (*lack, error) {
	for _, j := range jobs {
		im.done.TotalBytes += j.src.frames[j.frame].stored
		im.done.TotalMessages += j.messages()
	}
	var failed error
	for _, j := range jobs {
		if failed = im.hand(ctx, j); failed != nil {
			break
		}
	}
	// What was handed over is kept, whatever ended the round.
	sum, err := im.intake.Flush(context.WithoutCancel(ctx))
	im.nameRejects(sum.Rejects)
	im.rep.count(sum)
	for feed, d := range sum.Feeds {
		if d.New > 0 {
			im.rep.Feeds++
		}
		if d.Waiting > 0 {
			im.waits[feed] += d.Waiting
		}
	}
	im.spoilRejected()
	im.marks = nil
	if !errors.Is(failed, ingest.ErrNoRoom) || err == nil { // else Flush says the same
		err = errors.Join(failed, err)
	}
	if errors.Is(err, ingest.ErrNoRoom) {
		im.rep.OutOfRoom(err)
		im.rep.Left += im.done.TotalMessages - im.handed + sum.Lost
		err = nil
	}
	if err != nil {
		return nil, err
	}
	lacks, err := readLack(im.Store, im.Keys.Feed(), o.Accept)
	if err == nil && !im.rep.NoRoom {
		err = im.audit(ctx, jobs, lacks)
	}
	if err == nil && len(im.branches) > 0 {
		return im.takeBranches(ctx, o)
	}
	return lacks, err
}

// messages counts what a job takes.
func (j *job) messages() (n int64) {
	for _, t := range j.takes {
		n += t.last - t.first + 1
	}
	return n
}

// hand reads one frame and hands over the messages to take.
func (im *importer) hand(ctx context.Context, j job) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	im.touched[j.src] = true
	f := &j.src.frames[j.frame]
	raw, err := im.readers.frame(j.src, j.frame)
	if err != nil {
		im.loseFrame(j, err)
		return nil
	}
	next := 0
	err = f.lines(raw, func(run int, seq int64, line []byte) error {
		for next < len(j.takes) && (j.takes[next].run < run || j.takes[next].run == run && j.takes[next].last < seq) {
			next++
		}
		if next == len(j.takes) || j.takes[next].run != run || seq < j.takes[next].first {
			return nil
		}
		if t := &j.takes[next]; seq == t.first {
			im.marks = append(im.marks, mark{im.handed, j.src, j.frame, run, seq})
		}
		if err := im.intake.AddAt(ctx, line, im.handed); err != nil {
			return err // this one was not taken
		}
		im.handed++
		return nil
	})
	im.spoilRejected()
	im.rep.Bytes += f.stored
	im.done.Phase, im.done.Bytes, im.done.Messages = Reading, im.done.Bytes+f.stored, im.handed
	im.report(im.done)
	return err
}

// settleWaiting takes back what was said of messages that waited in one round
// and attached in a later one.
func (im *importer) settleWaiting(lacks *lack) error {
	for feed, n := range im.waits {
		still, err := im.Store.WaitingOf(feed)
		if err != nil {
			return err
		}
		im.rep.Waiting -= n - min(n, still.Messages)
	}
	im.rep.Gaps = slices.DeleteFunc(im.rep.Gaps, func(gap vector.Span) bool { return lacks.held.head(gap.Feed) >= gap.Last })
	return nil
}

// loseFrame notes a frame that cannot be read and what it would have given.
func (im *importer) loseFrame(j job, err error) {
	// Who visits the same folder may have merged or removed the bundle since
	// it was listed: that is no damage.
	j.src.gone = j.src.gone || errors.Is(err, fs.ErrNotExist)
	key := place{j.src, j.frame}
	l, again := im.lost[key]
	if !again {
		l = Loss{Bundle: j.src.label, Frame: manifestFrame(j.frame), Reason: reasonOf(err)}
	}
	for _, t := range j.takes {
		feed := j.src.frames[j.frame].runs[t.run].Feed
		l.Spans = append(l.Spans, vector.Span{Feed: feed, First: t.first, Last: t.last})
	}
	im.lost[key] = l
}

// reasonOf says why a frame cannot be read, without what was in it.
func reasonOf(err error) string {
	var bad *bundle.FrameError
	if errors.As(err, &bad) {
		return bad.Brief()
	}
	return underlying(err).Error()
}

// nameLosses reports the frames of which something is lacking still: what
// another bundle gave is no loss.
func (im *importer) nameLosses(lacks *lack) {
	var losses []Loss
	for at, l := range im.lost {
		if at.src.gone {
			continue
		}
		var missing []vector.Span
		for _, s := range l.Spans {
			missing = append(missing, lacks.spans(s)...)
		}
		if l.Spans = missing; len(missing) > 0 {
			losses = append(losses, l)
		}
	}
	slices.SortFunc(losses, func(a, b Loss) int {
		return cmp.Or(cmp.Compare(a.Bundle, b.Bundle), cmp.Compare(a.Frame, b.Frame))
	})
	for _, l := range losses {
		im.rep.lose(l)
	}
}

// markOf returns the mark that a message was handed over after.
func (im *importer) markOf(pos int64) (mark, bool) {
	i, found := slices.BinarySearchFunc(im.marks, pos, func(m mark, pos int64) int { return cmp.Compare(m.pos, pos) })
	if !found {
		i--
	}
	if i < 0 {
		return mark{}, false
	}
	return im.marks[i], true
}

// nameRejects says of rejected messages where they lie.
func (im *importer) nameRejects(rejects []ingest.Reject) {
	for i := range rejects {
		if m, ok := im.markOf(rejects[i].Pos); ok {
			rejects[i].Source = fmt.Sprintf("%s frame %d", m.src.label, manifestFrame(m.frame))
		}
	}
}

// onReject runs in the pipeline.
func (im *importer) onReject(r ingest.Reject) {
	im.mu.Lock()
	defer im.mu.Unlock()
	im.rejects = append(im.rejects, r.Pos)
}

// spoilRejected notes which runs hold what the pipeline rejected.
func (im *importer) spoilRejected() {
	im.mu.Lock()
	defer im.mu.Unlock()
	for _, pos := range im.rejects {
		m, ok := im.markOf(pos)
		if !ok {
			continue
		}
		m.src.frames[m.frame].runs[m.run].spoil(m.first + pos - m.pos)
		m.src.learnt = true
	}
	im.rejects = im.rejects[:0]
}

// audit looks again at frames that did not give what they claimed to hold,
// and notes where they lie.
func (im *importer) audit(ctx context.Context, jobs []job, lacks *lack) error {
	for _, j := range jobs {
		if _, lost := im.lost[place{j.src, j.frame}]; lost || !owes(j, lacks) {
			continue
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		raw, err := im.readers.frame(j.src, j.frame)
		if err != nil {
			im.loseFrame(j, err)
			continue
		}
		f := &j.src.frames[j.frame]
		err = f.lines(raw, func(run int, seq int64, line []byte) error {
			r := &f.runs[run]
			own := r.Feed == im.Keys.Feed()
			if r.lie && !own {
				return nil // one lie is enough to know of a run
			}
			m := im.messageOf(line, r.Feed, seq)
			if m == nil {
				r.spoil(seq)
				r.lie, j.src.learnt = true, true
				return nil
			}
			if own && seq > lacks.held.head(r.Feed) {
				return im.Guard.Prove(m)
			}
			return im.noteBranch(place{j.src, j.frame}, run, m, lacks)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// owes reports whether a frame did not give what it was opened for.
func owes(j job, lacks *lack) bool {
	return slices.ContainsFunc(j.takes, func(t take) bool {
		r := &j.src.frames[j.frame].runs[t.run]
		return !r.lie && len(lacks.spans(vector.Span{Feed: r.Feed, First: t.first, Last: t.last})) > 0
	})
}
