package ecmajson

import (
	"bytes"
	"math"
	"strconv"
)

// exactDigits is how many decimal digits an integer may have and still be
// certain to print as it was written.
const exactDigits = 15

// AppendNumber appends f as JSON.stringify prints it: the shortest digits
// that read back as f, without exponent from 1e-6 to below 1e21, null for
// NaN and the infinities.
func AppendNumber(dst []byte, f float64) []byte {
	switch abs := math.Abs(f); {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return append(dst, "null"...)
	case f == 0:
		return append(dst, '0') // -0 too
	case abs >= 1e-6 && abs < 1e21:
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
	if n := len(dst); dst[n-4] == 'e' && dst[n-2] == '0' { // e-09
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}

// appendLiteral appends the canonical form of a number that has JSON's
// grammar.
func appendLiteral(dst, literal []byte) []byte {
	f, _ := strconv.ParseFloat(string(literal), 64) // out of range: ±Inf or 0, as ECMAScript has it
	return AppendNumber(dst, f)
}

// number scans a number that V8 printed.
func (s *scanner) number() bool {
	end := numberEnd(s.src, s.pos)
	if end < 0 {
		return false
	}
	literal := s.src[s.pos:end]
	s.pos = end
	if isShortInteger(literal) {
		return true
	}
	var buf [32]byte
	return bytes.Equal(appendLiteral(buf[:0], literal), literal)
}

// isShortInteger reports whether a number is an integer that certainly prints
// as it is written. It may have an exponent or fraction otherwise.
func isShortInteger(literal []byte) bool {
	if literal[0] == '-' {
		literal = literal[1:]
		if literal[0] == '0' {
			return false
		}
	}
	if len(literal) > exactDigits {
		return false
	}
	for _, c := range literal {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// numberEnd returns where the number that starts at b[i] ends, -1 if there is
// none by JSON's grammar.
func numberEnd(b []byte, i int) int {
	if i < len(b) && b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if i = digitsEnd(b, i); i < 0 {
		return -1
	}
	if i < len(b) && b[i] == '.' {
		if i = digitsEnd(b, i+1); i < 0 {
			return -1
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		return digitsEnd(b, i)
	}
	return i
}

// digitsEnd returns where the digits from b[i] on end, -1 if there are none.
func digitsEnd(b []byte, i int) int {
	start := i
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	if i == start {
		return -1
	}
	return i
}
