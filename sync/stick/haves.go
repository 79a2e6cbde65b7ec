package stick

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store/durable"
)

// maxHaveFiles bounds the have files read for one store in one visit. Two
// stay on a medium; the rest was put there by somebody else.
const maxHaveFiles = 16

// ownHaves are the haves our store left on a medium.
type ownHaves struct {
	files   []haveFile // newest first, readable or not
	newest  *Have      // resolved
	full    *Have      // the newest full one
	fullSum [32]byte   // SHA-256 of its file
}

// readHaves reads the haves on the medium that say something new, keeps them
// in the ledger, and learns from them: who else comes by, what is damaged,
// and whether our own store or feed is behind. With preview our store keeps its id
// whatever they say; proof that our feed is behind counts all the same.
func (p *Peer) readHaves(sc *scene, preview bool, rep *Report) error {
	known, err := p.ledger.haves(sc.stick.id)
	if err != nil {
		return err
	}
	stores := byStore(sc.listing.haves)
	own := ID(p.Store.ID())
	sc.mine = &ownHaves{}
	if files := stores[own]; files != nil {
		if err := p.readOwn(sc, files, preview, rep); err != nil {
			return err
		}
		delete(stores, own)
	}
	gone := p.dropStrangers(known, stores)
	room := int64(maxHaveBytes)
	var news []*Have
	for _, store := range p.inOrder(stores, known) {
		news = append(news, p.readStore(sc, stores[store], known, &room)...)
	}
	if room < 0 {
		rep.skip(Skip{haveDir, fmt.Sprintf("more than %d MiB of have files that are new: not all were read", maxHaveBytes>>20)})
	}
	if err := p.ledger.keepHaves(sc.stick.id, news, gone); err != nil {
		return err
	}
	if err := p.partFromCopy(sc, known, preview, rep); err != nil {
		return err
	}
	former, err := p.ledger.replaces()
	if err != nil {
		return err
	}
	all := present(sc.listing.haves, known, ID(p.Store.ID()))
	sc.others = p.dropFormer(all, former)
	sc.visit = newestVisit(sc.others, sc.mine.newest, p.trusts)
	p.honour(sc)
	return p.heed(all, former, rep)
}

// dropFormer returns the haves without those of our own store under former ids:
// nobody comes by under these any more, and what is left of us acknowledges
// nothing for others. Our own list says so also where our have does not lie.
func (p *Peer) dropFormer(haves []*Have, former []ID) []*Have {
	return slices.DeleteFunc(slices.Clone(haves), func(h *Have) bool {
		return h.Identity == p.Keys.Feed() && slices.Contains(former, h.Store)
	})
}

// byStore sorts the files of each store, newest first, and cuts long lists.
func byStore(files []haveFile) map[ID][]haveFile {
	stores := make(map[ID][]haveFile)
	for _, f := range files {
		stores[f.Store] = append(stores[f.Store], f)
	}
	for store, list := range stores {
		slices.SortFunc(list, func(a, b haveFile) int { return cmp.Compare(b.Counter, a.Counter) })
		stores[store] = list[:min(len(list), maxHaveFiles)]
	}
	return stores
}

// inOrder returns the stores in the order of reading: those that we trust and
// know from earlier visits first.
func (p *Peer) inOrder(stores map[ID][]haveFile, known map[writer]*Have) []ID {
	rank := make(map[ID]int)
	for w := range known {
		if p.trusts(w.identity) {
			rank[w.store] = -1
		}
	}
	return slices.SortedFunc(maps.Keys(stores), func(a, b ID) int {
		return cmp.Or(cmp.Compare(rank[a], rank[b]), a.compare(b))
	})
}

// readStore reads the files of one foreign store until one says what was
// known before. Counters below the highest known are normal (media are
// cloned) and ignored. Room is how many bytes may still be read.
func (p *Peer) readStore(sc *scene, files []haveFile, known map[writer]*Have, room *int64) (news []*Have) {
	for _, f := range files {
		if p.isKnown(f, known) {
			break
		}
		size, ok, err := p.worthReading(sc.stick, f)
		sc.deaf = sc.deaf || unreadable(err)
		if !ok {
			continue
		}
		if *room -= size; *room < 0 {
			break
		}
		h, err := p.readHave(sc.stick, f)
		sc.deaf = sc.deaf || unreadable(err)
		if err != nil {
			continue // damaged, unsigned, of another stick or network: says nothing
		}
		old := known[h.writer()]
		if old != nil && old.Counter >= h.Counter || old == nil && !p.admits(h, known) {
			continue
		}
		known[h.writer()] = h
		news = append(news, h)
	}
	return news
}

// Bounds of what strangers can make us remember of one medium.
const (
	maxStrangers       = 64
	maxStrangerEntries = 1 << 14 // holdings, wanted feeds, blobs and damage of each
	maxStrangerSize    = 1 << 20 // bytes of a file with so much in it
)

// maxHaveBytes bounds the bytes of new have files read in one visit.
const maxHaveBytes = 128 << 20

// worthReading returns the size of a have file, and whether it may say
// something: a stranger has little to say.
func (p *Peer) worthReading(st *Stick, f haveFile) (int64, bool, error) {
	file, info, err := durable.OpenRegular(st.root, f.path(), MaxHaveSize)
	if err != nil {
		return 0, false, err
	}
	defer file.Close()
	var head [signedBy + 32]byte
	if _, err := file.ReadAt(head[:], 0); err != nil {
		return 0, false, err
	}
	return info.Size(), info.Size() <= maxStrangerSize || p.trusts(refs.Feed(head[signedBy:])), nil
}

// unreadable reports whether the medium failed to give a file, as opposed to a
// file that is gone or none of ours.
func unreadable(err error) bool {
	var failed *fs.PathError
	return errors.As(err, &failed) && !errors.Is(err, fs.ErrNotExist)
}

// admits reports whether a have of somebody new is taken notice of.
func (p *Peer) admits(h *Have, known map[writer]*Have) bool {
	if p.trusts(h.Identity) {
		return true
	}
	strangers := 0
	for w := range known {
		if !p.trusts(w.identity) {
			strangers++
		}
	}
	return strangers < maxStrangers && len(h.Holdings)+len(h.Feeds)+len(h.Blobs)+len(h.Damaged) <= maxStrangerEntries
}

// dropStrangers forgets the strangers that have no file on the medium any
// more, and returns them.
func (p *Peer) dropStrangers(known map[writer]*Have, stores map[ID][]haveFile) (gone []writer) {
	for w := range known {
		if stores[w.store] == nil && !p.trusts(w.identity) {
			gone = append(gone, w)
			delete(known, w)
		}
	}
	return gone
}

// isKnown reports whether a file says nothing new. What a stranger wrote does
// not hide a have with a lower counter: anybody can write under any store id.
func (p *Peer) isKnown(f haveFile, known map[writer]*Have) bool {
	for w, h := range known {
		if w.store == f.Store && (h.Counter == f.Counter || h.Counter > f.Counter && p.trusts(w.identity)) {
			return true
		}
	}
	return false
}

// readHave reads one have file and lays a delta over its base.
func (p *Peer) readHave(st *Stick, f haveFile) (*Have, error) {
	h, _, err := p.readHaveFile(st, f)
	if err != nil || h.Base == 0 {
		return h, err
	}
	base, sum, err := p.readHaveFile(st, haveFile{f.Store, h.Base})
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: its base: %v", f, err)
	case sum != h.BaseSum || base.writer() != h.writer() || base.Base != 0:
		return nil, fmt.Errorf("%s: %d is not its base", f, h.Base)
	}
	if err := h.over(base); err != nil {
		return nil, fmt.Errorf("%s: %v", f, err)
	}
	return h, nil
}

// readHaveFile reads one file, and checks that it is what it is named and
// belongs to this medium and network.
func (p *Peer) readHaveFile(st *Stick, f haveFile) (*Have, [32]byte, error) {
	b, err := durable.ReadFile(st.root, f.path(), MaxHaveSize)
	if err != nil {
		return nil, [32]byte{}, err
	}
	h, err := parseHave(b)
	switch {
	case err != nil:
		return nil, [32]byte{}, fmt.Errorf("%s: %v", f, err)
	case h.Store != f.Store || h.Counter != f.Counter:
		return nil, [32]byte{}, fmt.Errorf("%s says it is %s", f, haveFile{h.Store, h.Counter})
	case h.Network != p.Network || h.Stick != st.id:
		return nil, [32]byte{}, fmt.Errorf("%s is of another stick or network", f)
	}
	return h, sha256.Sum256(b), nil
}

// readOwn reads what our own store left here. A higher counter than ours
// means that the store was restored from a copy: from now on it is another
// one.
func (p *Peer) readOwn(sc *scene, files []haveFile, preview bool, rep *Report) error {
	own := sc.mine
	own.files = files
	counter, err := p.ledger.counter()
	if err != nil {
		return err
	}
	for _, f := range files {
		h, sum, err := p.readHaveFile(sc.stick, f)
		if err != nil || h.Identity != p.Keys.Feed() {
			continue
		}
		if h.Counter > counter {
			return p.renew(sc, h, "this store was restored from a copy: the stick knows a newer state of it", preview, rep)
		}
		if h.Base == 0 && own.full == nil {
			own.full, own.fullSum = h, sum
		}
		if own.newest == nil {
			if own.newest, err = p.readHave(sc.stick, f); err != nil {
				own.newest = nil
			}
		}
	}
	return nil
}

// partFromCopy makes our store another one when a have of our identity says that
// it continues ours: the copy that left it lives, and so do we. Under the old id
// everybody would take us to be gone. That ends with us: the copy has an id of
// its own, which we do not list.
func (p *Peer) partFromCopy(sc *scene, known map[writer]*Have, preview bool, rep *Report) error {
	own := ID(p.Store.ID())
	for w, h := range known {
		if w.identity != p.Keys.Feed() || w.store == own || !slices.Contains(h.Replaces, own) {
			continue
		}
		return p.renew(sc, h, "this store was copied: the stick knows a copy that continues it", preview, rep)
	}
	return nil
}

// renew gives our store a new id for what a have says, and remembers the old one;
// a preview says only that it will.
func (p *Peer) renew(sc *scene, former *Have, why string, preview bool, rep *Report) error {
	sc.mine = &ownHaves{}
	if err := p.Guard.Claim(former.Holds(p.Keys.Feed()), true); err != nil {
		return err
	}
	if preview {
		rep.warn("%s; after the next visit here it is another store", why)
		return nil
	}
	rep.warn("%s; it continues as another store", why)
	if err := p.ledger.addReplaced(ID(p.Store.ID())); err != nil {
		return err
	}
	return p.Store.RenewID()
}

// present returns the newest known haves of the stores that left a file on
// the medium, without the ones that were replaced and our own.
func present(files []haveFile, known map[writer]*Have, own ID) []*Have {
	here := make(map[ID]bool)
	for _, f := range files {
		here[f.Store] = true
	}
	all := make([]*Have, 0, len(known))
	for _, h := range known {
		all = append(all, h)
	}
	haves := slices.DeleteFunc(dropReplaced(all), func(h *Have) bool { return !here[h.Store] || h.Store == own })
	slices.SortFunc(haves, func(a, b *Have) int {
		return cmp.Or(a.Identity.Compare(b.Identity), a.Store.compare(b.Store))
	})
	return haves
}

// Bounds of what is believed of a visit number: counting is honest, but a
// claim of 2^50 must not make all others look long gone, nor leave no number
// for the next visit.
const (
	maxJump  = 1000
	maxVisit = 1 << 32 // where there is no other number to compare with
)

// newestVisit returns the highest visit number that can be believed: of our own
// store and those that we trust or, where there is none of them, of others. A
// stranger who jumps ahead must not make those we trust look long gone.
func newestVisit(haves []*Have, own *Have, trusts func(refs.Feed) bool) uint64 {
	var trusted, others []uint64
	if own != nil {
		trusted = append(trusted, own.Visit)
	}
	for _, h := range haves {
		if trusts(h.Identity) {
			trusted = append(trusted, h.Visit)
		} else {
			others = append(others, h.Visit)
		}
	}
	if len(trusted) > 0 {
		return climb(trusted)
	}
	return climb(others)
}

// climb returns the newest of some visit numbers. What lies too far above the
// others counts as one more.
func climb(visits []uint64) (newest uint64) {
	slices.Sort(visits)
	for _, v := range visits {
		limit := newest + maxJump
		if newest == 0 {
			limit = maxVisit
		}
		switch {
		case v > limit:
			newest++
		case v > newest:
			newest = v
		}
	}
	return newest
}

// maxAccused bounds the bytes that a visit reads again because strangers say
// that they are damaged.
const maxAccused = 64 << 20

// honour marks what stores that we trust found damaged, and what others say
// they found.
func (p *Peer) honour(sc *scene) {
	sources := make(map[string]*source, len(sc.sources))
	for _, s := range sc.sources {
		sources[s.name] = s
	}
	room := int64(maxAccused)
	for _, h := range sc.others {
		trusted := p.trusts(h.Identity)
		for _, d := range h.Damaged {
			s := sources[d.Bundle]
			switch {
			case s == nil, slices.Contains(s.answered, haveFile{h.Store, h.Counter}):
			case trusted:
				s.doubt(d.Frames)
			case len(s.accused) > 0:
				s.accused = append(s.accused, orAll(d.Frames)...)
			case room >= s.size:
				room -= s.size
				s.accused = append(s.accused, orAll(d.Frames)...)
			}
		}
	}
}

// orAll returns the frames, or 0 for all of them when none is named.
func orAll(frames []int) []int {
	if len(frames) == 0 {
		return []int{0}
	}
	return frames
}

// doubt notes frames that somebody found damaged; none stands for all.
func (s *source) doubt(frames []int) {
	s.doubted = append(s.doubted, orAll(frames)...)
}

// heed draws the conclusions for our own identity: who uses it besides us, and
// who claims to hold more of our own feed than we do. What our store said under a
// former id is proof of that as well.
func (p *Peer) heed(haves []*Have, former []ID, rep *Report) error {
	own := p.Keys.Feed()
	head, err := p.Store.Head(own)
	if err != nil {
		return err
	}
	for _, h := range haves {
		mine := h.Identity == own
		if mine && !slices.Contains(former, h.Store) {
			rep.warn("this identity is used by another store (%s): two writers fork a feed", h.Store)
		}
		claim := h.Holds(own)
		if claim <= head.Seq {
			continue
		}
		if err := p.Guard.Claim(claim, mine); err != nil {
			return err
		}
		rep.warn("%s says it holds our own feed up to %d, we hold %d", h.Identity, claim, head.Seq)
	}
	return nil
}
