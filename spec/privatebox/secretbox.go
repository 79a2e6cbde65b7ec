package privatebox

import "golang.org/x/crypto/nacl/secretbox"

// SealSecret encrypts text with a key alone, as secretBox of ssb-keys does: the
// nonce is the beginning of the key, so a key must be used for one text only.
func SealSecret(text []byte, key [32]byte) []byte {
	return secretbox.Seal(nil, text, (*[nonceLen]byte)(key[:]), &key)
}

// OpenSecret decrypts what SealSecret returned, or returns false.
func OpenSecret(boxed []byte, key [32]byte) ([]byte, bool) {
	return secretbox.Open(nil, boxed, (*[nonceLen]byte)(key[:]), &key)
}
