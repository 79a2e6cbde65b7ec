package keys

import (
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
// it meets again, within 13 MiB. It is safe for concurrent use; callers do not
// wait for each other. A nil *Verifier works and remembers nothing.
type Verifier struct {
	cache *keyCache
}

// NewVerifier returns an empty Verifier.
func NewVerifier() *Verifier { return &Verifier{cache: newKeyCache()} }

// VerifyBatch sets ok[i] to whether items[i] verifies, with the acceptance of
// Verify. ok must be at least as long as items. It works on the calling
// goroutine only and, for keys it remembers, allocates nothing.
func (v *Verifier) VerifyBatch(items []Signed, ok []bool) {
	ok = ok[:len(items)]
	for i := range items {
		ok[i] = v.verify(&items[i])
	}
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
