package keys

import (
	"github.com/oasisprotocol/curve25519-voi/primitives/ed25519"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// MaxRemembered is how many keys a Verifier remembers at most.
const MaxRemembered = cacheSets * cacheWays

// Remember makes v remember the key of as if it were feed's, which saves tests
// from making thousands of keys.
func (v *Verifier) Remember(feed, as refs.Feed) error {
	key, err := ed25519.NewExpandedPublicKey(as[:])
	if err == nil {
		v.cache.slot(&feed).put(&feed, key)
	}
	return err
}

// Remembered returns how many keys v remembers.
func (v *Verifier) Remembered() int {
	n := 0
	for i := range v.cache.sets {
		for j := range v.cache.sets[i] {
			if v.cache.sets[i][j].Load() != nil {
				n++
			}
		}
	}
	return n
}

// Together reports whether the equation of all the signatures holds, however
// few they are.
func (v *Verifier) Together(items []Signed) bool {
	e := v.equations.Get().(*equation)
	defer v.equations.Put(e)
	return e.holds(items)
}

// Sizes of equations.
const (
	MinEquation = minEquation
	MaxEquation = maxEquation
)
