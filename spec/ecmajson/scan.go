package ecmajson

import (
	"bytes"
)

// maxUnitBytes is how many bytes of UTF-8 one UTF-16 unit takes at most.
const maxUnitBytes = 3

// newlineIndent is a line break and the deepest indentation that is written
// at once.
const newlineIndent = "\n" +
	"                                                                "

// scanner is the single pass over text that has V8's form already.
type scanner struct {
	src   []byte
	dst   []byte // src indented, up to src[from]
	pos   int    // the next byte to look at
	from  int    // src[from:pos] is not in dst yet
	wide  int    // bytes of src[:pos] beyond its UTF-16 units
	depth int
	limit int // of dst, in bytes
	units int // of dst, in UTF-16 units

	members []Member
	keys    []span // in src, of all open objects, outermost first
}

// run reports whether src is what V8 prints for its value and, if so, holds
// its indented form. It is false as well for what exceeds maxUnits.
func (s *scanner) run(src []byte, maxUnits int) bool {
	if s.dst == nil {
		s.dst = make([]byte, 0, len(src)+len(src)/4+64)
	}
	*s = scanner{src: src, dst: s.dst[:0], members: s.members[:0], keys: s.keys[:0]}
	s.limit = int(^uint(0) >> 1)
	if maxUnits > 0 {
		s.limit = maxUnits * maxUnitBytes
	}
	if !s.value() || s.pos != len(src) || !s.flush() {
		return false
	}
	s.units = len(s.dst) - s.wide
	return maxUnits <= 0 || s.units <= maxUnits
}

func (s *scanner) text() Text {
	return Text{Compact: s.src, Indented: s.dst, Units: s.units, Members: s.members}
}

// next consumes c if it is the next byte.
func (s *scanner) next(c byte) bool {
	if s.pos < len(s.src) && s.src[s.pos] == c {
		s.pos++
		return true
	}
	return false
}

// flush brings dst up to pos.
func (s *scanner) flush() bool {
	s.dst = append(s.dst, s.src[s.from:s.pos]...)
	s.from = s.pos
	return len(s.dst) <= s.limit
}

// newline flushes and begins a line.
func (s *scanner) newline() bool {
	ok := s.flush()
	n := 2 * s.depth
	s.dst = append(s.dst, newlineIndent[:1+min(n, len(newlineIndent)-1)]...)
	for n -= len(newlineIndent) - 1; n > 0; n -= len(newlineIndent) - 1 {
		s.dst = append(s.dst, newlineIndent[1:1+min(n, len(newlineIndent)-1)]...)
	}
	return ok
}

func (s *scanner) value() bool {
	if s.pos >= len(s.src) {
		return false
	}
	switch s.src[s.pos] {
	case '"':
		return s.str()
	case '{':
		return s.object()
	case '[':
		return s.array()
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	}
	return s.number()
}

func (s *scanner) word(w string) bool {
	if !bytes.HasPrefix(s.src[s.pos:], []byte(w)) {
		return false
	}
	s.pos += len(w)
	return true
}

func (s *scanner) array() bool {
	if s.depth++; s.depth > MaxDepth {
		return false
	}
	s.pos++
	if s.next(']') {
		s.depth--
		return true
	}
	for more := true; more; more = s.next(',') {
		if !s.newline() || !s.value() {
			return false
		}
	}
	s.depth--
	return s.newline() && s.next(']')
}

func (s *scanner) object() bool {
	if s.depth++; s.depth > MaxDepth {
		return false
	}
	s.pos++
	if s.next('}') {
		s.depth--
		return true
	}
	seen := keySet{base: len(s.keys), last: -1}
	for more := true; more; more = s.next(',') {
		if !s.newline() || !s.member(&seen) {
			return false
		}
	}
	s.keys = s.keys[:seen.base]
	s.depth--
	return s.newline() && s.next('}')
}

func (s *scanner) member(seen *keySet) bool {
	start := s.pos
	if !s.next('"') {
		return false
	}
	s.pos--
	if !s.str() {
		return false
	}
	key := span{start + 1, s.pos - 1}
	if !seen.add(s, key) || !s.next(':') || !s.flush() {
		return false
	}
	s.dst = append(s.dst, ' ')
	value := s.pos
	if !s.value() {
		return false
	}
	if s.depth == 1 {
		s.members = append(s.members, Member{
			Key:   s.src[start : key.to+1],
			Value: s.src[value:s.pos],
			End:   len(s.dst) + s.pos - s.from,
		})
	}
	return true
}
