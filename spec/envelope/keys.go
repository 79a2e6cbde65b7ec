package envelope

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// Group returns the slot key of the members of a group, who share a secret.
func Group(secret [keyLen]byte) Key { return Key{Secret: secret, Scheme: SchemeGroup} }

// Own returns the slot key for messages to oneself, by which a writer reads what
// it wrote to others. Nobody else has to know it; that it follows from the
// identity means that the secret file alone brings everything back.
func Own(pair *keys.Pair) Key {
	return Key{Secret: extract(pair.Private().Seed(), nil, []byte("ssbsync: own key of envelopes, version 1")), Scheme: SchemeSelf}
}

// Direct returns the slot keys that the owner of pair shares with another feed.
// The first is the one to write with.
//
// Both sides put their ids in order before they derive the key. The
// specification says by their bytes. The JavaScript programs let sort() compare
// the bytes as if they were UTF-8 text, which gives another order for about one
// pair of fifteen, and another key. They are whom we write to, so theirs comes
// first; where the other differs it is the second, to read with.
func Direct(pair *keys.Pair, other refs.Feed) ([]Key, error) {
	if other == pair.Feed() {
		return nil, fmt.Errorf("direct messages go to somebody else: for %s there is the own key", other)
	}
	public, err := keys.Curve25519(other)
	if err != nil {
		return nil, err
	}
	own, err := ownID(pair)
	if err != nil {
		return nil, err
	}
	secret := pair.Curve25519()
	theirs := append(typed(keyDirect, public), typed(feedClassic, other)...)
	return sharedKeys(secret, public, own, theirs, direct)
}

// POBox returns the slot keys that the owner of pair shares with a P.O. box, as
// Direct does.
func POBox(pair *keys.Pair, box [keyLen]byte) ([]Key, error) {
	own, err := ownID(pair)
	if err != nil {
		return nil, err
	}
	return sharedKeys(pair.Curve25519(), box, own, append(typed(keyPOBox, box), typed(identityPOBox, box)...), poBox)
}

// ownID is what the owner of pair is in a key agreement.
func ownID(pair *keys.Pair) ([]byte, error) {
	public, err := keys.Curve25519(pair.Feed())
	if err != nil {
		return nil, err
	}
	return append(typed(keyDirect, public), typed(feedClassic, pair.Feed())...), nil
}

// agreement is the constants of a way to agree on a key.
type agreement struct {
	scheme        Scheme
	salt, context string
}

var (
	direct = agreement{SchemeDirect, "envelope-dm-v1-extract-salt", "envelope-ssb-dm-v1/key"}
	poBox  = agreement{SchemePOBox, "envelope-pobox-v1-extract-salt", "envelope-ssb-pobox-v1/key"}
)

// sharedKeys derives the keys that two parties, whose ids are own and theirs,
// share: the one that JavaScript programs derive, then that of the
// specification where it differs.
func sharedKeys(private, public [keyLen]byte, own, theirs []byte, by agreement) ([]Key, error) {
	secret, err := exchange(private, public)
	if err != nil {
		return nil, err
	}
	key := func(first, second []byte) Key {
		salt := sha256.Sum256([]byte(by.salt))
		return Key{Secret: extract(secret, salt[:], list([]byte(by.context), first, second)), Scheme: by.scheme}
	}
	ids := [2][]byte{own, theirs}
	if bytes.Compare(own, theirs) > 0 {
		ids[0], ids[1] = theirs, own
	}
	if compareAsText(ids[0], ids[1]) <= 0 {
		return []Key{key(ids[0], ids[1])}, nil
	}
	return []Key{key(ids[1], ids[0]), key(ids[0], ids[1])}, nil
}

// exchange is X25519; it fails for public keys of small order.
func exchange(private, public [keyLen]byte) ([]byte, error) {
	own, err := ecdh.X25519().NewPrivateKey(private[:])
	if err != nil {
		return nil, err
	}
	theirs, err := ecdh.X25519().NewPublicKey(public[:])
	if err != nil {
		return nil, err
	}
	return own.ECDH(theirs)
}

// extract is HKDF-SHA256.
func extract(secret, salt, info []byte) (out [keyLen]byte) {
	raw, err := hkdf.Key(sha256.New, secret, salt, string(info), keyLen)
	if err != nil {
		panic(err) // only for outputs that are too long
	}
	return [keyLen]byte(raw)
}
