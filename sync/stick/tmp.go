package stick

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/ssbsync/ssbsync/store"
)

// staleVisits is the number of our visits after which a temporary file of
// another store, that never changed its size meanwhile, has been given up.
const staleVisits = 3

// part returns a name for a new temporary file of ours.
func (p *Peer) part(st *Stick) (string, error) {
	if err := makeDir(st.root, tmpDir); err != nil {
		return "", err
	}
	var random [partRandomLen / 2]byte
	rand.Read(random[:]) // never fails
	return tmpDir + "/" + ID(p.Store.ID()).String() + "-" + hex.EncodeToString(random[:]) + partSuffix, nil
}

// clean removes temporary files: ours, which an interrupted visit left, and
// those of others that stayed the same over several of our visits.
func (p *Peer) clean(sc *scene) error {
	former, err := p.ledger.replaces()
	if err != nil {
		return err
	}
	ours := map[ID]bool{ID(p.Store.ID()): true}
	for _, id := range former {
		ours[id] = true
	}
	for _, e := range sc.listing.parts {
		owner, _ := parsePartFile(e.name)
		stale := ours[owner]
		if !stale {
			if stale, err = p.ledger.aged(sc.stick.id, e); err != nil {
				return err
			}
		}
		if !stale {
			continue
		}
		if err := sc.stick.root.Remove(e.path); err != nil {
			return fmt.Errorf("removing what an interrupted visit left: %w", err)
		}
	}
	return p.ledger.forgetParts(sc.stick.id, sc.listing.parts)
}

func partKey(stick ID, name string) []byte { return append(stick[:], name...) }

// aged counts a visit that saw a temporary file, and reports whether it has
// been the same for long enough.
func (l *ledger) aged(stick ID, e entry) (bool, error) {
	t, key := l.store.Table(partTable), partKey(stick, e.name)
	b, err := t.Get(key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return false, err
	}
	d := &decoder{rest: b}
	size, visits := d.number(), d.number()
	if d.err != nil || int64(size) != e.size {
		visits = 0
	}
	if visits++; visits > staleVisits {
		return true, nil
	}
	return false, t.Put(key, appendNumber(appendNumber(nil, uint64(e.size)), visits))
}

// forgetParts removes the rows of files that are gone.
func (l *ledger) forgetParts(stick ID, present []entry) error {
	here := make(map[string]bool, len(present))
	for _, e := range present {
		here[e.name] = true
	}
	rows, err := l.store.Table(partTable).Scan(stick[:], nil, 0)
	for _, row := range rows {
		if err == nil && !here[string(row.Key[len(stick):])] {
			err = l.store.Table(partTable).Delete(row.Key)
		}
	}
	return err
}
