package keys

import (
	"sync"

	"github.com/oasisprotocol/curve25519-voi/primitives/ed25519"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// Signed is one signature to verify.
type Signed struct {
	Feed refs.Feed
	Msg  []byte // the signed bytes, after HMAC.Payload
	Sig  [64]byte
}

// Verifier verifies many signatures and remembers the tables of the keys that
// it meets again, within 13 MiB. While it verifies signatures together it holds
// an equation of 1.1 MiB for each goroutine that does so at the same time, which
// it keeps until the garbage collector takes those nobody uses, and each full
// batch takes another 1.9 MiB that are garbage when it is done. It is safe for
// concurrent use; callers do not wait for each other. A nil *Verifier works and
// remembers nothing.
type Verifier struct {
	cache     *keyCache
	equations sync.Pool // of *equation, 1.1 MiB each
}

// NewVerifier returns an empty Verifier.
func NewVerifier() *Verifier {
	return &Verifier{cache: newKeyCache(), equations: sync.Pool{New: func() any { return newEquation() }}}
}

// VerifyBatch sets ok[i] to whether items[i] verifies, with the acceptance of
// Verify. ok must be at least as long as items. It works on the calling
// goroutine only.
//
// From about a hundred signatures on they are verified together, which costs
// a third (equation.go has the argument why that is exact). One that is bad
// makes all of its batch of 2048 be verified one by one, and so costs the
// others at most a third more than if they had never been together.
func (v *Verifier) VerifyBatch(items []Signed, ok []bool) {
	ok = ok[:len(items)]
	for start := 0; start < len(items); start += maxEquation {
		end := min(start+maxEquation, len(items))
		v.verifyTogether(items[start:end], ok[start:end])
	}
}

func (v *Verifier) verifyTogether(items []Signed, ok []bool) {
	if v.allGood(items) {
		for i := range ok {
			ok[i] = true
		}
		return
	}
	for i := range items {
		ok[i] = v.verify(&items[i])
	}
}

// allGood reports that all the signatures are good, if their number makes it
// worth to find out.
func (v *Verifier) allGood(items []Signed) bool {
	if v == nil || len(items) < minEquation {
		return false
	}
	e := v.equations.Get().(*equation)
	defer v.equations.Put(e)
	return e.holds(items)
}

// verify expands a key when it meets it for the second time. Expanding costs
// no time, as plain verification makes the same table and drops it, but
// memory: keys that occur once, which cost an attacker nothing, must not push
// out those that occur often.
func (v *Verifier) verify(item *Signed) bool {
	if v == nil {
		return Verify(item.Feed, item.Msg, &item.Sig)
	}
	slot := v.cache.slot(&item.Feed)
	if key := slot.get(&item.Feed); key != nil {
		return verifyExpanded(key, item.Msg, &item.Sig)
	}
	if !slot.seen() {
		ok := Verify(item.Feed, item.Msg, &item.Sig)
		if ok {
			slot.markSeen()
		}
		return ok
	}
	key, err := ed25519.NewExpandedPublicKey(item.Feed[:])
	if err != nil || !verifyExpanded(key, item.Msg, &item.Sig) {
		return false
	}
	slot.put(&item.Feed, key)
	return true
}
