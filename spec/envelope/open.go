package envelope

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"

	"golang.org/x/crypto/nacl/secretbox"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// maxText bounds the text of an envelope that is read, in bytes. No message can
// hold more than an eighth of it.
const maxText = 64 << 10

// ReadKey opens one envelope. It can be given on without giving away the key
// of a recipient. In base64 it is the "unbox" of a message that was read
// privately.
type ReadKey [keyLen]byte

// ParseReadKey reads a key in canonical base64.
func ParseReadKey(s string) (key ReadKey, err error) {
	raw, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(raw) != keyLen || base64.StdEncoding.EncodeToString(raw) != s {
		return key, fmt.Errorf("a key to open an envelope with is the base64 of %d bytes", keyLen)
	}
	return ReadKey(raw), nil
}

// String returns the key in base64. It is a secret.
func (k ReadKey) String() string { return base64.StdEncoding.EncodeToString(k[:]) }

// Cloak returns the cloaked id of the message that k opens: a name for it that
// only those who can read it can connect with it. That of a group's first
// message is the id of the group.
func (k ReadKey) Cloak(id refs.Message) refs.Cloaked {
	return expand(k, []byte("cloaked_msg_id"), typed(messageClassic, id))
}

// Find tries keys on the first slots of the envelope at place p and returns the
// key by which it is read, or false when none of them fits. It takes a time
// that grows with the number of keys times that of slots.
func (p Place) Find(box string, slots int, keys ...Key) (ReadKey, bool) {
	raw := decode(box)
	for _, key := range keys {
		if found, ok := p.find(raw, slots, key); ok {
			return found, true
		}
	}
	return ReadKey{}, false
}

func (p Place) find(raw []byte, slots int, key Key) (ReadKey, bool) {
	pad := p.pad(key)
	for i := range min(slots, MaxSlots) {
		at := slotsAt + i*keyLen
		if at+keyLen+secretbox.Overhead >= len(raw) { // a text has at least one byte
			break
		}
		read := p.readKey(xor(pad, [keyLen]byte(raw[at:])))
		if _, ok := p.header(raw, read); ok {
			return read, true
		}
	}
	return ReadKey{}, false
}

// header opens the header and returns where the text begins.
func (p Place) header(raw []byte, key ReadKey) (offset int, ok bool) {
	if len(raw) < slotsAt {
		return 0, false
	}
	header, ok := secretbox.Open(nil, raw[:slotsAt], &zero, p.headerKey(key))
	if !ok {
		return 0, false
	}
	return int(binary.LittleEndian.Uint16(header)), true
}

// Open returns the content of the envelope at place p, as JSON.stringify prints
// it, or false when the key is another's or the text is no JSON.
func (p Place) Open(box string, key ReadKey) ([]byte, bool) {
	text, ok := p.open(decode(box), key)
	if !ok {
		return nil, false
	}
	content, err := ecmajson.Compact(text)
	return content, err == nil
}

func (p Place) open(raw []byte, key ReadKey) ([]byte, bool) {
	offset, ok := p.header(raw, key)
	if !ok || offset < slotsAt || offset > len(raw) {
		return nil, false
	}
	return secretbox.Open(nil, raw[offset:], &zero, p.bodyKey(key))
}

// decode returns the bytes of an envelope, none when the text is not the
// canonical base64 of some, with the suffix.
func decode(box string) []byte {
	digits, ok := strings.CutSuffix(box, Suffix)
	if !ok || len(box) > maxText || strings.ContainsAny(digits, "\r\n") {
		return nil
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(digits)
	if err != nil {
		return nil
	}
	return raw
}
