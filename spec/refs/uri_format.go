package refs

// String returns the canonical spelling: no "//", "/" as the separator, the
// query percent-encoded.
func (u URI) String() string {
	s := "ssb:" + u.Type
	for _, part := range []string{u.Format, urlBase64(u.Data), urlBase64(u.Extra)} {
		if part != "" {
			s += "/" + part
		}
	}
	if len(u.Query) > 0 {
		s += "?" + u.Query.String()
	}
	return s
}

// ID returns the id that a URI of a classic feed, message or blob, or of a
// cloaked message, stands for.
func (u URI) ID() (ID, bool) {
	id := u.id()
	return id, id != nil
}

// id returns nil when u stands for none.
func (u URI) id() ID {
	var key [32]byte
	if !decode(&key, []byte(u.Data)) {
		return nil
	}
	switch {
	case u.Type == typeFeed && u.Format == formatClassic:
		return Feed(key)
	case u.Type == typeMessage && u.Format == formatClassic:
		return Message(key)
	case u.Type == typeMessage && u.Format == formatCloaked:
		return Cloaked(key)
	case u.Type == typeBlob && u.Format == formatClassic:
		return Blob(key)
	}
	return nil
}

// MultiserverAddress returns the address that a URI carries, "" if none. It
// was not parsed yet.
func (u URI) MultiserverAddress() string { return u.Query.Get(paramAddress) }

// AddressURI returns the URI of a multiserver address.
func AddressURI(address string) URI {
	return URI{Type: typeAddress, Format: formatMultiserver, Query: Query{{paramAddress, address}}}
}

// URI returns the canonical ssb: URI.
func (f Feed) URI() string { return dataURI(typeFeed, formatClassic, f) }

// URI returns the canonical ssb: URI.
func (m Message) URI() string { return dataURI(typeMessage, formatClassic, m) }

// URI returns the canonical ssb: URI.
func (b Blob) URI() string { return dataURI(typeBlob, formatClassic, b) }

// URI returns the canonical ssb: URI.
func (c Cloaked) URI() string { return dataURI(typeMessage, formatCloaked, c) }

func dataURI(typ, format string, key [32]byte) string {
	return URI{Type: typ, Format: format, Data: strict.EncodeToString(key[:])}.String()
}
