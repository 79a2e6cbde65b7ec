package ecmajson

import "unicode/utf8"

// appendDecoded appends the first character of b, which starts beyond ASCII,
// and returns its length. What is not UTF-8 becomes U+FFFD as the WHATWG's
// decoder has it: one for each maximal part of a character.
func appendDecoded(dst, b []byte) ([]byte, int) {
	n, valid := sequence(b)
	if !valid {
		return utf8.AppendRune(dst, utf8.RuneError), n
	}
	return append(dst, b[:n]...), n
}

// sequence returns how many bytes at the start of b belong to one character,
// and whether they are all of it (Unicode, table 3-7).
func sequence(b []byte) (n int, valid bool) {
	size, low, high := 0, byte(0x80), byte(0xbf)
	switch c := b[0]; {
	case c >= 0xc2 && c <= 0xdf:
		size = 2
	case c >= 0xe0 && c <= 0xef:
		size = 3
	case c >= 0xf0 && c <= 0xf4:
		size = 4
	default:
		return 1, false
	}
	switch b[0] {
	case 0xe0:
		low = 0xa0
	case 0xed:
		high = 0x9f
	case 0xf0:
		low = 0x90
	case 0xf4:
		high = 0x8f
	}
	for n = 1; n < size; n++ {
		if n == len(b) || b[n] < low || b[n] > high {
			return n, false
		}
		low, high = 0x80, 0xbf
	}
	return n, true
}

// UTF16Len returns the length of a UTF-8 text in UTF-16 units, which is what
// ECMAScript calls its length.
func UTF16Len(text []byte) int {
	n := 0
	for _, c := range text {
		if c < 0x80 || c >= 0xc0 {
			n++
		}
		if c >= 0xf0 {
			n++
		}
	}
	return n
}

// AppendLowBytes appends the low byte of each UTF-16 unit of a UTF-8 text:
// what Node's Buffer.from(text, "latin1") gives.
func AppendLowBytes(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		if text[i] < utf8.RuneSelf {
			dst = append(dst, text[i])
			i++
			continue
		}
		c, n := utf8.DecodeRune(text[i:])
		i += n
		if c >= 0x10000 {
			c -= 0x10000
			dst = append(dst, byte(c>>10)) // 0xd8 and 0xdc fill the high bytes only
		}
		dst = append(dst, byte(c))
	}
	return dst
}
