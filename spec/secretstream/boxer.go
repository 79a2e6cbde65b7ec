package secretstream

import (
	"encoding/binary"
	"errors"

	"golang.org/x/crypto/nacl/secretbox"
)

const (
	plainHeaderLen = 2 + secretbox.Overhead              // length and tag of the body
	headerLen      = plainHeaderLen + secretbox.Overhead // the same, boxed

	// maxSend is the largest body sent, in bytes; the protocol allows no more.
	maxSend = 4096
)

var (
	errHeader = errors.New("box stream: header does not open: the data was damaged or forged")
	errBody   = errors.New("box stream: body does not open: the data was damaged or forged")
)

// boxer boxes or opens one direction.
type boxer struct {
	key   [32]byte
	nonce [24]byte // of the next box
}

// increment adds one to the nonce, a big-endian number that wraps.
func (b *boxer) increment() {
	for i := len(b.nonce) - 1; i >= 0; i-- {
		b.nonce[i]++
		if b.nonce[i] != 0 {
			return
		}
	}
}

// seal appends the packet for a body of at most maxSend bytes to dst.
func (b *boxer) seal(dst, body []byte) []byte {
	headNonce := b.nonce
	b.increment()
	start := len(dst)

	// The body's box begins with its tag, and goes where the tag ends up in
	// front of the body; then the header goes over the tag.
	dst = append(dst, make([]byte, headerLen-secretbox.Overhead)...)
	dst = secretbox.Seal(dst, body, &b.nonce, &b.key)
	b.increment()

	var head [plainHeaderLen]byte
	binary.BigEndian.PutUint16(head[:], uint16(len(body)))
	copy(head[2:], dst[start+headerLen-secretbox.Overhead:])
	secretbox.Seal(dst[:start], head[:], &headNonce, &b.key)
	return dst
}

// goodbye returns the packet that ends the direction.
func (b *boxer) goodbye() []byte {
	return secretbox.Seal(nil, make([]byte, plainHeaderLen), &b.nonce, &b.key)
}

// header is an opened header.
type header struct {
	length int
	tag    [secretbox.Overhead]byte
}

// goodbye reports whether the header is the end of the direction.
func (h header) goodbye() bool { return h == header{} }

// openHeader opens a boxed header.
func (b *boxer) openHeader(box []byte) (header, error) {
	var buf [plainHeaderLen]byte
	plain, ok := secretbox.Open(buf[:0], box, &b.nonce, &b.key)
	if !ok {
		return header{}, errHeader
	}
	b.increment()
	return header{int(binary.BigEndian.Uint16(plain)), [secretbox.Overhead]byte(plain[2:])}, nil
}

// openBody opens a body with its tag in front of it and appends the plaintext
// to dst.
func (b *boxer) openBody(dst, box []byte) ([]byte, error) {
	plain, ok := secretbox.Open(dst, box, &b.nonce, &b.key)
	if !ok {
		return nil, errBody
	}
	b.increment()
	return plain, nil
}
