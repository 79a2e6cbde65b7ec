package refs

import (
	"crypto/sha256"
	"encoding/binary"
	"unicode/utf8"
)

// SumBlob returns the id of a blob with the given bytes.
func SumBlob(data []byte) Blob { return sha256.Sum256(data) }

// SumMessage returns the id of a message with the given signed text in UTF-8:
// the SHA-256 over the low byte of each UTF-16 code unit of it, which is what
// node's "binary" encoding keeps. Different texts can therefore share an id.
//
// A surrogate on its own may be given in its three-byte generalised form
// (WTF-8). Text that is not UTF-8 otherwise has no id; what is returned for
// it is unspecified.
func SumMessage(text []byte) Message {
	if asciiPrefix(text) == len(text) {
		return sha256.Sum256(text)
	}
	h := sha256.New()
	var buf [256]byte
	for len(text) > 0 {
		n := asciiPrefix(text)
		h.Write(text[:n])
		text = text[n:]
		low := buf[:0]
		for len(text) > 0 && text[0] >= utf8.RuneSelf && len(low) <= len(buf)-2 {
			low, n = appendLow(low, text)
			text = text[n:]
		}
		h.Write(low)
	}
	var id Message
	h.Sum(id[:0])
	return id
}

// appendLow appends the low byte of each UTF-16 unit of the first character
// of s, which is not ASCII, and returns the length of that character.
func appendLow(low, s []byte) ([]byte, int) {
	switch c := s[0]; {
	case c < 0xe0 && len(s) >= 2:
		return append(low, c<<6|s[1]&0x3f), 2
	case c < 0xf0 && len(s) >= 3:
		return append(low, s[1]<<6|s[2]&0x3f), 3
	case len(s) >= 4:
		// A surrogate pair carries ten bits each of the character less
		// 0x10000; 0xd800 and 0xdc00, which they are added to, leave the low
		// bytes alone.
		r := rune(c&7)<<18 | rune(s[1]&0x3f)<<12 | rune(s[2]&0x3f)<<6 | rune(s[3]&0x3f)
		r -= 0x10000
		return append(low, byte(r>>10), byte(r)), 4
	}
	return low, len(s)
}

// asciiPrefix returns the length of the ASCII text that s begins with.
func asciiPrefix(s []byte) int {
	i := 0
	for ; i+8 <= len(s); i += 8 {
		if binary.LittleEndian.Uint64(s[i:])&0x8080808080808080 != 0 {
			break
		}
	}
	for i < len(s) && s[i] < utf8.RuneSelf {
		i++
	}
	return i
}
