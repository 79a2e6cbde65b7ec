package stick

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"

	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/store/durable"
)

// staleVisits is the number of our visits after which a temporary file of
// another store, that never changed its size meanwhile, has been given up.
const staleVisits = 3

// part returns a name for a new temporary file of ours.
func (p *Peer) part(st *Stick) (string, error) {
	if _, err := clearDir(st.root, tmpDir); err != nil {
		return "", err
	}
	return partName(ID(p.Store.ID())), nil
}

// partName makes up the name of a temporary file of a store.
func partName(owner ID) string {
	var random [partRandomLen / 2]byte
	rand.Read(random[:]) // never fails
	return tmpDir + "/" + owner.String() + "-" + hex.EncodeToString(random[:]) + partSuffix
}

// clean removes temporary files: ours, which an interrupted visit left, and
// those of others that stayed the same over several of our visits; and what a
// test of the capacity left, up to the size of the medium. What cannot be
// removed, or another store removed first, is left.
func (p *Peer) clean(sc *scene) error {
	_ = durable.CleanCapacity(sc.stick.root, durable.CapacityDir)
	former, err := p.ledger.replaces()
	if err != nil {
		return err
	}
	ours := map[ID]bool{ID(p.Store.ID()): true}
	for _, id := range former {
		ours[id] = true
	}
	var others, stale []entry
	for _, e := range sc.listing.parts {
		if owner, _ := parsePartFile(e.name); ours[owner] {
			stale = append(stale, e)
		} else {
			others = append(others, e)
		}
	}
	aged, err := p.ledger.age(sc.stick.id, others[:min(len(others), maxParts)])
	if err != nil {
		return err
	}
	for _, e := range append(stale, aged...) {
		_ = sc.stick.root.Remove(e.path)
	}
	return nil
}

// maxParts bounds the temporary files of others that we keep an eye on.
const maxParts = 1000

func partKey(stick ID, name string) []byte { return append(stick[:], name...) }

// age counts a visit for the temporary files of others on a stick, and returns
// those that have been the same for long enough. Files that are gone are
// forgotten.
func (l *ledger) age(stick ID, present []entry) (stale []entry, err error) {
	t := l.store.Table(partTable)
	known := make(map[string][]byte)
	err = t.View(func(tx *store.TableTx) error {
		return tx.Each(stick[:], nil, func(key, value []byte) bool {
			known[string(key[len(stick):])] = bytes.Clone(value)
			return true
		})
	})
	if err != nil || len(known)+len(present) == 0 {
		return nil, err
	}
	rows := make(map[string][]byte, len(present))
	for _, e := range present {
		visits := e.unchanged(known[e.name]) + 1
		if visits > staleVisits {
			stale = append(stale, e)
			continue
		}
		rows[e.name] = appendNumber(appendNumber(nil, uint64(e.size)), visits)
	}
	return stale, t.Update(func(tx *store.TableTx) error {
		for name := range known {
			if rows[name] == nil {
				if err := tx.Delete(partKey(stick, name)); err != nil {
					return err
				}
			}
		}
		for name, row := range rows {
			if err := tx.Put(partKey(stick, name), row); err != nil {
				return err
			}
		}
		return nil
	})
}

// unchanged returns how many visits saw a file in the size it has now, from
// its row in the ledger.
func (e *entry) unchanged(row []byte) uint64 {
	d := &decoder{rest: row}
	size, visits := d.number(), d.number()
	if d.err != nil || int64(size) != e.size {
		return 0
	}
	return visits
}
