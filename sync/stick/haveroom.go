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
func (p *Peer) acknowledgeFull(sc *scene, acknowledge func() (bool, error), rep *Report) (bool, error) {
	wrote, err := acknowledge()
	for durable.IsFull(err) {
		removed, failed := p.removeLeast(sc, rep)
		if failed != nil || !removed {
			return wrote, err // which says what is the matter
		}
		wrote, err = acknowledge()
	}
	return wrote, err
}

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
