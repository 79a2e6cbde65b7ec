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

// strictOptions make curve25519-voi accept exactly what libsodium accepts:
// cofactorless, no small-order A or R, canonical A, S < L.
func strictOptions() *ed25519.Options {
	return &ed25519.Options{Verify: &ed25519.VerifyOptions{CofactorlessVerify: true}}
}

// Verify reports whether sig is feed's signature of msg, with libsodium's
// acceptance.
func Verify(feed refs.Feed, msg []byte, sig *[64]byte) bool {
	return ed25519.VerifyWithOptions(feed[:], msg, sig[:], strictOptions())
}

// Verifier verifies many signatures and remembers what it can of their
// authors. It is safe for concurrent use.
type Verifier struct{}

// NewVerifier returns an empty Verifier.
func NewVerifier() *Verifier { return &Verifier{} }

// VerifyBatch sets ok[i] to whether items[i] verifies. len(ok) must be
// len(items).
func (v *Verifier) VerifyBatch(items []Signed, ok []bool) {
	for i := range items {
		ok[i] = Verify(items[i].Feed, items[i].Msg, &items[i].Sig)
	}
}
