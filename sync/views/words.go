package views

import (
	"slices"
	"unicode"
	"unicode/utf8"
)

// minWord is the length of the shortest word that is searched for, in
// characters: shorter ones of a query do not count, as in npm ssb-search.
const minWord = 3

// Words returns the words of a text in lower case, each once. Letters of
// scripts that put no spaces between words are words of their own.
func Words(text string) []string {
	var words []string
	seen := map[string]bool{}
	add := func(word []byte) {
		if len(word) > cut {
			word = word[:cut]
			for !utf8.Valid(word) && len(word) > cut-utf8.UTFMax {
				word = word[:len(word)-1]
			}
		}
		if len(word) > 0 && !seen[string(word)] {
			seen[string(word)] = true
			words = append(words, string(word))
		}
	}
	var word []byte
	for _, r := range text {
		switch {
		case isDense(r):
			add(word)
			word = utf8.AppendRune(word[:0], r)
			add(word)
			word = word[:0]
		case r == '_' || r != utf8.RuneError && unicode.In(r, unicode.L, unicode.N, unicode.M):
			word = utf8.AppendRune(word, unicode.ToLower(r))
		default:
			add(word)
			word = word[:0]
		}
	}
	add(word)
	return words
}

// isDense reports whether r is of a script without spaces.
func isDense(r rune) bool {
	return r > 0x0e00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer)
}

// Exact reports whether the messages that Search finds have the words, and need
// not be looked into: no word is so long that it was cut.
func Exact(words []string) bool {
	return !slices.ContainsFunc(words, func(word string) bool { return len(word) > cut-utf8.UTFMax })
}

// QueryWords returns the words of a query that count.
func QueryWords(query string) (words []string) {
	for _, word := range Words(query) {
		r, _ := utf8.DecodeRuneInString(word)
		if isDense(r) || utf8.RuneCountInString(word) >= minWord {
			words = append(words, word)
		}
	}
	return words
}
