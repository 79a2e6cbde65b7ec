package keys

import (
	"crypto/sha512"
	"fmt"

	"github.com/oasisprotocol/curve25519-voi/curve"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// Curve25519 returns the X25519 public key of a feed, for boxes and
// handshakes. Like libsodium's crypto_sign_ed25519_pk_to_curve25519 it fails
// for bytes that are no point of the curve or none of the main subgroup.
//
// libsodium 1.0.18, which the JavaScript programs use, overlooks a component
// of order 2. Such keys are made on purpose only, so they are refused here.
func Curve25519(feed refs.Feed) ([32]byte, error) {
	compressed := curve.CompressedEdwardsY(feed)
	var point curve.EdwardsPoint
	if _, err := point.SetCompressedY(&compressed); err != nil {
		return [32]byte{}, fmt.Errorf("feed %s is not a point of the curve", feed)
	}
	if point.IsSmallOrder() || !point.IsTorsionFree() {
		return [32]byte{}, fmt.Errorf("feed %s is not in the main subgroup of the curve", feed)
	}
	var u curve.MontgomeryPoint
	u.SetEdwards(&point)
	return [32]byte(u), nil
}

// Curve25519 returns the X25519 private key of p: libsodium's
// crypto_sign_ed25519_sk_to_curve25519. It is a secret.
func (p *Pair) Curve25519() [32]byte {
	h := sha512.Sum512(p.private[:32])
	h[0] &= 248
	h[31] = h[31]&127 | 64
	return [32]byte(h[:32])
}
