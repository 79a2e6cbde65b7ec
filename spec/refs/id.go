// Package refs parses and formats the references of Secure Scuttlebutt: ids
// of feeds, messages and blobs with their sigils, network addresses, invite
// codes and ssb: URIs.
//
// Source: the Scuttlebutt protocol guide ("Keys and identities", "Message
// ID", "Blobs") and, where it is silent, the npm packages ssb-ref and
// ssb-uri2.
package refs

import (
	"bytes"
	"encoding/base64"
	"fmt"
)

// Feed is the id of a feed: its author's Ed25519 public key, written
// "@" + base64 + ".ed25519".
type Feed [32]byte

// Message is the id of a message: the SHA-256 of its signed text, written
// "%" + base64 + ".sha256".
type Message [32]byte

// Blob is the id of a blob: the SHA-256 of its bytes, written
// "&" + base64 + ".sha256".
type Blob [32]byte

const (
	feedSuffix = ".ed25519"
	hashSuffix = ".sha256"

	encodedLen = 44 // standard base64 of 32 bytes, with padding
)

// strict refuses base64 whose unused trailing bits are not zero, so that an
// id has one spelling only.
var strict = base64.StdEncoding.Strict()

// ParseFeed reads the sigil form of a feed id.
func ParseFeed(s string) (Feed, error) {
	var f Feed
	return f, parseID(f[:], s, "feed", '@', feedSuffix)
}

// ParseMessage reads the sigil form of a message id.
func ParseMessage(s string) (Message, error) {
	var m Message
	return m, parseID(m[:], s, "message", '%', hashSuffix)
}

// ParseBlob reads the sigil form of a blob id.
func ParseBlob(s string) (Blob, error) {
	var b Blob
	return b, parseID(b[:], s, "blob", '&', hashSuffix)
}

// parseID decodes an id of the given kind into dst.
func parseID(dst []byte, s, kind string, sigil byte, suffix string) error {
	if len(s) != 1+encodedLen+len(suffix) || s[0] != sigil || s[1+encodedLen:] != suffix {
		return fmt.Errorf("not a %s id: %.80q", kind, s)
	}
	return decodeKey(dst, s[1:1+encodedLen], kind)
}

// decodeKey decodes the base64 of 32 bytes into dst. Line breaks, which
// encoding/base64 skips, are refused.
func decodeKey(dst []byte, s, kind string) error {
	var buf [33]byte
	if len(s) != encodedLen || bytes.ContainsAny([]byte(s), "\r\n") {
		return fmt.Errorf("not a %s id: bad base64 %.80q", kind, s)
	}
	n, err := strict.Decode(buf[:], []byte(s))
	if err != nil || n != len(dst) {
		return fmt.Errorf("not a %s id: bad base64 %.80q", kind, s)
	}
	copy(dst, buf[:n])
	return nil
}

func format(b []byte, sigil byte, suffix string) string {
	return string(appendID(make([]byte, 0, 1+encodedLen+len(suffix)), b, sigil, suffix))
}

func appendID(dst, b []byte, sigil byte, suffix string) []byte {
	dst = append(dst, sigil)
	dst = base64.StdEncoding.AppendEncode(dst, b)
	return append(dst, suffix...)
}

// String returns the sigil form.
func (f Feed) String() string { return format(f[:], '@', feedSuffix) }

// String returns the sigil form.
func (m Message) String() string { return format(m[:], '%', hashSuffix) }

// String returns the sigil form.
func (b Blob) String() string { return format(b[:], '&', hashSuffix) }

// AppendText appends the sigil form to dst.
func (f Feed) AppendText(dst []byte) ([]byte, error) {
	return appendID(dst, f[:], '@', feedSuffix), nil
}

// AppendText appends the sigil form to dst.
func (m Message) AppendText(dst []byte) ([]byte, error) {
	return appendID(dst, m[:], '%', hashSuffix), nil
}

// AppendText appends the sigil form to dst.
func (b Blob) AppendText(dst []byte) ([]byte, error) {
	return appendID(dst, b[:], '&', hashSuffix), nil
}

// MarshalText returns the sigil form.
func (f Feed) MarshalText() ([]byte, error) { return f.AppendText(nil) }

// MarshalText returns the sigil form.
func (m Message) MarshalText() ([]byte, error) { return m.AppendText(nil) }

// MarshalText returns the sigil form.
func (b Blob) MarshalText() ([]byte, error) { return b.AppendText(nil) }

// UnmarshalText reads the sigil form.
func (f *Feed) UnmarshalText(text []byte) (err error) { *f, err = ParseFeed(string(text)); return err }

// UnmarshalText reads the sigil form.
func (m *Message) UnmarshalText(text []byte) (err error) {
	*m, err = ParseMessage(string(text))
	return err
}

// UnmarshalText reads the sigil form.
func (b *Blob) UnmarshalText(text []byte) (err error) { *b, err = ParseBlob(string(text)); return err }

// Compare orders feeds by the bytes of their keys.
func (f Feed) Compare(g Feed) int { return bytes.Compare(f[:], g[:]) }

// Compare orders message ids by their bytes.
func (m Message) Compare(n Message) int { return bytes.Compare(m[:], n[:]) }

// Compare orders blob ids by their bytes.
func (b Blob) Compare(c Blob) int { return bytes.Compare(b[:], c[:]) }

// IsZero reports whether f is the zero value, which is no feed.
func (f Feed) IsZero() bool { return f == Feed{} }

// IsZero reports whether m is the zero value, which stands for "no message".
func (m Message) IsZero() bool { return m == Message{} }

// IsZero reports whether b is the zero value, which stands for "no blob".
func (b Blob) IsZero() bool { return b == Blob{} }
