package stick

import (
	"context"
	"slices"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/sync/space"
	"github.com/ssbsync/ssbsync/sync/vector"
)

// merge writes many small bundles as one where that pays, and removes them
// when it lies there for good.
func (p *Peer) merge(ctx context.Context, sc *scene, codec string, rep *Report, report func(Progress)) error {
	if !p.worthMerging(sc) {
		return nil
	}
	room, err := p.room(sc, rep)
	if err != nil {
		return err
	}
	e := p.newExporter(nil, ExportOptions{Codec: codec}, room, rep, report)
	m, sources, err := p.medium(sc, room)
	if err != nil || space.Merge(m, p.Merging) == nil {
		return err
	}
	// What an interrupted merge left behind goes first: it must not be merged
	// again.
	if old := space.Replaced(m); len(old) > 0 {
		for _, i := range old {
			if err := e.remove(sc, sources[i]); err != nil {
				return err
			}
		}
		if m, sources, err = p.medium(sc, room); err != nil {
			return err
		}
	}
	var parts []*source
	for _, i := range space.Merge(m, p.Merging) {
		parts = append(parts, sources[i])
	}
	return e.mergeParts(ctx, sc, parts)
}

// worthMerging looks at names and sizes only: it is asked at every visit.
func (p *Peer) worthMerging(sc *scene) bool {
	tiny := 0
	for _, s := range sc.sources {
		if s.broken == "" && s.exporter == p.Keys.Feed() && p.Merging.IsTiny(s.size) {
			tiny++
		}
	}
	return p.Merging.Enough(len(sc.sources), tiny)
}

// mergeParts writes one bundle with all that counts of the parts, which our
// store holds, and removes the parts that are in it.
func (e *exporter) mergeParts(ctx context.Context, sc *scene, parts []*source) error {
	if len(parts) == 0 {
		return nil
	}
	w := bundle.NewWriter(e.Keys, bundle.Header{Network: e.Network, Codec: e.o.Codec}, bundle.WriterOptions{})
	before := *e.rep
	plan := unsized(slices.Collect(spansOf(parts).All()))
	if _, _, err := e.fill(ctx, w, plan, bundle.TargetSize); err != nil {
		return err
	}
	if w.Messages() == 0 {
		return nil
	}
	if err := e.write(ctx, sc, w); err != nil {
		return err
	}
	merged := sc.sources[len(sc.sources)-1]
	names, unverified := e.rep.Names, e.rep.Unverified
	*e.rep = before // it is nothing new that was written
	e.rep.Names, e.rep.Unverified = names, unverified
	if unverified {
		return nil // the parts go when a later visit has read it
	}
	inside := spansOf([]*source{merged})
	for _, s := range parts {
		if s == merged || len(slices.Collect(spansOf([]*source{s}).Subtract(inside).All())) > 0 {
			continue
		}
		if err := e.drop(sc, s); err != nil {
			return err
		}
		sc.forgetSource(s)
		e.rep.Merged++
	}
	return nil
}

// spansOf returns the messages that bundles hold and that are of use.
func spansOf(sources []*source) *vector.Ranges {
	var spans []vector.Span
	for _, s := range sources {
		for i := range s.frames {
			for k := range s.frames[i].runs {
				r := &s.frames[i].runs[k]
				spans = append(spans, vector.Span{Feed: r.Feed, First: r.First, Last: r.end()})
			}
		}
	}
	return vector.FromSpans(spans)
}
