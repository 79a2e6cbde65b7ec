// Package keys holds the keys of Secure Scuttlebutt: the Ed25519 key pair
// that is an identity, the secret file it is kept in, the hmac key of a
// closed network, and signature verification with exactly libsodium's
// acceptance.
package keys

import (
	"crypto/ed25519"
	"fmt"
	"io"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// Pair is an identity: an Ed25519 key pair whose public half is the id of
// the feed it signs.
type Pair struct {
	private ed25519.PrivateKey
	feed    refs.Feed
}

// Generate makes a new identity from 32 bytes of random.
func Generate(random io.Reader) (*Pair, error) {
	var seed [ed25519.SeedSize]byte
	if _, err := io.ReadFull(random, seed[:]); err != nil {
		return nil, fmt.Errorf("reading randomness: %v", err)
	}
	return FromSeed(seed), nil
}

// FromSeed derives the identity of a 32-byte Ed25519 seed.
func FromSeed(seed [32]byte) *Pair {
	p := &Pair{private: ed25519.NewKeyFromSeed(seed[:])}
	copy(p.feed[:], p.private[ed25519.SeedSize:])
	return p
}

// Feed returns the id of the feed that p signs.
func (p *Pair) Feed() refs.Feed { return p.feed }

// Private returns the 64-byte private key, seed first. It is a secret: never
// log it.
func (p *Pair) Private() ed25519.PrivateKey { return p.private }

// Sign returns the Ed25519 signature of msg.
func (p *Pair) Sign(msg []byte) (sig [64]byte) {
	copy(sig[:], ed25519.Sign(p.private, msg))
	return sig
}

// String names the identity without its secret.
func (p *Pair) String() string { return p.feed.String() }

// Format writes the same as String for every verb, so that no way of printing
// a pair, or what holds one, shows the secret.
func (p Pair) Format(s fmt.State, _ rune) { io.WriteString(s, p.feed.String()) }
