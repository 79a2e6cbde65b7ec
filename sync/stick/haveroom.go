package stick

import (
	"slices"

	"github.com/ssbsync/ssbsync/store/durable"
	"github.com/ssbsync/ssbsync/sync/space"
)

// acknowledgeFull is acknowledge for a medium that is full to the last byte, as
// interrupted visits leave it: what is needed least goes, one bundle after the
// other, until there is room for our have. As long as nobody can say what he
// holds nothing is ever released.
//
// Nothing goes when there is room for it as far as the medium says: then
// something else is full, a folder for instance. Nor does more go when what went
// made no room.
func (p *Peer) acknowledgeFull(sc *scene, acknowledge func() (bool, error), rep *Report) (bool, error) {
	wrote, err := acknowledge()
	for least := uint64(0); durable.IsFull(err); {
		free, _, failed := p.FreeSpace(sc.stick.root.Name())
		if failed != nil || free < least || free >= uint64(sc.haveSize())+cramped {
			return wrote, err
		}
		removed, failed := p.removeLeast(sc, rep)
		if failed != nil || !removed {
			rep.hintFull()
			return wrote, err // which says what is the matter
		}
		least = free + 1
		wrote, err = acknowledge()
	}
	return wrote, err
}

// hintFull says what to do about a medium without room for our have.
func (r *Report) hintFull() {
	r.hint("the medium is full, and what lies there may not go: make room on it, or let somebody who holds more of it visit it")
}

// cramped is what a file system may need besides the bytes of a file: blocks
// that are not full, and one more for its folder.
const cramped = 128 << 10

// removeLeast removes the bundle that is needed least, if there is one that may
// go.
func (p *Peer) removeLeast(sc *scene, rep *Report) (bool, error) {
	m, sources, err := p.medium(sc, 0)
	if err != nil {
		return false, err
	}
	candidates := p.Space.Candidates(m)
	i := slices.IndexFunc(candidates, func(c space.Candidate) bool { return !sources[c.Bundle].fresh })
	if i < 0 {
		return false, nil
	}
	e := p.newExporter(nil, ExportOptions{}, 0, rep, nil)
	return true, e.remove(sc, sources[candidates[i].Bundle])
}
