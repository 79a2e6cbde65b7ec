package envelope

import (
	"slices"
	"unicode/utf16"
)

// compareAsText compares two byte strings as JavaScript's sort() compares
// Buffers: decoded as UTF-8, by UTF-16 units.
func compareAsText(a, b []byte) int {
	return slices.Compare(utf16.Encode(decodeText(a)), utf16.Encode(decodeText(b)))
}

// decodeText decodes UTF-8 as the WHATWG Encoding Standard says: each maximal
// part of a sequence that is not completed becomes one U+FFFD, where Go makes
// one of each byte.
func decodeText(text []byte) (runes []rune) {
	for len(text) > 0 {
		r, n := decodeRune(text)
		runes, text = append(runes, r), text[n:]
	}
	return runes
}

const replacement = '\uFFFD'

// decodeRune returns the first character and how many bytes it takes.
func decodeRune(text []byte) (rune, int) {
	first := text[0]
	low, high := byte(0x80), byte(0xBF) // of the second byte
	var r rune
	var more int
	switch {
	case first < 0x80:
		return rune(first), 1
	case first >= 0xC2 && first <= 0xDF:
		r, more = rune(first&0x1F), 1
	case first >= 0xE0 && first <= 0xEF:
		r, more = rune(first&0x0F), 2
	case first >= 0xF0 && first <= 0xF4:
		r, more = rune(first&0x07), 3
	default:
		return replacement, 1
	}
	switch first {
	case 0xE0:
		low = 0xA0
	case 0xED:
		high = 0x9F
	case 0xF0:
		low = 0x90
	case 0xF4:
		high = 0x8F
	}
	for i := 1; i <= more; i++ {
		if i >= len(text) || text[i] < low || text[i] > high {
			return replacement, i
		}
		r = r<<6 | rune(text[i]&0x3F)
		low, high = 0x80, 0xBF
	}
	return r, more + 1
}
