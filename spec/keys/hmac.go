package keys

import (
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"
	"errors"
)

// HMAC is the key that messages of a closed network are signed with (caps.sign
// in ssb-config). The nil *HMAC stands for the main network, which has none.
type HMAC [32]byte

// errHMAC names the fault without repeating what may be a secret.
var errHMAC = errors.New("hmac key is not the base64 of 32 bytes")

// ParseHMAC reads the canonical base64 form of an hmac key.
func ParseHMAC(s string) (*HMAC, error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(raw) != len(HMAC{}) || base64.StdEncoding.EncodeToString(raw) != s {
		return nil, errHMAC // the last: line breaks, which decoding skips
	}
	return (*HMAC)(raw), nil
}

// Sum returns HMAC-SHA-512-256(msg, k), which is HMAC-SHA-512 cut to 32 bytes
// (libsodium's crypto_auth), not the SHA-512/256 of FIPS 180-4.
func (k *HMAC) Sum(msg []byte) (sum [32]byte) {
	mac := hmac.New(sha512.New, k[:])
	mac.Write(msg)
	copy(sum[:], mac.Sum(nil))
	return sum
}

// Payload returns what is signed for msg: msg itself on the main network, its
// HMAC elsewhere.
func (k *HMAC) Payload(msg []byte) []byte {
	if k == nil {
		return msg
	}
	sum := k.Sum(msg)
	return sum[:]
}
