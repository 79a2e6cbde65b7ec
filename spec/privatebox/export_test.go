package privatebox

// SealRaw is seal.
var SealRaw = seal

// OpenRaw opens a box with an X25519 key; limit is how many recipients its
// writer could have.
func OpenRaw(raw, private []byte, limit int) ([]byte, bool) {
	key, ok := newReader(private).key(raw, limit)
	if !ok {
		return nil, false
	}
	return open(raw, key)
}
