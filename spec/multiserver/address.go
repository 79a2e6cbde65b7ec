package multiserver

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// maxLen bounds addresses and invite codes, in bytes: what a message can hold.
const maxLen = 8192

// Names of layers that mean something here.
const (
	layerNet    = "net"
	layerOnion  = "onion"
	layerWS     = "ws"
	layerWSS    = "wss"
	layerUnix   = "unix"
	layerTunnel = "tunnel"
	layerSHS    = "shs"
	layerNoAuth = "noauth"
)

// Addresses are alternative ways to reach one peer.
type Addresses []Address

// Address is one way to reach a peer: the layers of the connection, transport
// first.
type Address []Layer

// Layer is one layer of a connection and its data, without escapes.
type Layer struct {
	Name string
	Data []string
}

// Parse reads one or more addresses in multiserver form. Errors do not repeat
// the address, which may be an invite code and hold a secret.
func Parse(s string) (Addresses, error) {
	if len(s) > maxLen {
		return nil, fmt.Errorf("address is %d bytes long, more than %d", len(s), maxLen)
	}
	var all Addresses
	for {
		address, rest, err := parseAddress(s)
		if err != nil {
			return nil, fmt.Errorf("address: %v", err)
		}
		all = append(all, address)
		if rest == "" {
			return all, nil
		}
		s = rest[1:] // behind ";"
	}
}

// parseAddress reads the address that s begins with and returns what follows:
// nothing, or ";" and more.
func parseAddress(s string) (a Address, rest string, err error) {
	for {
		var l Layer
		if l, s, err = parseLayer(s); err != nil {
			return nil, "", err
		}
		a = append(a, l)
		if !strings.HasPrefix(s, "~") {
			return a, s, nil
		}
		s = s[1:]
	}
}

// parseLayer reads the layer that s begins with and returns what follows:
// nothing, or "~" or ";" and more.
func parseLayer(s string) (l Layer, rest string, err error) {
	n := nameLen(s)
	if n < 2 {
		return l, "", errors.New("the name of a layer is not a letter and more letters, digits or dashes")
	}
	l.Name, s = s[:n], s[n:]
	for strings.HasPrefix(s, ":") {
		var data string
		data, s = parseData(s[1:])
		l.Data = append(l.Data, data)
	}
	if s != "" && s[0] != '~' && s[0] != ';' {
		return l, "", fmt.Errorf("character %q is out of place in layer %q", s[0], l.Name)
	}
	return l, s, nil
}

// nameLen returns the length of the name that s begins with.
func nameLen(s string) int {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || i > 0 && ('0' <= c && c <= '9' || c == '-')) {
			return i
		}
	}
	return len(s)
}

// parseData reads the data that s begins with, without escapes, and returns
// what follows.
func parseData(s string) (data, rest string) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '!' && i+1 < len(s) && isSpecial(s[i+1]):
			i++
			b.WriteByte(s[i])
		case isSpecial(c) || c <= ' ' || c >= 0x7f:
			return b.String(), s[i:]
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), ""
}

// isSpecial reports whether c must be escaped in data.
func isSpecial(c byte) bool { return c == '!' || c == ':' || c == ';' || c == '~' }

// String returns the addresses in multiserver form.
func (all Addresses) String() string {
	texts := make([]string, len(all))
	for i, a := range all {
		texts[i] = a.String()
	}
	return strings.Join(texts, ";")
}

// String returns the address in multiserver form. An address that was not
// parsed may hold what the grammar has no escape for, such as spaces.
func (a Address) String() string {
	var b strings.Builder
	for i, l := range a {
		if i > 0 {
			b.WriteByte('~')
		}
		l.write(&b)
	}
	return b.String()
}

func (l Layer) write(b *strings.Builder) {
	b.WriteString(l.Name)
	for _, data := range l.Data {
		b.WriteByte(':')
		for i := range len(data) {
			if isSpecial(data[i]) {
				b.WriteByte('!')
			}
			b.WriteByte(data[i])
		}
	}
}

// Transport returns the name of the first layer.
func (a Address) Transport() string {
	if len(a) == 0 {
		return ""
	}
	return a[0].Name
}

// Key returns the key that the peer proves to have: that of the layer shs.
func (a Address) Key() (refs.Feed, bool) {
	for _, l := range a {
		if l.Name == layerSHS && len(l.Data) > 0 {
			key, err := refs.ParseFeed("@" + l.Data[0] + ".ed25519")
			return key, err == nil
		}
	}
	return refs.Feed{}, false
}

// Key returns the first key in the addresses.
func (all Addresses) Key() (refs.Feed, bool) {
	for _, a := range all {
		if key, ok := a.Key(); ok {
			return key, true
		}
	}
	return refs.Feed{}, false
}

// IsAddress reports whether s is an address in multiserver form that has a
// transform besides a transport, or one in legacy form.
func IsAddress(s string) bool {
	if all, err := Parse(s); err == nil {
		for _, a := range all {
			if len(a) > 1 {
				return true
			}
		}
	}
	_, err := ParseLegacy(s)
	return err == nil
}

// encodeKey returns the base64 of 32 bytes, the form of keys in layers.
func encodeKey(key [32]byte) string { return base64.StdEncoding.EncodeToString(key[:]) }
