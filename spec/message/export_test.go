package message

import "github.com/ssbsync/ssbsync/spec/keys"

// ParseOnly is VerifyBatch without the signatures.
func ParseOnly(raws [][]byte) {
	b := newBatch(raws, nil)
	for i, raw := range raws {
		b.add(i, raw)
	}
}

// SignedTexts returns what VerifyBatch would verify.
func SignedTexts(raws [][]byte) []keys.Signed {
	b := newBatch(raws, nil)
	for i, raw := range raws {
		b.add(i, raw)
	}
	return b.signed
}
