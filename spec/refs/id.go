package refs

import (
	"bytes"
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

// Cloaked is the cloaked id of a private group's first message, written
// "%" + base64 + ".cloaked". It names the group without telling the message.
type Cloaked [32]byte

const (
	feedSuffix    = ".ed25519"
	hashSuffix    = ".sha256"
	cloakedSuffix = ".cloaked"

	maxRef    = 8192 // bytes in a link or URI: what a message can hold
	maxQuoted = 80   // bytes of bad input in an error
)

// ParseFeed reads the sigil form of a feed id.
func ParseFeed(s string) (Feed, error) {
	return parseID([]byte(s), KindFeed, '@', feedSuffix)
}

// ParseMessage reads the sigil form of a message id.
func ParseMessage(s string) (Message, error) {
	return parseID([]byte(s), KindMessage, '%', hashSuffix)
}

// ParseBlob reads the sigil form of a blob id.
func ParseBlob(s string) (Blob, error) {
	return parseID([]byte(s), KindBlob, '&', hashSuffix)
}

// ParseCloaked reads the sigil form of a cloaked message id.
func ParseCloaked(s string) (Cloaked, error) {
	return parseID([]byte(s), KindCloaked, '%', cloakedSuffix)
}

// parseID decodes an id of the given kind. The key is zero after an error.
func parseID(s []byte, kind Kind, sigil byte, suffix string) (key [32]byte, err error) {
	if len(s) != 1+encodedLen+len(suffix) || s[0] != sigil ||
		string(s[1+encodedLen:]) != suffix || !decode(&key, s[1:1+encodedLen]) {
		return [32]byte{}, fmt.Errorf("not a %s id: %q", kind, string(s[:min(len(s), maxQuoted)]))
	}
	return key, nil
}

func format(b []byte, sigil byte, suffix string) string {
	return string(appendID(make([]byte, 0, 1+encodedLen+len(suffix)), b, sigil, suffix))
}

func appendID(dst, b []byte, sigil byte, suffix string) []byte {
	dst = append(dst, sigil)
	dst = strict.AppendEncode(dst, b)
	return append(dst, suffix...)
}

// String returns the sigil form.
func (f Feed) String() string { return format(f[:], '@', feedSuffix) }

// String returns the sigil form.
func (m Message) String() string { return format(m[:], '%', hashSuffix) }

// String returns the sigil form.
func (b Blob) String() string { return format(b[:], '&', hashSuffix) }

// String returns the sigil form.
func (c Cloaked) String() string { return format(c[:], '%', cloakedSuffix) }

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

// AppendText appends the sigil form to dst.
func (c Cloaked) AppendText(dst []byte) ([]byte, error) {
	return appendID(dst, c[:], '%', cloakedSuffix), nil
}

// MarshalText returns the sigil form.
func (f Feed) MarshalText() ([]byte, error) { return f.AppendText(nil) }

// MarshalText returns the sigil form.
func (m Message) MarshalText() ([]byte, error) { return m.AppendText(nil) }

// MarshalText returns the sigil form.
func (b Blob) MarshalText() ([]byte, error) { return b.AppendText(nil) }

// MarshalText returns the sigil form.
func (c Cloaked) MarshalText() ([]byte, error) { return c.AppendText(nil) }

// UnmarshalText reads the sigil form. After an error f is zero.
func (f *Feed) UnmarshalText(text []byte) (err error) {
	*f, err = parseID(text, KindFeed, '@', feedSuffix)
	return err
}

// UnmarshalText reads the sigil form. After an error m is zero.
func (m *Message) UnmarshalText(text []byte) (err error) {
	*m, err = parseID(text, KindMessage, '%', hashSuffix)
	return err
}

// UnmarshalText reads the sigil form. After an error b is zero.
func (b *Blob) UnmarshalText(text []byte) (err error) {
	*b, err = parseID(text, KindBlob, '&', hashSuffix)
	return err
}

// UnmarshalText reads the sigil form. After an error c is zero.
func (c *Cloaked) UnmarshalText(text []byte) (err error) {
	*c, err = parseID(text, KindCloaked, '%', cloakedSuffix)
	return err
}

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
