package stick

import (
	"context"
	"slices"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// News reports whether something changed on the medium since our last visit
// that makes another one worth while. Files below have/ are none as long as
// they only acknowledge: those of stores that are known here, which hold more
// than before and ask for nothing new. So nodes that share a folder fall
// silent, instead of answering acknowledgements for ever. It writes nothing,
// and may be asked while a visit is under way.
//
// What our own store gained since the last visit is not looked at.
func (p *Peer) News(ctx context.Context, st *Stick) (bool, error) {
	found, err := st.list()
	if err != nil {
		return false, err
	}
	known, err := p.ledger.bundles(st.id)
	if err != nil {
		return false, err
	}
	for _, e := range found.bundles {
		if s := known[e.name]; s == nil || s.size != e.size {
			return true, nil
		}
		delete(known, e.name)
	}
	if len(known) > 0 { // gone: others may need them again
		return true, nil
	}
	return p.asked(ctx, st, found.haves)
}

// asked reports whether a have on the medium says more than that something
// arrived.
func (p *Peer) asked(ctx context.Context, st *Stick, files []haveFile) (bool, error) {
	known, err := p.ledger.haves(st.id)
	if err != nil {
		return false, err
	}
	head, err := p.Store.Head(p.Keys.Feed())
	if err != nil {
		return false, err
	}
	own := ID(p.Store.ID())
	counter, err := p.ledger.counter()
	if err != nil {
		return false, err
	}
	for _, f := range files {
		if err := context.Cause(ctx); err != nil {
			return false, err
		}
		if f.Store == own {
			if f.Counter > counter { // we were restored from a copy
				return true, nil
			}
			continue
		}
		if p.isKnown(f, known) {
			continue
		}
		h, err := p.readHave(st, f)
		if err != nil {
			continue // it says nothing, or not yet
		}
		old := known[h.writer()]
		if old == nil || old.Counter < h.Counter && (h.asksMore(old) || h.Holds(p.Keys.Feed()) > head.Seq) {
			return true, nil
		}
	}
	return false, nil
}

// asksMore reports whether h says anything but that its store got more of the
// feeds that old spoke of.
func (h *Have) asksMore(old *Have) bool {
	if h.WantAll != old.WantAll || !slices.Equal(h.Replaces, old.Replaces) ||
		!slices.Equal(h.Reads, old.Reads) || !slices.EqualFunc(h.Damaged, old.Damaged, Damage.equal) {
		return true
	}
	for _, was := range old.Holdings {
		if h.Holds(was.Feed) < was.Seq {
			return true
		}
	}
	for _, blob := range h.Blobs {
		if _, asked := slices.BinarySearchFunc(old.Blobs, blob, refs.Blob.Compare); !asked {
			return true
		}
	}
	wanted := func(feed refs.Feed) bool { return !old.Wants(feed) }
	if slices.ContainsFunc(h.Feeds, wanted) {
		return true
	}
	return slices.ContainsFunc(h.Holdings, func(now Holding) bool { return now.Wanted && wanted(now.Feed) })
}

func (d Damage) equal(o Damage) bool { return d.Bundle == o.Bundle && slices.Equal(d.Frames, o.Frames) }
