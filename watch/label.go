package watch

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const maxLabel = 256

// cleanLabel makes a stranger's label fit to be shown: what is no printable
// text becomes U+FFFD, and a long one is cut.
func cleanLabel(s string) string {
	if len(s) > maxLabel {
		s = s[:maxLabel]
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return utf8.RuneError
	}, s)
	for len(s) > maxLabel {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return strings.TrimSpace(s)
}
