package stick

import (
	"errors"
	"slices"

	"github.com/ssbsync/ssbsync/store/durable"
	"github.com/ssbsync/ssbsync/sync/space"
)

// acknowledgeFull is acknowledge for a medium that is full to the last byte, as
// interrupted visits leave it, or whoever else uses it: what nobody needs goes,
// one bundle after the other, until there is room for our have. What somebody
// lacks is worth more than that.
//
// A store of ours that is full is another matter, and fails the visit.
//
// Nothing goes when there is room for it as far as the medium says: then
// something else is full, a folder for instance. Nor does more go when what went
// made no room. A have without room fails no visit: what was imported is safe,
// and what lies on the medium is of as much use as before.
func (p *Peer) acknowledgeFull(sc *scene, acknowledge func() (bool, error), rep *Report) (bool, error) {
	wrote, err := acknowledge()
	for least := uint64(0); leavesNoRoom(err); {
		free, _, failed := p.FreeSpace(sc.stick.root.Name())
		if failed != nil || free < least || free >= uint64(sc.haveSize())+cramped {
			break
		}
		removed, failed := p.removeLeast(sc, rep)
		if failed != nil || !removed {
			break
		}
		least = free + 1
		wrote, err = acknowledge()
	}
	if leavesNoRoom(err) {
		rep.NoHave = true
		rep.hint("make room on the medium, or let somebody who holds more of what lies there visit it")
		rep.warn("no room for our have, so that nobody learns here what we hold: %v", err)
		err = nil
	}
	return wrote, err
}

// haveError says that our have could not be written to the medium.
type haveError struct{ err error }

func (e *haveError) Error() string { return "writing our have: " + e.err.Error() }
func (e *haveError) Unwrap() error { return e.err }

// leavesNoRoom reports whether the medium was too full for our have.
func leavesNoRoom(err error) bool {
	var failed *haveError
	return errors.As(err, &failed) && durable.IsFull(failed.err)
}

// cramped is what a file system may need besides the bytes of a file: blocks
// that are not full, and one more for its folder.
const cramped = 128 << 10

// removeLeast removes the bundle that is needed least, if there is one that
// nobody needs.
func (p *Peer) removeLeast(sc *scene, rep *Report) (bool, error) {
	m, sources, err := p.medium(sc, 0)
	if err != nil {
		return false, err
	}
	candidates := space.Unneeded(p.Space, m)
	i := slices.IndexFunc(candidates, func(c space.Candidate) bool {
		// While somebody unknown is assumed, only copies are of no use to him.
		return !sources[c.Bundle].fresh && (sc.patient || c.Reason == space.IsReplaced)
	})
	if i < 0 {
		return false, nil
	}
	e := p.newExporter(nil, ExportOptions{}, 0, rep, nil)
	return true, e.remove(sc, sources[candidates[i].Bundle])
}
