package stick

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/space"
	"github.com/ssbsync/ssbsync/sync/vector"
)

// isLive reports whether a store still counts as one that comes by.
func (sc *scene) isLive(h *Have) bool { return space.Live(h.Visit, sc.visit, sc.stores()) }

// stores is how many stores come by the medium, our own among them.
func (sc *scene) stores() int { return len(sc.others) + 1 }

// isFading reports whether others would soon take our store to be gone.
func (sc *scene) isFading() bool { return space.Fading(sc.mine.newest.Visit, sc.visit, sc.stores()) }

// medium describes the medium for the decision what stays there. The sources
// are those of its bundles; what belongs to another network is not ours to
// touch, and left out.
func (p *Peer) medium(sc *scene, room int64) (*space.Medium, []*source, error) {
	m := &space.Medium{Room: room, Offered: p.offered(sc)}
	if p.Blobs != nil {
		m.HoldsBlob = func(id refs.Blob) bool { _, ok := p.Blobs.Size(id); return ok }
	}
	for _, h := range sc.others {
		m.Stores = append(m.Stores, space.Store{
			Identity: h.Identity, Trusted: p.trusts(h.Identity), Live: sc.isLive(h),
			Holds: h.Holds, Wants: h.Wants, WantsBlob: h.wantsBlob,
		})
	}
	var sources []*source
	for _, s := range sc.sources {
		if s.broken == "" && s.network != p.Network {
			continue
		}
		b, err := p.weigh(sc, s)
		if err != nil {
			return nil, nil, err
		}
		b.Fixed = b.Fixed || sc.deaf
		m.Bundles, sources = append(m.Bundles, b), append(sources, s)
	}
	return m, sources, nil
}

// offered returns whether a feed is offered to everybody: our own, and those
// of the nodes we trust that come by.
func (p *Peer) offered(sc *scene) func(refs.Feed) bool {
	feeds := map[refs.Feed]bool{p.Keys.Feed(): true}
	for _, h := range sc.others {
		if p.trusts(h.Identity) {
			feeds[h.Identity] = true
		}
	}
	return func(feed refs.Feed) bool { return feeds[feed] }
}

func (h *Have) wantsBlob(id refs.Blob) bool {
	_, found := slices.BinarySearchFunc(h.Blobs, id, refs.Blob.Compare)
	return found
}

// weigh describes one bundle.
func (p *Peer) weigh(sc *scene, s *source) (space.Bundle, error) {
	trusted := s.broken == "" && p.trusts(s.exporter)
	b := space.Bundle{
		Name: s.name, Size: s.size, Exporter: s.exporter,
		Own: s.broken == "" && s.exporter == p.Keys.Feed(), Stranger: !trusted, Blobs: s.facts.blobs,
	}
	switch {
	case s.broken != "":
		// What cannot be read now may be another time, or by somebody else.
		b.Fixed, b.Stranger = !s.invalid, s.invalid
		return b, nil
	case !sc.judge.readable(s), len(b.Blobs) > 0 && len(s.damaged)+len(s.doubted) > 0:
		b.Fixed = true
	}
	for i := range s.frames {
		lost := s.lost(manifestFrame(i))
		for k := range s.frames[i].runs {
			r := &s.frames[i].runs[k]
			b.Messages = min(b.Messages, math.MaxInt64-int64(r.Len())) + int64(r.Len())
			counts, err := sc.judge.counts(s, r, trusted)
			if err != nil {
				return b, err
			}
			span := vector.Span{Feed: r.Feed, First: r.First, Last: r.end()}
			if span.Len() > 0 {
				held := (r.agreed || r.proved) && sc.held.head(r.Feed) >= span.Last
				b.Runs = append(b.Runs, space.Run{Span: span, Counts: counts && !lost, Held: held})
			}
			if r.junk != 0 && !r.lie {
				b.Fixed = true // the other branch of a fork, which nobody else may have
			}
		}
	}
	return b, nil
}

// remove removes a bundle to make room.
func (e *exporter) remove(sc *scene, s *source) error {
	if !e.o.DryRun {
		if err := e.drop(sc, s); err != nil {
			return err
		}
	}
	sc.forgetSource(s)
	e.rep.Removed++
	e.rep.Freed += s.size
	return nil
}

// drop removes the file of a bundle. One that somebody else removed is gone as
// well.
func (p *Peer) drop(sc *scene, s *source) error {
	err := p.check("remove", s.name)
	if err == nil {
		err = sc.stick.root.Remove(bundlePath(s.name))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing bundle %s: %w", s.name, err)
	}
	sc.removed = append(sc.removed, s.name)
	return nil
}

// forgetSource takes a bundle that was removed out of the scene.
func (sc *scene) forgetSource(s *source) {
	sc.sources = slices.DeleteFunc(sc.sources, func(x *source) bool { return x == s })
}

// check lets tests fail a step.
func (p *Peer) check(step, name string) error {
	if p.fault == nil {
		return nil
	}
	return p.fault(step, name)
}
