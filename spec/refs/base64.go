package refs

import "encoding/base64"

// encodedLen is the length of 32 bytes in base64 with padding: 43 characters
// and "=".
const encodedLen = 44

// strict refuses base64 whose unused trailing bits are not zero.
var strict = base64.StdEncoding.Strict()

// alphabet maps a character of standard base64 to its six bits, all others to
// noDigit.
var alphabet = func() (table [256]byte) {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for i := range table {
		table[i] = noDigit
	}
	for i := range len(digits) {
		table[digits[i]] = byte(i)
	}
	return table
}()

const noDigit = 0xff

// decode decodes the canonical base64 of 32 bytes into dst and reports whether
// s is that. It exists beside encoding/base64 because every id of every
// message passes here: it allocates nothing and skips no line breaks.
func decode(dst *[32]byte, s []byte) bool {
	if len(s) != encodedLen || s[encodedLen-1] != '=' {
		return false
	}
	var bad byte
	for i := range 10 { // 40 characters, 30 bytes
		a, b, c, d := alphabet[s[4*i]], alphabet[s[4*i+1]], alphabet[s[4*i+2]], alphabet[s[4*i+3]]
		bad |= a | b | c | d
		dst[3*i] = a<<2 | b>>4
		dst[3*i+1] = b<<4 | c>>2
		dst[3*i+2] = c<<6 | d
	}
	a, b, c := alphabet[s[40]], alphabet[s[41]], alphabet[s[42]]
	bad |= a | b | c
	dst[30] = a<<2 | b>>4
	dst[31] = b<<4 | c>>2
	// A digit has six bits; noDigit sets the upper two. Of the last digit the
	// lower two are unused and must be zero.
	return bad&0xc0 == 0 && c&3 == 0
}
