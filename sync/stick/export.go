package stick

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/store/durable"
)

// errTooMuch says that one bundle cannot hold what was asked for.
var errTooMuch = fmt.Errorf("more than fits into one bundle of %d MiB: export to a folder, or name feeds, a distance or a size", MaxBundleSize>>20)

// ErrUnknownNode says that no have of the receiver was ever seen.
var ErrUnknownNode = errors.New("no have of it was ever seen: visit a stick that it has visited, or export for everybody")

// plan returns what to write to a medium.
func (p *Peer) plan(sc *scene, o ExportOptions, explicit bool, rep *Report) ([]piece, error) {
	d, err := p.demand(sc, o, explicit)
	if err != nil {
		return nil, err
	}
	h, err := readHeld(p.Store)
	if err != nil {
		return nil, err
	}
	sc.held, sc.patient, sc.demand = h, d.patient, d
	sc.judge = &judge{network: p.Network, reads: d.reads(), trusts: p.trusts, store: h}
	covered, err := sc.judge.coverage(sc.sources)
	if err != nil {
		return nil, err
	}
	if err := p.ledger.keep(sc.stick.id, sc.sources, nil); err != nil {
		return nil, err
	}
	plan := exportPlan(h.clock, d, covered, p.Policy, p.Keys.Feed(), o.Feed)
	if !d.unknown {
		d.curious = true
		all := exportPlan(h.clock, d, covered, p.Policy, p.Keys.Feed(), o.Feed)
		if n := messages(all) - messages(plan); n > 0 {
			rep.hint("%d messages are left out that nobody who uses this stick asked for: ssbsync export writes them all the same", n)
		}
	}
	return plan, nil
}

// demand decides whom an export serves: the one it is for; or the known
// stores, and somebody unknown when nobody else is known or it is asked for.
func (p *Peer) demand(sc *scene, o ExportOptions, explicit bool) (*demand, error) {
	if (o.To != refs.Feed{}) || (o.ToStore != ID{}) {
		haves, err := p.ledger.newestOf(o.To, o.ToStore)
		if err == nil && len(haves) == 0 {
			err = fmt.Errorf("%s: %w", recipient(o), ErrUnknownNode)
		}
		return &demand{own: p.Keys.Feed(), haves: haves}, err
	}
	d := &demand{own: p.Keys.Feed(), unknown: explicit || o.All || len(sc.others) == 0}
	d.patient = !d.unknown
	for _, h := range sc.others {
		switch {
		case !h.Reading(formatBundle) || !h.Reading(codecOf(o)):
			// Nothing we write would ever reach it: serving it would fill
			// the medium with copies.
		case p.trusts(h.Identity) && sc.isLive(h):
			d.haves = append(d.haves, h)
		case p.trusts(h.Identity):
			d.dormant = append(d.dormant, h)
		default:
			d.strangers = append(d.strangers, h)
		}
	}
	return d, nil
}

// codecOf returns the codec an export writes.
func codecOf(o ExportOptions) string { return cmp.Or(o.Codec, bundle.CodecJSONL) }

func recipient(o ExportOptions) string {
	if (o.To != refs.Feed{}) {
		return o.To.String()
	}
	return "store " + o.ToStore.String()
}

// newestOf returns the newest haves of an identity, or of one store, seen on
// any medium. With several stores each counts.
func (l *ledger) newestOf(identity refs.Feed, id ID) ([]*Have, error) {
	newest := make(map[writer]*Have)
	err := l.eachHave(nil, func(h *Have) {
		if identity != (refs.Feed{}) && h.Identity != identity || id != (ID{}) && h.Store != id {
			return
		}
		if old := newest[h.writer()]; old == nil || old.Counter < h.Counter {
			newest[h.writer()] = h
		}
	})
	haves := make([]*Have, 0, len(newest))
	for _, h := range newest {
		haves = append(haves, h)
	}
	return dropReplaced(haves), err
}

// dropReplaced removes the haves of stores that another store of the same
// identity continues.
func dropReplaced(haves []*Have) []*Have {
	replaced := make(map[writer]bool)
	for _, h := range haves {
		for _, old := range h.Replaces {
			replaced[writer{h.Identity, old}] = true
		}
	}
	return slices.DeleteFunc(haves, func(h *Have) bool { return replaced[h.writer()] })
}

// exporter is one export on its way.
type exporter struct {
	*Peer
	rep    *Report
	report func(Progress)
	o      ExportOptions
	free   int64 // bytes there is room for
	short  int64 // bytes that are lacking before there is room for any
	budget int64 // bytes that the user wants to be written at most
	done   Progress
	feeds  map[refs.Feed]bool
}

func (p *Peer) newExporter(plan []piece, o ExportOptions, room int64, rep *Report, report func(Progress)) *exporter {
	e := &exporter{Peer: p, rep: rep, report: report, o: o, budget: o.MaxSize, feeds: make(map[refs.Feed]bool)}
	e.setRoom(room)
	if o.MaxSize <= 0 {
		e.budget = maxNumber
	}
	e.done.TotalMessages = messages(plan)
	return e
}

// pack writes a plan to the medium, bundle by bundle, and returns what there
// was no room for.
func (e *exporter) pack(ctx context.Context, sc *scene, plan []piece) (rest []piece, err error) {
	rest = plan
	for len(rest) > 0 {
		w := bundle.NewWriter(e.Keys, bundle.Header{Network: e.Network, Codec: e.o.Codec}, bundle.WriterOptions{})
		full := false
		if rest, full, err = e.fill(ctx, w, rest, bundle.TargetSize); err != nil {
			return nil, err
		}
		if w.Messages() == 0 {
			break
		}
		room := e.room()
		if err := e.write(ctx, sc, w); err != nil {
			return nil, err
		}
		// The limit was held for the worst case: what compression left of it
		// is worth another bundle only when it is a lot.
		if full && e.room() < room/2 {
			break
		}
	}
	return rest, nil
}

// giveBundle writes one bundle to w.
func (p *Peer) giveBundle(ctx context.Context, w io.Writer, o ExportOptions, rep *Report, report func(Progress)) error {
	d, err := p.demand(&scene{}, o, true)
	if err != nil {
		return err
	}
	h, err := readHeld(p.Store)
	if err != nil {
		return err
	}
	plan := exportPlan(h.clock, d, nil, p.Policy, p.Keys.Feed(), o.Feed)
	e := p.newExporter(plan, o, MaxBundleSize, rep, report)
	b := bundle.NewWriter(p.Keys, bundle.Header{Network: p.Network, Codec: o.Codec}, bundle.WriterOptions{})
	rest, _, err := e.fill(ctx, b, plan, MaxBundleSize)
	switch {
	case err != nil:
		return err
	case len(rest) > 0 && o.MaxSize <= 0:
		return errTooMuch
	}
	if err := e.giveBlobs(ctx, b, d); err != nil {
		return err
	}
	if b.Messages()+b.Blobs() == 0 {
		e.leave(rest)
		return nil
	}
	dst := &meter{w: w, report: func(n int64) { e.wrote(n) }}
	if o.DryRun {
		dst.w = io.Discard
	}
	m, err := b.Finish(dst)
	if err != nil {
		return err
	}
	e.account(m)
	e.leave(rest)
	return nil
}

// fill adds pieces to a bundle until it has the target size or the room for
// it ends (full), and returns what is left. A feed stands in a bundle once.
func (e *exporter) fill(ctx context.Context, w *bundle.Writer, plan []piece, target int64) (rest []piece, full bool, err error) {
	limit, settled := min(target, e.room()), int64(0)
	pages := pager{store: e.Store}
	for i := range plan {
		for s := &plan[i].Span; s.First <= s.Last; s.First++ {
			if err := context.Cause(ctx); err != nil {
				return nil, false, err
			}
			rec, err := pages.record(*s)
			if errors.Is(err, store.ErrDamaged) {
				e.rep.skip(Skip{fmt.Sprintf("feed %s, message %d", s.Feed, s.First), "damaged in our own store (see: ssbsync check)"})
				continue
			}
			if err != nil {
				return nil, false, err
			}
			// What is added may not compress at all, and costs a frame and
			// an entry in the range table at most. Where room is short, how
			// far the rest did compress is worth knowing.
			size := int64(len(rec.Value)) + frameCost
			if at := w.Size(); at+size > limit && limit < target && at-settled > minSettled {
				w.Settle()
				settled = w.Size()
			}
			if w.Size()+size > limit {
				return plan[i:], limit < target, nil
			}
			err = w.Add(bundle.Record{Feed: rec.Feed, Seq: rec.Seq, ID: rec.ID, Value: rec.Value})
			if errors.Is(err, bundle.ErrFull) {
				return plan[i:], false, nil
			}
			if err != nil {
				return nil, false, fmt.Errorf("packing: %w", err)
			}
			e.packed(s.Feed)
		}
	}
	return nil, false, nil
}

// minSettled is the size of a frame, before compression, that is worth ending
// early.
const minSettled = 8 << 10

// frameCost bounds what one more message adds to a bundle besides itself.
const frameCost = 512

// packed counts a message that went into a bundle.
func (e *exporter) packed(feed refs.Feed) {
	e.feeds[feed] = true
	if e.done.Messages++; e.done.Messages%1024 == 0 {
		e.done.Phase = Packing
		e.report(e.done)
	}
}

// wrote reports bytes that reached the medium.
func (e *exporter) wrote(n int64) {
	at := e.done
	at.Phase, at.Bytes = Writing, e.done.Bytes+n
	e.report(at)
}

// write finishes a bundle and brings it to the medium.
func (e *exporter) write(ctx context.Context, sc *scene, w *bundle.Writer) error {
	m, err := w.Seal()
	if err != nil {
		return err
	}
	if !e.o.DryRun {
		if err := e.place(ctx, sc, m, w); err != nil {
			return err
		}
	}
	e.done.Bytes += m.FileSize()
	e.spend(m.FileSize())
	e.account(m)
	return nil
}

// place writes a finished bundle durably under its final name. An existing
// file of that name can only be a damaged copy of the same bundle.
func (e *exporter) place(ctx context.Context, sc *scene, m *bundle.Manifest, b *bundle.Writer) error {
	path := bundlePath(m.Name())
	if err := e.check("bundle", path); err != nil {
		return fmt.Errorf("writing bundle %s: %w", m.Name(), err)
	}
	dir := bundlesDir + "/" + m.Name()[:2]
	for _, d := range []string{bundlesDir, dir, path} {
		clear := clearDir
		if d == path {
			clear = clearFile
		}
		moved, err := clear(sc.stick.root, d)
		if err != nil {
			return fmt.Errorf("writing bundle %s: %w", m.Name(), err)
		}
		if moved != "" {
			e.rep.warn("%s was in the way of a bundle, and is now %s", d, moved)
		}
	}
	part, err := e.part(sc.stick)
	if err != nil {
		return fmt.Errorf("writing bundle %s: %w", m.Name(), err)
	}
	res, err := durable.WriteFile(sc.stick.root, path, durable.Options{Temp: part, Verify: true, Replace: true, Progress: e.wrote},
		func(w io.Writer) error { _, err := b.WriteTo(&interruptible{ctx, w}); return err })
	if err != nil {
		return fmt.Errorf("writing bundle %s: %w", m.Name(), err)
	}
	e.rep.Unverified = e.rep.Unverified || !res.Verified
	e.rep.Names = append(e.rep.Names, path)
	return e.remember(sc, entry{m.Name(), path, m.FileSize()}, res.Verified)
}

// remember takes a bundle we wrote into the ledger. When it was read back from
// the medium it needs no checking; otherwise the next visit does that.
func (e *exporter) remember(sc *scene, placed entry, verified bool) error {
	name := placed.name
	r, closer, err := sc.stick.openBundle(placed)
	if err != nil {
		return fmt.Errorf("reading bundle %s back: %w", name, err)
	}
	defer closer.Close()
	s := &source{facts: factsOf(r), size: placed.size, checked: verified, fresh: true, learnt: true, answered: sc.doubters(name)}
	s.label, s.read = placed.path, make(map[int]bool)
	s.open = func() (*bundle.Reader, io.Closer, error) { return sc.stick.openBundle(placed) }
	for i := range s.frames {
		for k := range s.frames[i].runs {
			s.frames[i].runs[k].agreed, s.frames[i].runs[k].proved = true, true
		}
	}
	sc.sources = slices.DeleteFunc(sc.sources, func(old *source) bool { return old.name == name })
	sc.sources = append(sc.sources, s)
	return e.ledger.keep(sc.stick.id, []*source{s}, nil)
}

// doubters returns the haves that say that a bundle is damaged.
func (sc *scene) doubters(name string) []haveFile {
	var list []haveFile
	for _, h := range sc.others {
		if len(list) < maxDoubters && slices.ContainsFunc(h.Damaged, func(d Damage) bool { return d.Bundle == name }) {
			list = append(list, haveFile{h.Store, h.Counter})
		}
	}
	return list
}

// account adds a finished bundle to the report.
func (e *exporter) account(m *bundle.Manifest) {
	e.rep.Bundles++
	e.rep.Messages += int64(m.Messages)
	e.rep.Blobs += int64(m.Blobs)
	e.rep.Bytes += m.FileSize()
	e.rep.Feeds = int64(len(e.feeds))
}

// leave says what there was no room for.
func (e *exporter) leave(rest []piece) {
	if n := messages(rest); n > 0 {
		e.rep.Left += n
	}
}

// meter counts what goes through it.
type meter struct {
	w      io.Writer
	n      int64
	report func(int64)
}

// Write implements io.Writer.
func (m *meter) Write(b []byte) (int, error) {
	n, err := m.w.Write(b)
	m.n += int64(n)
	m.report(m.n)
	return n, err
}
