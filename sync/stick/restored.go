package stick

import (
	"slices"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
)

// Restored makes a store that was put back from a backup one of its own: it
// gets a new id, names the old one as replaced in what it leaves on sticks, and
// locks publishing, since it may lack the newest messages of the own feed.
func Restored(s *store.Store, own refs.Feed) error {
	if err := NewGuard(s, own).Lock(LockRestored); err != nil {
		return err
	}
	if err := newLedger(s).addReplaced(ID(s.ID())); err != nil {
		return err
	}
	return s.RenewID()
}

// addReplaced remembers a former id of our store. It must be remembered before
// the store gets another one: an id that is listed and still in use is left out
// of our haves.
func (l *ledger) addReplaced(old ID) error {
	ids, err := l.replaces()
	if err != nil {
		return err
	}
	i, found := slices.BinarySearchFunc(ids, old, ID.compare)
	if found {
		return nil
	}
	return l.setReplaces(slices.Insert(ids, i, old))
}
