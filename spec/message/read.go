package message

import (
	"bytes"
	"encoding/base64"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// Limits of a message. ssb-validate has no MaxRaw: it bounds what white space
// and repeated members may cost, and no writer comes near it.
const (
	MaxUnits = 8192      // of the indented text with the signature, in UTF-16 units
	MaxRaw   = 128 << 10 // of the text in any spelling, in bytes
	MaxSeq   = math.MaxInt32

	minType, maxType = 3, 52 // of content.type, in UTF-16 units

	tooLong = "its indented text has more than 8192 UTF-16 units" // MaxUnits
)

// The members of a message, in order, with quotes as in JSON. Author and
// sequence may change places.
const (
	previousKey  = `"previous"`
	authorKey    = `"author"`
	sequenceKey  = `"sequence"`
	timestampKey = `"timestamp"`
	hashKey      = `"hash"`
	contentKey   = `"content"`
	signatureKey = `"signature"`

	contentField = 5
	fieldCount   = 7
)

// read fills m, apart from id and value, from the members of its canonical
// text and returns the signature. The reason is empty if the form is valid.
func (m *Message) read(f []ecmajson.Member) (sig [64]byte, reason string) {
	if !inOrder(f) {
		return sig, "its members are not the seven of a message, in order"
	}
	author, sequence := f[1].Value, f[2].Value
	if string(f[1].Key) != authorKey {
		author, sequence = sequence, author
	}
	var ok bool
	if m.feed, ok = parseFeed(author); !ok {
		return sig, "the author is no feed id"
	}
	if m.seq, ok = parseSeq(sequence); !ok {
		return sig, "the sequence is no integer from 1 to 2147483647"
	}
	if m.previous, ok = parsePrevious(f[0].Value); !ok || m.previous.IsZero() != (m.seq == 1) {
		return sig, "previous is neither a message id nor, in the first message, null"
	}
	if m.timestamp = parseNumber(f[3].Value); m.seq == 1 && math.IsNaN(m.timestamp) {
		return sig, "the first message's timestamp is no number"
	}
	if string(f[4].Value) != `"sha256"` {
		return sig, "the hash is not sha256"
	}
	if reason = contentFault(f[contentField].Value); reason != "" {
		return sig, reason
	}
	if sig, ok = parseSignature(f[6].Value); !ok {
		return sig, "the signature is not the canonical base64 of 64 bytes with .sig.ed25519"
	}
	m.content = locate(f)
	return sig, ""
}

func inOrder(f []ecmajson.Member) bool {
	return len(f) == fieldCount &&
		string(f[0].Key) == previousKey &&
		(string(f[1].Key) == authorKey && string(f[2].Key) == sequenceKey ||
			string(f[1].Key) == sequenceKey && string(f[2].Key) == authorKey) &&
		string(f[3].Key) == timestampKey &&
		string(f[4].Key) == hashKey &&
		string(f[contentField].Key) == contentKey &&
		string(f[6].Key) == signatureKey
}

// locate returns where content lies in the compact text.
func locate(f []ecmajson.Member) [2]int {
	start := len("{")
	for _, field := range f[:contentField] {
		start += len(field.Key) + len(":") + len(field.Value) + len(",")
	}
	start += len(contentKey) + len(":")
	return [2]int{start, start + len(f[contentField].Value)}
}

// strict refuses base64 whose unused trailing bits are not zero.
var strict = base64.StdEncoding.Strict()

// unquote returns what is between prefix and suffix, of which the quotes are
// part, if that is n bytes long.
func unquote(value []byte, prefix, suffix string, n int) ([]byte, bool) {
	if len(value) != len(prefix)+n+len(suffix) {
		return nil, false
	}
	middle := value[len(prefix) : len(prefix)+n]
	return middle, string(value[:len(prefix)]) == prefix && string(value[len(prefix)+n:]) == suffix
}

// decodeKey reads the base64 of 32 bytes. JSON text has no line breaks in
// strings, which base64 would skip.
func decodeKey(dst *[32]byte, text []byte) bool {
	var buf [33]byte
	n, err := strict.Decode(buf[:], text)
	copy(dst[:], buf[:])
	return err == nil && n == len(dst)
}

func parseFeed(value []byte) (id refs.Feed, ok bool) {
	text, ok := unquote(value, `"@`, `.ed25519"`, 44)
	return id, ok && decodeKey((*[32]byte)(&id), text)
}

func parseMessage(value []byte) (id refs.Message, ok bool) {
	text, ok := unquote(value, `"%`, `.sha256"`, 44)
	return id, ok && decodeKey((*[32]byte)(&id), text)
}

// parsePrevious reads null as the zero id. ssb-validate compares by ==, for
// which an array of one element equals the element.
func parsePrevious(value []byte) (id refs.Message, ok bool) {
	if string(value) == "null" {
		return id, true
	}
	for len(value) > 2 && value[0] == '[' && value[len(value)-1] == ']' {
		value = value[1 : len(value)-1]
	}
	id, ok = parseMessage(value)
	return id, ok && !id.IsZero()
}

func parseSeq(value []byte) (int64, bool) {
	if len(value) > len("2147483647") {
		return 0, false
	}
	var n int64
	for _, c := range value {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	return n, n >= 1 && n <= MaxSeq
}

// parseNumber returns NaN for what is no number.
func parseNumber(value []byte) float64 {
	if len(value) == 0 || value[0] != '-' && (value[0] < '0' || value[0] > '9') {
		return math.NaN()
	}
	if len(value) <= 15 {
		var n int64
		for i, c := range value {
			if c < '0' || c > '9' {
				break
			}
			if n = 10*n + int64(c-'0'); i == len(value)-1 {
				return float64(n)
			}
		}
	}
	f, err := strconv.ParseFloat(string(value), 64)
	if err != nil {
		return math.NaN()
	}
	return f
}

func parseSignature(value []byte) (sig [64]byte, ok bool) {
	text, ok := unquote(value, `"`, `.sig.ed25519"`, 88)
	if !ok {
		return sig, false
	}
	var buf [66]byte
	n, err := strict.Decode(buf[:], text)
	copy(sig[:], buf[:])
	return sig, err == nil && n == len(sig)
}

// contentFault says what is wrong with a message's content, in canonical
// spelling; it is empty if nothing is.
func contentFault(content []byte) string {
	switch content[0] {
	case '"':
		if !isBox(content) {
			return "the content is a string but not canonical base64 with .box"
		}
		return ""
	case '{':
		if n := stringUnits(ecmajson.Get(content, "type")); n < minType || n > maxType {
			return "content.type is no string of 3 to 52 characters"
		}
		return ""
	}
	return "the content is neither an object nor a string"
}

// stringUnits returns the length in UTF-16 units of the string that a
// canonical JSON string stands for, -1 if value is none.
func stringUnits(value []byte) int {
	if len(value) < 2 || value[0] != '"' {
		return -1
	}
	n := 0
	for i := 1; i < len(value)-1; n++ {
		switch c := value[i]; {
		case c == '\\' && value[i+1] == 'u':
			i += 6
		case c == '\\':
			i += 2
		case c < utf8.RuneSelf:
			i++
		default:
			_, size := utf8.DecodeRune(value[i:])
			i += size
			n += size / 4
		}
	}
	return n
}

// isBox reports whether a canonical JSON string is the canonical base64 of
// any bytes, ".box" and anything without a line terminator.
func isBox(value []byte) bool {
	text := value[1 : len(value)-1]
	end := bytes.IndexByte(text, '.')
	if end < 0 || !bytes.HasPrefix(text[end:], []byte(".box")) || !isBase64(text[:end]) {
		return false
	}
	for rest := text[end:]; len(rest) > 0; {
		switch {
		case rest[0] == '\\' && (rest[1] == 'n' || rest[1] == 'r'):
			return false
		case rest[0] == '\\':
			rest = rest[2:]
		case bytes.HasPrefix(rest, []byte("\u2028")) || bytes.HasPrefix(rest, []byte("\u2029")):
			return false
		default:
			rest = rest[1:]
		}
	}
	return true
}

// isBase64 reports whether text is canonical base64, with padding.
func isBase64(text []byte) bool {
	if len(text)%4 != 0 {
		return false
	}
	if len(text) == 0 {
		return true
	}
	last := len(text) - 4
	var other byte
	for i := 0; i < last; i += 4 { // four lookups at once: private boxes are long
		other |= notBase64[text[i]] | notBase64[text[i+1]] | notBase64[text[i+2]] | notBase64[text[i+3]]
	}
	if other != 0 {
		return false
	}
	var buf [3]byte
	_, err := strict.Decode(buf[:], text[last:])
	return err == nil
}

// notBase64 is 0 for the 64 characters of standard base64, 1 for others.
var notBase64 = func() (table [256]byte) {
	for i := range table {
		table[i] = 1
	}
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		table[c] = 0
	}
	return table
}()
