package keys

import (
	"github.com/oasisprotocol/curve25519-voi/primitives/ed25519"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// exact makes curve25519-voi, together with smallOrderR, accept exactly what
// libsodium accepts: the cofactorless equation, canonical A of large order,
// S < L. It is never changed.
//
// AllowSmallOrderR leaves out decompressing R, an eighth of the work. What
// that would have found, smallOrderR and the comparison of R with the bytes
// that the equation gives find as well, as in libsodium.
var exact = &ed25519.Options{Verify: &ed25519.VerifyOptions{CofactorlessVerify: true, AllowSmallOrderR: true}}

// Verify reports whether sig is feed's signature of msg, with exactly the
// acceptance of libsodium's crypto_sign_verify_detached.
func Verify(feed refs.Feed, msg []byte, sig *[64]byte) bool {
	return !smallOrderR(sig) && ed25519.VerifyWithOptions(feed[:], msg, sig[:], exact)
}

// verifyExpanded is Verify with a key that was expanded before.
func verifyExpanded(key *ed25519.ExpandedPublicKey, msg []byte, sig *[64]byte) bool {
	return !smallOrderR(sig) && ed25519.VerifyExpandedWithOptions(key, msg, sig[:], exact)
}

// smallOrderR reports whether the R of a signature is the canonical encoding
// of a point of small order: one of five y coordinates with either sign. Other
// encodings of these points never equal the bytes R is compared with.
func smallOrderR(sig *[64]byte) bool {
	y := [32]byte(sig[:32])
	y[31] &= 0x7f
	switch y {
	case [32]byte{}, // order 4
		[32]byte{1}, // order 1
		orderTwo, orderEightA, orderEightB:
		return true
	}
	return false
}

// y coordinates of the points of order 2, p-1, and of order 8.
var (
	orderTwo = [32]byte{
		0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
	}
	orderEightA = [32]byte{
		0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
		0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
	}
	orderEightB = [32]byte{
		0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
		0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
	}
)
