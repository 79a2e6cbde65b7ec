// Package privatebox boxes messages for one to seven recipients, so that only
// they can read them and nobody else learns who they are: the contents that end
// in ".box".
//
// Source: npm private-box 0.3.1 and ssb-keys 8.5.0, as which it reads and
// writes, and the protocol guide ("Private messages").
//
//	offset   length   what
//	0        24       nonce, for all boxes below
//	24       32       X25519 public key, made for this message only
//	56       49 · n   one slot a recipient: secretbox(n, body key), by the shared
//	                  secret of the key above and the recipient's
//	56+49·n  16 + m   secretbox(text), by the body key
//
// n is one byte. A reader does not know n nor which slot is its own: it tries
// the first eight. In a message the whole is base64 with the suffix ".box".
//
// The scheme tells a recipient who else could have read it no more than the
// text does, it does not hide the length of the text nor the number of
// recipients, and whoever learns a private key later reads everything that was
// ever boxed for it.
package privatebox

import (
	"crypto/ecdh"
	"encoding/base64"
	"fmt"
	"io"

	"golang.org/x/crypto/nacl/secretbox"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/refs"
)

const (
	// MaxRecipients is for how many a message can be boxed.
	MaxRecipients = 7

	// MaxText bounds the text of a box that is read, in bytes. No message can
	// hold more than an eighth of it.
	MaxText = 64 << 10

	// Suffix ends the content of a private message.
	Suffix = ".box"
)

// The layout, in bytes.
const (
	nonceLen = 24
	keyLen   = 32
	slotLen  = secretbox.Overhead + KeyLen
	slotsAt  = nonceLen + keyLen
)

// Box returns text, which should be JSON, boxed for the recipients, in the form
// in which it is the content of a message. All of them must be feeds to which
// boxes can be addressed (see keys.Curve25519); the same one twice is allowed.
// It reads 88 bytes of random.
func Box(random io.Reader, text []byte, recipients []refs.Feed) (string, error) {
	if len(recipients) == 0 {
		return "", fmt.Errorf("a private message needs at least one recipient")
	}
	to := make([][keyLen]byte, len(recipients))
	for i, feed := range recipients {
		var err error
		if to[i], err = keys.Curve25519(feed); err != nil {
			return "", err
		}
	}
	raw, err := seal(random, text, to, MaxRecipients)
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(raw) + Suffix, nil
}

// seal boxes text for recipients given by their X25519 keys.
func seal(random io.Reader, text []byte, to [][keyLen]byte, limit int) ([]byte, error) {
	if len(to) > limit {
		return nil, fmt.Errorf("max recipients is:%d found:%d", limit, len(to)) // as private-box says
	}
	var seed [nonceLen + 2*keyLen]byte
	if _, err := io.ReadFull(random, seed[:]); err != nil {
		return nil, fmt.Errorf("reading randomness: %v", err)
	}
	nonce := (*[nonceLen]byte)(seed[:])
	body := Key{byte(len(to))}
	copy(body[1:], seed[nonceLen:])
	once, err := ecdh.X25519().NewPrivateKey(seed[nonceLen+keyLen:])
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, slotsAt+len(to)*slotLen+len(text)+secretbox.Overhead)
	out = append(append(out, nonce[:]...), once.PublicKey().Bytes()...)
	for _, public := range to {
		secret, err := shared(once, public[:])
		if err != nil {
			return nil, err
		}
		out = secretbox.Seal(out, body[:], nonce, secret)
	}
	return secretbox.Seal(out, text, nonce, body.secret()), nil
}

// shared returns the shared secret with the owner of a public key.
func shared(private *ecdh.PrivateKey, public []byte) (*[keyLen]byte, error) {
	key, err := ecdh.X25519().NewPublicKey(public)
	if err != nil {
		return nil, err
	}
	secret, err := private.ECDH(key) // fails for points of small order
	if err != nil {
		return nil, err
	}
	return (*[keyLen]byte)(secret), nil
}
