package ecmajson

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// str scans a string that V8 printed, from quote to quote.
func (s *scanner) str() bool {
	i := s.pos + 1
	for {
		i = plainEnd(s.src, i)
		if i >= len(s.src) {
			return false
		}
		switch c := s.src[i]; {
		case c == '"':
			s.pos = i + 1
			return true
		case c == '\\':
			n := printedEscape(s.src[i:])
			if n == 0 {
				return false
			}
			i += n
		case c < utf8.RuneSelf:
			return false // a control character
		default:
			n := s.runes(i)
			if n == 0 {
				return false
			}
			i += n
		}
	}
}

// runes returns the length of the characters beyond ASCII at src[i], zero if
// they are not UTF-8.
func (s *scanner) runes(i int) int {
	start := i
	for i < len(s.src) && s.src[i] >= utf8.RuneSelf {
		_, n := utf8.DecodeRune(s.src[i:])
		if n == 1 {
			return 0
		}
		i += n
		s.wide += min(n-1, 2) // one unit, two for a character of four bytes
	}
	return i - start
}

const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// plainEnd returns the position of the first byte from b[i] on that is not
// part of a string or not itself: a quote, a backslash, a control character
// or beyond ASCII.
func plainEnd(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		quote := w ^ '"'*ones
		slash := w ^ '\\'*ones
		// The lowest bit set is exact: a borrow only reaches higher bytes.
		hit := (w | (w-' '*ones)&^w | (quote-ones)&^quote | (slash-ones)&^slash) & highs
		if hit != 0 {
			return i + bits.TrailingZeros64(hit)>>3
		}
	}
	for i < len(b) && b[i] >= ' ' && b[i] < utf8.RuneSelf && b[i] != '"' && b[i] != '\\' {
		i++
	}
	return i
}

// printedEscape returns the length of the escape sequence at the start of b
// if V8 prints it so, else zero.
func printedEscape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', 'b', 't', 'n', 'f', 'r':
		return 2
	case 'u':
	default:
		return 0
	}
	unit, ok := hexUnit(b[2:])
	if !ok || !isLower(b[2:6]) {
		return 0
	}
	switch {
	case unit < ' ':
		if shortEscape(byte(unit)) != 0 {
			return 0
		}
	case isHigh(unit):
		if low, ok := escapedUnit(b[6:]); ok && isLow(low) {
			return 0 // a pair prints as a character
		}
	case !isLow(unit):
		return 0
	}
	return 6
}

// shortEscape returns the letter by which a control character is escaped,
// zero if it has none.
func shortEscape(c byte) byte {
	switch c {
	case '\b':
		return 'b'
	case '\t':
		return 't'
	case '\n':
		return 'n'
	case '\f':
		return 'f'
	case '\r':
		return 'r'
	}
	return 0
}

func isHigh(unit uint16) bool { return unit&0xfc00 == 0xd800 }
func isLow(unit uint16) bool  { return unit&0xfc00 == 0xdc00 }

func isLower(hex []byte) bool {
	for _, c := range hex {
		if c >= 'A' && c <= 'F' {
			return false
		}
	}
	return true
}

// escapedUnit reads \uXXXX.
func escapedUnit(b []byte) (uint16, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	return hexUnit(b[2:])
}

// hexUnit reads four hexadecimal digits.
func hexUnit(b []byte) (unit uint16, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		unit = unit<<4 | uint16(c)
	}
	return unit, true
}
