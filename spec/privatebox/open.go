package privatebox

import (
	"crypto/ecdh"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/nacl/secretbox"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/spec/keys"
)

// KeyLen is the length of a Key, in bytes.
const KeyLen = 1 + keyLen

// Key opens one box: what a recipient finds in its slot, the number of slots
// and the key of the text. It can be given on without giving away one's own
// key. In base64 it is the "unbox" of a message that was read privately.
type Key [KeyLen]byte

// ParseKey reads a key in canonical base64.
func ParseKey(s string) (key Key, err error) {
	raw, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(raw) != KeyLen || base64.StdEncoding.EncodeToString(raw) != s {
		return key, fmt.Errorf("a key to unbox with is the base64 of %d bytes", KeyLen)
	}
	return Key(raw), nil
}

// String returns the key in base64. It is a secret.
func (k Key) String() string { return base64.StdEncoding.EncodeToString(k[:]) }

// secret is the key of the text.
func (k *Key) secret() *[keyLen]byte { return (*[keyLen]byte)(k[1:]) }

// slots is how many slots there are in front of the text.
func (k *Key) slots() int { return int(k[0]) }

// Reader opens what was boxed for one identity. It is safe for concurrent use.
type Reader struct {
	private *ecdh.PrivateKey
}

// NewReader returns a reader for the owner of pair.
func NewReader(pair *keys.Pair) *Reader {
	private := pair.Curve25519()
	return newReader(private[:])
}

func newReader(private []byte) *Reader {
	key, err := ecdh.X25519().NewPrivateKey(private)
	if err != nil {
		panic(err) // not 32 bytes: only a mistake in this package
	}
	return &Reader{private: key}
}

// Key looks for the reader's slot in a box and returns what is in it, or false
// when the box is not for this reader or is none. Like ssb-keys it overlooks a
// sigil in front, what follows the first dot, padding and characters that are
// not base64, and takes the url-safe alphabet as well.
//
// It takes about the time of one key agreement, whoever the box is for.
func (r *Reader) Key(box string) (Key, bool) {
	return r.key(decode(box), MaxRecipients)
}

func (r *Reader) key(raw []byte, limit int) (key Key, ok bool) {
	if len(raw) < slotsAt+slotLen+secretbox.Overhead {
		return key, false
	}
	nonce := (*[nonceLen]byte)(raw)
	secret, err := shared(r.private, raw[nonceLen:slotsAt])
	if err != nil {
		return key, false
	}
	for i := range limit + 1 { // one more than are written, as private-box
		at := slotsAt + i*slotLen
		if at+slotLen > len(raw)-secretbox.Overhead {
			break
		}
		if open, ok := secretbox.Open(nil, raw[at:at+slotLen], nonce, secret); ok {
			return Key(open), true
		}
	}
	return key, false
}

// Open returns the content of a box, as JSON.stringify prints it, with the key
// that opens it, or false when the key is another's or the text is no JSON.
func Open(box string, key Key) ([]byte, bool) {
	text, ok := open(decode(box), key)
	if !ok {
		return nil, false
	}
	content, err := ecmajson.Compact(text)
	return content, err == nil
}

func open(raw []byte, key Key) ([]byte, bool) {
	at := slotsAt + key.slots()*slotLen
	if len(raw) < at {
		return nil, false
	}
	return secretbox.Open(nil, raw[at:], (*[nonceLen]byte)(raw), key.secret())
}

// decode returns the bytes that a box's text stands for, none when it is longer
// than any box.
func decode(box string) []byte {
	if len(box) > MaxText {
		return nil
	}
	if len(box) > 0 && strings.IndexByte("@%&", box[0]) >= 0 {
		box = box[1:]
	}
	box, _, _ = strings.Cut(box, ".")
	digits := strings.Map(base64Digit, box)
	if len(digits)%4 == 1 {
		digits = digits[:len(digits)-1] // six bits are no byte
	}
	raw, err := base64.RawStdEncoding.DecodeString(digits)
	if err != nil { // never: only digits are left
		return nil
	}
	return raw
}

// base64Digit maps both alphabets of base64 to the standard one and drops all
// else.
func base64Digit(r rune) rune {
	switch {
	case 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '+' || r == '/':
		return r
	case r == '-':
		return '+'
	case r == '_':
		return '/'
	}
	return -1
}
