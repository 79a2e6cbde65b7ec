package ecmajson

import "bytes"

// EachMember calls yield with the key, in its quotes, and the value of each
// member of the object at the start of text, both as they are spelt, until
// yield returns false. It finds borders but checks little: it is for text
// that is canonical already and for picking parts that will be parsed later.
func EachMember(text []byte, yield func(key, value []byte) bool) error {
	s := skimmer{src: text}
	if !s.next('{') {
		return s.fail("no object")
	}
	if s.next('}') {
		return nil
	}
	for more := true; more; more = s.next(',') {
		key, ok := s.string()
		if !ok || !s.next(':') {
			return s.fail("no member")
		}
		value, ok := s.value()
		if !ok {
			return s.fail("no value")
		}
		if !yield(key, value) {
			return nil
		}
	}
	if !s.next('}') {
		return s.fail("no comma or closing bracket")
	}
	return nil
}

// Get returns the value of the first member of the object at the start of
// text whose key is spelt like key, which comes without quotes. It is nil
// when there is none. See EachMember for what it checks.
func Get(text []byte, key string) []byte {
	var found []byte
	EachMember(text, func(k, v []byte) bool {
		if string(k[1:len(k)-1]) == key {
			found = v
		}
		return found == nil
	})
	return found
}

// skimmer finds where the parts of JSON text end.
type skimmer struct {
	src []byte
	pos int
}

func (s *skimmer) fail(reason string) error {
	return &SyntaxError{Offset: s.pos, Reason: reason}
}

func (s *skimmer) space() {
	for s.pos < len(s.src) && (s.src[s.pos] == ' ' || s.src[s.pos] == '\n' || s.src[s.pos] == '\r' || s.src[s.pos] == '\t') {
		s.pos++
	}
}

func (s *skimmer) next(c byte) bool {
	s.space()
	if s.pos < len(s.src) && s.src[s.pos] == c {
		s.pos++
		return true
	}
	return false
}

// string returns the string at pos with its quotes.
func (s *skimmer) string() ([]byte, bool) {
	s.space()
	end := stringEnd(s.src, s.pos)
	if end < 0 {
		return nil, false
	}
	text := s.src[s.pos:end]
	s.pos = end
	return text, true
}

// stringEnd returns where the string that starts at b[i] ends, -1 if it does
// not.
func stringEnd(b []byte, i int) int {
	if i >= len(b) || b[i] != '"' {
		return -1
	}
	for i++; ; {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return -1
		}
		slashes := 0
		for n > slashes && b[i+n-1-slashes] == '\\' {
			slashes++
		}
		i += n + 1
		if slashes%2 == 0 {
			return i
		}
	}
}

// value returns the value at pos.
func (s *skimmer) value() ([]byte, bool) {
	s.space()
	start, depth := s.pos, 0
	for s.pos < len(s.src) {
		switch s.src[s.pos] {
		case '"':
			if s.pos = stringEnd(s.src, s.pos); s.pos < 0 {
				s.pos = len(s.src)
				return nil, false
			}
		case '{', '[':
			depth++
			s.pos++
		case '}', ']':
			if depth == 0 {
				return nil, false
			}
			depth--
			s.pos++
		default:
			s.pos++
			if depth > 0 {
				continue
			}
			s.pos = scalarEnd(s.src, s.pos)
		}
		if depth == 0 {
			return s.src[start:s.pos], true
		}
	}
	return nil, false
}

// scalarEnd returns where the number or word that b[i] belongs to ends.
func scalarEnd(b []byte, i int) int {
	for ; i < len(b); i++ {
		switch b[i] {
		case ',', ':', ']', '}', ' ', '\t', '\r', '\n':
			return i
		}
	}
	return i
}
