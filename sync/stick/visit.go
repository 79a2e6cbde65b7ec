package stick

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"syscall"

	"github.com/ssbsync/ssbsync/store/durable"
)

// Visit imports what the medium has for us, exports what the stores that come
// by lack, and leaves our have: everything that a node does at a medium. A
// medium that takes no writes is imported from, and the report says so. When
// nothing changed, nothing is written.
func (p *Peer) Visit(ctx context.Context, st *Stick, o VisitOptions) (VisitReport, error) {
	rep := VisitReport{Stick: st.id}
	if st.loose {
		return rep, ErrLoose
	}
	end, err := p.begin(ctx)
	if err != nil {
		return rep, err
	}
	defer end()
	started, progress := p.Now(), orNothing(o.Progress)
	accept := o.Accept
	if accept == nil {
		accept = p.Policy.Wants
	}
	sc, err := p.look(ctx, st, &rep.Import, progress)
	if err == nil {
		err = p.readHaves(sc, o.Export.DryRun, &rep.Import)
	}
	if err == nil {
		err = p.takeOrPreview(ctx, sc, ImportOptions{Accept: accept}, o.Export.DryRun, &rep.Import, progress)
	}
	if err == nil && !o.Export.DryRun {
		err = p.Guard.Asked("stick " + st.id.String())
	}
	p.finish(&rep.Import, started)
	if err != nil {
		return rep, err
	}
	switch n := rep.Import.RefusedFeeds; n {
	case 0:
	case 1:
		rep.Import.hint("1 feed here is of nobody we follow: ssbsync import takes it")
	default:
		rep.Import.hint("%d feeds here are of nobody we follow: ssbsync import takes them", n)
	}
	if rep.Import.Foreign > 0 {
		rep.Import.warn("every bundle here was of another network")
	}
	started = p.Now()
	rep.Have, err = p.give(ctx, sc, o.Export, false, &rep.Export, progress)
	if rep.ReadOnly = isReadOnly(err); rep.ReadOnly {
		err = nil
		if n := sc.planned - rep.Export.Messages; n > 0 {
			rep.Export.warn("the stick takes no writes: %d new messages for others were not written", n)
		}
	}
	p.finish(&rep.Export, started)
	return rep, err
}

// Export writes what the medium does not cover for somebody who lacks
// everything (or, with To, what one node lacks), and leaves our have.
func (p *Peer) Export(ctx context.Context, st *Stick, o ExportOptions) (Report, error) {
	if st.loose {
		return Report{}, ErrLoose
	}
	end, err := p.begin(ctx)
	if err != nil {
		return Report{}, err
	}
	defer end()
	rep, started, progress := Report{}, p.Now(), orNothing(o.Progress)
	sc, err := p.look(ctx, st, &rep, progress)
	if err == nil {
		err = p.readHaves(sc, o.DryRun, &rep)
	}
	if err == nil {
		_, err = p.give(ctx, sc, o, true, &rep, progress)
	}
	p.finish(&rep, started)
	return rep, err
}

// ExportBundle writes one bundle to w. More than fits into one bundle is an
// error that says so, unless MaxSize asks for less than all.
func (p *Peer) ExportBundle(ctx context.Context, w io.Writer, o ExportOptions) (Report, error) {
	end, err := p.begin(ctx)
	if err != nil {
		return Report{}, err
	}
	defer end()
	rep, started := Report{DryRun: o.DryRun}, p.Now()
	err = p.giveBundle(ctx, w, o, &rep, orNothing(o.Progress))
	p.finish(&rep, started)
	return rep, err
}

// give is the second half of a visit: check, cover, write, acknowledge. It
// reports whether a have was written.
func (p *Peer) give(ctx context.Context, sc *scene, o ExportOptions, explicit bool, rep *Report, progress func(Progress)) (bool, error) {
	sc.sources = slices.DeleteFunc(sc.sources, func(s *source) bool { return s.gone })
	if o.Check {
		sc.forget()
	}
	if err := p.verify(ctx, sc, rep, progress); err != nil {
		return false, err
	}
	codec, err := p.codec(sc, o)
	if err != nil {
		return false, err
	}
	o.Codec = codec
	plan, err := p.plan(sc, o, explicit, rep)
	if err != nil {
		return false, err
	}
	sc.planned = messages(plan)
	if rep.DryRun = o.DryRun; !o.DryRun {
		if err := p.clean(sc); err != nil { // it may be in the way
			return false, err
		}
	}
	if err := p.export(ctx, sc, plan, o, rep, progress); err != nil {
		return false, err
	}
	if err := p.exportBlobs(ctx, sc, o, rep, progress); err != nil {
		return false, err
	}
	if !explicit && o.MaxSize <= 0 && !o.DryRun {
		if err := p.merge(ctx, sc, o.Codec, rep, progress); err != nil {
			return false, err
		}
	}
	if !explicit && sc.patient {
		if err := p.relieve(sc, o, rep); err != nil {
			return false, err
		}
	}
	if o.DryRun {
		return false, nil
	}
	if err := p.ledger.keep(sc.stick.id, nil, sc.removed); err != nil {
		return false, err
	}
	wrote := false
	if !o.NoHave {
		acknowledge := func() (bool, error) { return p.acknowledge(sc) }
		if wrote, err = p.acknowledgeFull(sc, acknowledge, rep); err != nil {
			return false, err
		}
	}
	if wrote || rep.Bundles+rep.Merged+rep.Removed > 0 {
		if err := durable.SyncFS(sc.stick.root); err != nil {
			return wrote, fmt.Errorf("syncing the stick: %w", err)
		}
	}
	return wrote, nil
}

// isReadOnly reports whether a medium refused to be written to at all.
func isReadOnly(err error) bool {
	return errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission)
}
