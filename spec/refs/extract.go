package refs

import (
	"strings"
	"unicode/utf8"
)

// Extract returns the first id of any kind in a text such as the address of a
// web page. Where the text has none as it stands, it is searched again with
// its %xx escapes and "&amp;" decoded.
func Extract(text string) (ID, bool) {
	if id, ok := firstID(text); ok {
		return id, true
	}
	decoded, clean := unescape(text)
	if !clean || !utf8.ValidString(decoded) {
		decoded = text // as decodeURIComponent, which refuses both
	}
	return firstID(strings.ReplaceAll(decoded, "&amp;", "&"))
}

// firstID returns the first id in s. It ends where its suffix does: at the
// first character that is no letter, digit or underscore.
func firstID(s string) (ID, bool) {
	for {
		i := strings.IndexAny(s, "@%&")
		if i < 0 {
			return nil, false
		}
		s = s[i:]
		if id, err := ParseID(s[:tokenLen(s)]); err == nil {
			return id, true
		}
		s = s[1:]
	}
}

// tokenLen returns the length of the id that s begins with, if it is one.
func tokenLen(s string) int {
	n := 1 + encodedLen + 1 // sigil, base64, dot
	if len(s) < n || s[n-1] != '.' {
		return 0
	}
	for n < len(s) && isWord(s[n]) {
		n++
	}
	return n
}
