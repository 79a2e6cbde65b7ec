// Package envelope boxes messages for groups and for up to sixteen recipients:
// the contents that end in ".box2".
//
// Sources: envelope-spec 1.1 and private-group-spec (both ssbc) and, where they
// are silent or disagree, npm envelope-js 1.3.2 and ssb-private-group-keys
// 0.4.1.
//
//	offset   length   what
//	0        32       secretbox(header), by the header key
//	32       32 · n   slots: the message key, each xored with a key of its
//	                  recipient's
//	offset   16 + m   secretbox(text), by the body key
//
//	header   length   what
//	0        2        offset of the text, little-endian
//	2        14       zero: flags and settings of extensions, none of which exist
//
// All nonces are zero: each message has its own key, from which the others are
// derived. Every derivation goes over the author and the message before, so
// that what is boxed for one place in one feed opens nowhere else:
//
//	derive(key, labels…) = HKDF-Expand-SHA256(key, list("envelope", author,
//	                       previous, labels…), 32)
//	read key    = derive(message key, "read_key")
//	header key  = derive(read key, "header_key")
//	body key    = derive(read key, "body_key")
//	slot i      = message key xor derive(key of recipient i, "slot_key", scheme)
//
// A list is its elements, each behind its length as two bytes, little-endian. An
// id is a type, a format and 32 bytes (ssb-bfe-spec); no message before is an id
// of zeros.
package envelope

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/nacl/secretbox"

	"github.com/ssbsync/ssbsync/spec/refs"
)

const (
	// MaxSlots is for how many keys a message can be boxed.
	MaxSlots = 16

	// Suffix ends the content of a message in an envelope.
	Suffix = ".box2"
)

// The layout, in bytes.
const (
	keyLen    = 32
	headerLen = 16
	slotsAt   = secretbox.Overhead + headerLen
)

// Scheme says how the key of a recipient came about. It is part of what a slot
// is closed with.
type Scheme string

// The schemes of private-group-spec.
const (
	SchemeGroup  Scheme = "envelope-large-symmetric-group"
	SchemeDirect Scheme = "envelope-id-based-dm-converted-ed25519"
	SchemeSelf   Scheme = "envelope-symmetric-key-for-self"
	SchemePOBox  Scheme = "envelope-id-based-pobox-curve25519"
)

// Key is a key that writer and reader share, by which one slot is closed.
type Key struct {
	Secret [keyLen]byte
	Scheme Scheme
}

// Place is where a message stands: its author and the message before. An
// envelope opens only there.
type Place struct {
	author, previous []byte // with type and format
}

// At returns the place behind a message in a classic feed; zero stands for the
// beginning.
func At(author refs.Feed, previous refs.Message) Place {
	return Place{author: typed(feedClassic, author), previous: typed(messageClassic, previous)}
}

// kind is the type and the format of an id.
type kind [2]byte

var (
	feedClassic    = kind{0, 0}
	messageClassic = kind{1, 0}
	keyDirect      = kind{3, 0}
	keyPOBox       = kind{3, 1}
	identityPOBox  = kind{7, 0}
)

func typed[T ~[32]byte](k kind, id T) []byte {
	data := [32]byte(id)
	return append(k[:], data[:]...)
}

// list encodes a list of byte strings.
func list(elements ...[]byte) []byte {
	var out []byte
	for _, e := range elements {
		out = append(binary.LittleEndian.AppendUint16(out, uint16(len(e))), e...)
	}
	return out
}

// expand is HKDF-Expand for a list.
func expand(key [keyLen]byte, elements ...[]byte) (out [keyLen]byte) {
	raw, err := hkdf.Expand(sha256.New, key[:], string(list(elements...)), keyLen)
	if err != nil {
		panic(err) // only for outputs that are too long
	}
	return [keyLen]byte(raw)
}

func (p Place) derive(key [keyLen]byte, labels ...string) [keyLen]byte {
	elements := [][]byte{[]byte("envelope"), p.author, p.previous}
	for _, label := range labels {
		elements = append(elements, []byte(label))
	}
	return expand(key, elements...)
}

// pad is what the message key is xored with in a slot for key.
func (p Place) pad(key Key) [keyLen]byte {
	return p.derive(key.Secret, "slot_key", string(key.Scheme))
}

func (p Place) readKey(message [keyLen]byte) ReadKey { return p.derive(message, "read_key") }

func (p Place) headerKey(key ReadKey) *[keyLen]byte {
	k := p.derive(key, "header_key")
	return &k
}

func (p Place) bodyKey(key ReadKey) *[keyLen]byte {
	k := p.derive(key, "body_key")
	return &k
}

func xor(a, b [keyLen]byte) (out [keyLen]byte) {
	for i := range a {
		out[i] = a[i] ^ b[i]
	}
	return out
}

// Box returns text, which should be JSON, in an envelope for the holders of
// keys, in the form in which it is the content of the message at place p; and
// the key by which it is read. A group's key belongs in front: readers look for
// it nowhere else. It reads 32 bytes of random.
func (p Place) Box(random io.Reader, text []byte, keys []Key) (string, ReadKey, error) {
	var message [keyLen]byte
	if _, err := io.ReadFull(random, message[:]); err != nil {
		return "", ReadKey{}, fmt.Errorf("reading randomness: %v", err)
	}
	raw, err := p.seal(message, text, keys)
	if err != nil {
		return "", ReadKey{}, err
	}
	return base64.StdEncoding.EncodeToString(raw) + Suffix, p.readKey(message), nil
}

func (p Place) seal(message [keyLen]byte, text []byte, keys []Key) ([]byte, error) {
	switch {
	case len(text) == 0:
		return nil, errors.New("an envelope needs a text")
	case message == [keyLen]byte{}:
		return nil, errors.New("an envelope needs a key that is not zero")
	case len(keys) == 0 || len(keys) > MaxSlots:
		return nil, fmt.Errorf("an envelope is for 1 to %d recipients, not %d", MaxSlots, len(keys))
	}
	key := p.readKey(message)
	offset := slotsAt + len(keys)*keyLen
	var header [headerLen]byte
	binary.LittleEndian.PutUint16(header[:], uint16(offset))

	out := make([]byte, 0, offset+secretbox.Overhead+len(text))
	out = secretbox.Seal(out, header[:], &zero, p.headerKey(key))
	for _, k := range keys {
		slot := xor(message, p.pad(k))
		out = append(out, slot[:]...)
	}
	return secretbox.Seal(out, text, &zero, p.bodyKey(key)), nil
}

// zero is the nonce of every box; it is never written to.
var zero [24]byte
