package refs

import "strings"

// Query is the parameters of a link or URI in the order they were written.
type Query []Param

// Param is one parameter of a query, decoded.
type Param struct{ Name, Value string }

// Get returns the value of the first parameter of that name, "" if there is
// none.
func (q Query) Get(name string) string {
	for _, p := range q {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

// String returns the query percent-encoded, without "?".
func (q Query) String() string {
	var b strings.Builder
	for i, p := range q {
		if i > 0 {
			b.WriteByte('&')
		}
		escape(&b, p.Name)
		b.WriteByte('=')
		escape(&b, p.Value)
	}
	return b.String()
}

// parseQuery decodes s as browsers and node do: "+" is a space, an escape
// that is none stands for itself, and bytes that are not UTF-8 become U+FFFD.
// There is no such thing as a bad query.
func parseQuery(s string) Query {
	var q Query
	for part := range strings.SplitSeq(s, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		q = append(q, Param{unescapeField(name), unescapeField(value)})
	}
	return q
}

func unescapeField(s string) string {
	s, _ = unescape(strings.ReplaceAll(s, "+", " "))
	return string([]rune(s)) // U+FFFD for every byte that is not UTF-8
}

// unescape decodes %xx and reports whether every "%" began such an escape.
// Those that do not are kept.
func unescape(s string) (string, bool) {
	if !strings.Contains(s, "%") {
		return s, true
	}
	clean := true
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b = append(b, s[i])
			continue
		}
		if i+2 < len(s) && hexDigit(s[i+1]) >= 0 && hexDigit(s[i+2]) >= 0 {
			b = append(b, byte(hexDigit(s[i+1])<<4|hexDigit(s[i+2])))
			i += 2
			continue
		}
		b = append(b, '%')
		clean = false
	}
	return string(b), clean
}

// hexDigit returns the value of a hexadecimal digit, -1 for other characters.
func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// escape writes s with the escapes of JavaScript's encodeURIComponent.
func escape(b *strings.Builder, s string) {
	const upper = "0123456789ABCDEF"
	for i := range len(s) {
		if c := s[i]; isWord(c) || strings.IndexByte("-.!~*'()", c) >= 0 {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', upper[c>>4], upper[c&15]})
		}
	}
}

// isWord reports whether c is a letter, digit or underscore of ASCII.
func isWord(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || c == '_'
}
