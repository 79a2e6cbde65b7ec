package envelope

// PlaceOf is a place given by its ids with type and format.
func PlaceOf(author, previous []byte) Place { return Place{author: author, previous: previous} }

// Seal is Box with a given message key, before base64.
func (p Place) Seal(message [32]byte, text []byte, keys []Key) ([]byte, error) {
	return p.seal(message, text, keys)
}

// FindRaw is Find for bytes.
func (p Place) FindRaw(raw []byte, slots int, key Key) (ReadKey, bool) {
	return p.find(raw, slots, key)
}

// OpenRaw is Open for bytes, which may hold any text.
func (p Place) OpenRaw(raw []byte, key ReadKey) ([]byte, bool) { return p.open(raw, key) }

// Slot xors a message key into a slot, and out of it.
func (p Place) Slot(content [32]byte, key Key) [32]byte { return xor(content, p.pad(key)) }

// Derived returns the keys that follow from a message key.
func (p Place) Derived(message [32]byte) (read, header, body [32]byte) {
	key := p.readKey(message)
	return key, *p.headerKey(key), *p.bodyKey(key)
}

// CloakRaw is Cloak for an id with type and format.
func (k ReadKey) CloakRaw(id []byte) [32]byte { return expand(k, []byte("cloaked_msg_id"), id) }

// The parts of an agreement on a key, with ids as they enter it.
var (
	DirectAgreement = direct
	POBoxAgreement  = poBox
	SharedKeys      = sharedKeys
	CompareAsText   = compareAsText
)
