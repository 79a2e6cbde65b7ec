package stick

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/space"
)

// blobTarget is the size at which a bundle of blobs is closed, in bytes: smaller
// than those of messages, so that what everybody has taken goes soon when space
// runs short.
const blobTarget = 16 << 20

// blobPiece is a blob to write, with what decides its turn.
type blobPiece struct {
	id    refs.Blob
	size  int64
	class blobClass
}

// blobClass says for whom a blob is written.
type blobClass int

// The classes, in the order of writing.
const (
	blobLive    blobClass = iota // a live store wants it
	blobDormant                  // one that has not come by for long does
	blobOffered                  // messages that somebody lacks refer to it
	blobStrange                  // a stranger wants it
)

// pressing reports whether room is made for it.
func (b *blobPiece) pressing() bool { return b.class == blobLive }

// blobPlan returns which blobs to write, in the order of writing: what the
// stores asked for, and what messages refer to that they are given; small before
// large.
func (p *Peer) blobPlan(sc *scene, o ExportOptions) ([]blobPiece, error) {
	if p.Blobs == nil {
		return nil, nil
	}
	seen := p.coveredBlobs(sc)
	var plan []blobPiece
	add := func(class blobClass, ids []refs.Blob) {
		for _, id := range ids {
			if seen[id] {
				continue
			}
			if size, held := p.Blobs.Size(id); held && size > 0 && size <= bundle.DefaultMaxBlob {
				seen[id] = true
				plan = append(plan, blobPiece{id, size, class})
			}
		}
	}
	d := sc.demand
	add(blobLive, wantedBy(d.haves))
	add(blobDormant, wantedBy(d.dormant))
	offered, err := p.Blobs.Offered(d.offers(o))
	if err != nil {
		return nil, fmt.Errorf("listing blobs: %v", err)
	}
	add(blobOffered, offered)
	add(blobStrange, wantedBy(d.strangers))
	slices.SortStableFunc(plan, func(a, b blobPiece) int {
		return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(a.size, b.size), a.id.Compare(b.id))
	})
	return plan, nil
}

// wantedBy lists the blobs that stores want.
func wantedBy(haves []*Have) (ids []refs.Blob) {
	for _, h := range haves {
		ids = append(ids, h.Blobs...)
	}
	return ids
}

// offers reports whether somebody who is served may want what a message refers
// to: it lacks the message. Who holds it says by itself which blobs it wants.
func (d *demand) offers(o ExportOptions) func(feed refs.Feed, seq int64) bool {
	return func(feed refs.Feed, seq int64) bool {
		if o.Feed != nil && !o.Feed(feed) {
			return false
		}
		if d.unknown {
			return true
		}
		return slices.ContainsFunc(d.haves, func(h *Have) bool { return h.Holds(feed) < seq && (feed == d.own || h.Wants(feed)) })
	}
}

// coveredBlobs returns the blobs that lie on the medium for everybody to take.
func (p *Peer) coveredBlobs(sc *scene) map[refs.Blob]bool {
	covered := make(map[refs.Blob]bool)
	for _, s := range sc.sources {
		if s.broken != "" || s.network != p.Network || !s.checked && !s.fresh || !p.trusts(s.exporter) {
			continue
		}
		for i, id := range s.facts.blobs {
			if !s.lost(s.blobFrame(i)) {
				covered[id] = true
			}
		}
	}
	return covered
}

// exportBlobs writes blobs to the medium, behind the messages.
func (p *Peer) exportBlobs(ctx context.Context, sc *scene, o ExportOptions, rep *Report, report func(Progress)) error {
	plan, err := p.blobPlan(sc, o)
	if err != nil || len(plan) == 0 {
		return err
	}
	room, err := p.balance(sc, rep)
	if err != nil {
		return err
	}
	e := p.newExporter(nil, o, room, rep, report)
	if o.MaxSize > 0 {
		e.budget = max(0, o.MaxSize-rep.Bytes)
	}
	e.done.Bytes = rep.Bytes
	feeds := rep.Feeds
	defer func() { rep.Feeds = feeds }() // blobs are of none
	patient := slices.IndexFunc(plan, func(b blobPiece) bool { return !b.pressing() })
	if patient < 0 {
		patient = len(plan)
	}
	if err := e.packBlobs(ctx, sc, plan[:patient], !o.forOne()); err != nil {
		return err
	}
	e.free = max(0, e.free-e.spare(sc))
	if err := e.packBlobs(ctx, sc, plan[patient:], false); err != nil {
		return err
	}
	if rep.BlobsLeft > 0 {
		rep.hint("%d blobs are left for want of room: they come with the next visits", rep.BlobsLeft)
	}
	return nil
}

// packBlobs writes blobs, bundle by bundle; pressing ones take the place of what
// nobody needs.
func (e *exporter) packBlobs(ctx context.Context, sc *scene, plan []blobPiece, pressing bool) error {
	for len(plan) > 0 {
		w := bundle.NewWriter(e.Keys, bundle.Header{Network: e.Network, Codec: e.o.Codec}, bundle.WriterOptions{})
		rest, err := e.fillBlobs(ctx, w, plan, blobTarget)
		if err != nil {
			return err
		}
		if w.Blobs() > 0 {
			if err := e.write(ctx, sc, w); err != nil {
				return err
			}
		}
		if plan = rest; w.Blobs() > 0 || len(plan) == 0 {
			continue
		}
		made := false
		if pressing && e.budget > plan[0].size {
			if made, err = e.makeBlobRoom(sc, plan[0].size+blobCost); err != nil {
				return err
			}
		}
		if !made {
			break
		}
	}
	e.rep.BlobsLeft += int64(len(plan))
	return nil
}

// blobCost bounds what a blob adds to a bundle besides itself, a new bundle
// included.
const blobCost = 4 << 10

// fillBlobs adds blobs to a bundle until it has the target size or the room for
// it ends, and returns what is left. The first one fits into any bundle.
func (e *exporter) fillBlobs(ctx context.Context, w *bundle.Writer, plan []blobPiece, target int64) ([]blobPiece, error) {
	for i, b := range plan {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		size := w.Size() + b.size + blobCost
		if size > e.room() || size > target && w.Blobs() > 0 {
			return plan[i:], nil
		}
		data, err := e.Blobs.Get(b.id)
		if err != nil {
			e.rep.skip(Skip{"blob " + b.id.String(), err.Error()})
			continue
		}
		if err := w.AddBlob(b.id, data); err != nil {
			return nil, fmt.Errorf("packing: %w", err)
		}
		if e.done.Messages%64 == 0 {
			e.done.Phase = Packing
			e.report(e.done)
		}
	}
	return nil, nil
}

// makeBlobRoom removes bundles that nobody needs until there is room for so many
// bytes, and reports whether there is. Nothing goes in vain.
func (e *exporter) makeBlobRoom(sc *scene, size int64) (bool, error) {
	m, sources, err := e.medium(sc, e.free-e.short)
	if err != nil {
		return false, err
	}
	for i, s := range sources {
		m.Bundles[i].Fixed = m.Bundles[i].Fixed || s.fresh
	}
	var gone []*source
	gain := int64(0)
	for _, c := range e.Space.Candidates(m) {
		if c.Reason != space.IsPressed && e.free-e.short+gain < size {
			gone = append(gone, sources[c.Bundle])
			gain += sources[c.Bundle].size
		}
	}
	if e.free-e.short+gain < size || len(gone) == 0 {
		return false, nil
	}
	for _, s := range gone {
		if err := e.remove(sc, s); err != nil {
			return false, err
		}
	}
	return true, e.measure(sc)
}

// giveBlobs adds blobs to a bundle that is written as a single file.
func (e *exporter) giveBlobs(ctx context.Context, w *bundle.Writer, d *demand) error {
	plan, err := e.blobPlan(&scene{demand: d}, e.o)
	if err != nil || len(plan) == 0 {
		return err
	}
	rest, err := e.fillBlobs(ctx, w, plan, MaxBundleSize)
	if e.rep.BlobsLeft = int64(len(rest)); len(rest) > 0 {
		e.rep.hint("%d blobs are left for want of room: export to a folder", len(rest))
	}
	return err
}
