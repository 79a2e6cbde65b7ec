package stick

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store/durable"
)

// formatBundle names the first version of the bundle in a have.
const formatBundle = "bundle-1"

// ourFormats lists, ascending, the formats and codecs this version reads.
func ourFormats() []string { return append([]string{formatBundle}, bundle.Codecs()...) }

// acknowledge leaves our have on the medium if it says something new, and
// reports whether it did. Our store must be durable by then.
func (p *Peer) acknowledge(sc *scene) (bool, error) {
	h, err := p.compose(sc)
	if err != nil {
		return false, err
	}
	mine := sc.mine
	if mine.newest != nil && mine.newest.sameNews(h) && !sc.isFading() {
		return false, nil
	}
	counter, err := p.ledger.counter()
	if err != nil {
		return false, err
	}
	h.Counter, h.Visit = sc.stick.freeCounter(h.Store, counter), min(sc.visit+1, maxNumber)
	if err := p.keepCounter(h.Counter); err != nil {
		return false, err
	}
	h.shrink(mine)
	if err := p.writeHave(sc.stick, h); err != nil {
		return false, &haveError{err}
	}
	return true, p.removeOld(sc.stick, h, mine)
}

// freeCounter returns the first counter above another one under whose name no file
// of a store lies: what does may be of a copy of it, and is not written over.
func (s *Stick) freeCounter(store ID, counter uint64) uint64 {
	for counter++; isFile(s.root, haveFile{store, counter}.path()); counter++ {
	}
	return counter
}

// keepCounter makes the counter of our next have durable.
func (p *Peer) keepCounter(n uint64) error {
	if err := p.check("counter", ""); err != nil {
		return fmt.Errorf("counting our haves: %w", err)
	}
	return p.ledger.setCounter(n)
}

// compose says what we hold and want now.
func (p *Peer) compose(sc *scene) (*Have, error) {
	h := &Have{Network: p.Network, Stick: sc.stick.id, Identity: p.Keys.Feed(), Store: ID(p.Store.ID())}
	h.Reads = ourFormats()
	heads, err := p.Store.Heads()
	if err != nil {
		return nil, err
	}
	h.WantAll = p.Policy.WantsAll()
	for _, head := range heads {
		wanted := !h.WantAll && (head.Feed == h.Identity || p.Policy.Wants(head.Feed))
		h.Holdings = append(h.Holdings, Holding{head.Feed, head.Seq, bundle.Prefix(head.ID), wanted})
	}
	if !h.WantAll {
		h.Feeds = slices.DeleteFunc(append(slices.Clone(p.Policy.Wanted()), h.Identity), func(f refs.Feed) bool { return h.Holds(f) > 0 })
	}
	h.Feeds = sorted(h.Feeds, refs.Feed.Compare)
	if p.Blobs != nil {
		if h.Blobs, err = p.Blobs.Wanted(nil); err != nil {
			return nil, fmt.Errorf("listing wanted blobs: %v", err)
		}
		h.Blobs = sorted(slices.Clone(h.Blobs), refs.Blob.Compare)
	}
	ids, err := p.ledger.replaces()
	h.Replaces = slices.DeleteFunc(ids, func(id ID) bool { return id == h.Store })
	h.Damaged = p.damages(sc.sources)
	h.clip()
	return h, err
}

// sorted sorts a list and removes what is in it twice.
func sorted[T comparable](list []T, compare func(a, b T) int) []T {
	slices.SortFunc(list, compare)
	return slices.Compact(list)
}

// damages lists what we found on the medium to be of no use to anybody:
// damaged frames, and frames that are not what they claim to be.
func (p *Peer) damages(sources []*source) []Damage {
	var list []Damage
	for _, s := range sources {
		if s.broken != "" && s.invalid {
			list = append(list, Damage{Bundle: s.name})
		}
		if !s.usable(p.Network) {
			continue
		}
		switch bad := sorted(append(s.lies(), s.damaged...), compareInts); {
		case len(bad) > maxNamedFrames:
			list = append(list, Damage{Bundle: s.name})
		case len(bad) > 0:
			list = append(list, Damage{s.name, bad})
		}
	}
	slices.SortFunc(list, compareDamage)
	return list
}

// maxNamedFrames is the number of damaged frames above which a have names the
// whole bundle.
const maxNamedFrames = 256

// lies returns the frames with a run that is not what it claims to be.
func (s *source) lies() []int {
	var frames []int
	for i := range s.frames {
		if slices.ContainsFunc(s.frames[i].runs, func(r run) bool { return r.lie }) {
			frames = append(frames, manifestFrame(i))
		}
	}
	return frames
}

// maxDeltas is how far the counter of a delta is above that of its base at
// most: ids of messages stand in full haves only.
const maxDeltas = 128

// shrink makes h a delta against our full have on the medium, where that
// saves half, and feeds that the base lacks did not cost as much yet, again and
// again, as it would to write a full one.
func (h *Have) shrink(mine *ownHaves) {
	if mine.full == nil || h.Counter > mine.full.Counter+maxDeltas {
		return
	}
	const moveLen, holdingLen = 3, 42 // about
	moved, added, ok := h.since(mine.full)
	if uint64(len(added))*(h.Counter-mine.full.Counter) > uint64(len(h.Holdings)) {
		return
	}
	if ok && len(moved)*moveLen+len(added)*holdingLen <= len(h.Holdings)*holdingLen/2 {
		h.Moved, h.Holdings, h.Base, h.BaseSum = moved, added, mine.full.Counter, mine.fullSum
	}
}

// writeHave writes a have durably under its final name.
func (p *Peer) writeHave(st *Stick, h *Have) error {
	if _, err := clearDir(st.root, haveDir); err != nil {
		return err
	}
	part, err := p.part(st)
	if err != nil {
		return err
	}
	name := haveFile{h.Store, h.Counter}.path()
	if _, err := clearFile(st.root, name); err != nil {
		return err
	}
	if err := p.check("have", name); err != nil {
		return err
	}
	_, err = durable.WriteBytes(st.root, name, h.encode(p.Keys), durable.Options{Temp: part})
	return err
}

// removeOld removes our older haves but one: the base of the newest, or the
// one before it.
func (p *Peer) removeOld(st *Stick, newest *Have, mine *ownHaves) error {
	keep := newest.Base
	if keep == 0 && len(mine.files) > 0 {
		keep = mine.files[0].Counter
	}
	for _, f := range mine.files {
		if f.Counter == keep || f.Store != newest.Store {
			continue
		}
		if !isFile(st.root, f.path()) {
			continue // nothing of ours
		}
		// Our have is on the medium, and what is older does no harm.
		err := st.root.Remove(f.path())
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) && !durable.IsFull(err) {
			return fmt.Errorf("removing our older have: %w", err)
		}
	}
	return nil
}
