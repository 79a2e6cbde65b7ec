package muxrpc

import "unicode/utf8"

// repairUTF8 replaces invalid UTF-8 as the WHATWG decoder does: one U+FFFD for
// each maximal prefix of a sequence, where Go would put one for each byte.
func repairUTF8(b []byte) []byte {
	out := make([]byte, 0, len(b)+2)
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		if r == utf8.RuneError && size == 1 {
			size = brokenLen(b)
		}
		out = utf8.AppendRune(out, r)
		b = b[size:]
	}
	return out
}

// brokenLen returns how many bytes the broken sequence at the start of b has:
// its first byte and those that could have continued it.
func brokenLen(b []byte) int {
	want, lo, hi := sequence(b[0])
	n := 1
	for n < want && n < len(b) && b[n] >= lo && b[n] <= hi {
		lo, hi = 0x80, 0xbf
		n++
	}
	return n
}

// sequence returns the length that a first byte announces and the range of
// the second byte (Unicode 15, table 3-7).
func sequence(first byte) (length int, lo, hi byte) {
	lo, hi = 0x80, 0xbf
	switch {
	case first >= 0xc2 && first <= 0xdf:
		return 2, lo, hi
	case first == 0xe0:
		return 3, 0xa0, hi
	case first == 0xed:
		return 3, lo, 0x9f
	case first >= 0xe1 && first <= 0xef:
		return 3, lo, hi
	case first == 0xf0:
		return 4, 0x90, hi
	case first >= 0xf1 && first <= 0xf3:
		return 4, lo, hi
	case first == 0xf4:
		return 4, lo, 0x8f
	}
	return 1, lo, hi
}
