package ecmajson

import (
	"bytes"
	"slices"
	"unicode/utf8"
)

// rewriter is the exact path: it takes JSON in any spelling and appends the
// compact text that V8 prints for it.
type rewriter struct {
	src   []byte
	pos   int
	out   []byte
	depth int
}

// rewrite appends JSON.stringify(JSON.parse(text)) to dst.
func rewrite(dst, text []byte) ([]byte, error) {
	r := rewriter{src: text, out: dst}
	if err := r.value(); err != nil {
		return nil, err
	}
	if r.space(); r.pos < len(r.src) {
		return nil, r.fail("more text after the value")
	}
	return r.out, nil
}

func (r *rewriter) fail(reason string) error {
	if r.pos >= len(r.src) {
		reason = "unexpected end"
	}
	return &SyntaxError{Offset: r.pos, Reason: reason}
}

// space skips white space and returns the byte after it, zero at the end.
func (r *rewriter) space() byte {
	for ; r.pos < len(r.src); r.pos++ {
		switch c := r.src[r.pos]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// next skips white space and consumes c if it is next.
func (r *rewriter) next(c byte) bool {
	if r.space() == c && r.pos < len(r.src) {
		r.pos++
		return true
	}
	return false
}

func (r *rewriter) value() error {
	switch r.space() {
	case '"':
		return r.str()
	case '{':
		return r.object()
	case '[':
		return r.array()
	case 't':
		return r.word("true")
	case 'f':
		return r.word("false")
	case 'n':
		return r.word("null")
	}
	end := numberEnd(r.src, r.pos)
	if end < 0 {
		return r.fail("no value")
	}
	r.out = appendLiteral(r.out, r.src[r.pos:end])
	r.pos = end
	return nil
}

func (r *rewriter) word(w string) error {
	if !bytes.HasPrefix(r.src[r.pos:], []byte(w)) {
		return r.fail("no value")
	}
	r.pos += len(w)
	r.out = append(r.out, w...)
	return nil
}

// open consumes a bracket.
func (r *rewriter) open() error {
	if r.depth++; r.depth > MaxDepth {
		return r.fail("nested too deeply")
	}
	r.out = append(r.out, r.src[r.pos])
	r.pos++
	return nil
}

// close consumes the closing bracket.
func (r *rewriter) close(c byte) error {
	if !r.next(c) {
		return r.fail("no comma or closing bracket")
	}
	r.depth--
	r.out = append(r.out, c)
	return nil
}

func (r *rewriter) array() error {
	if err := r.open(); err != nil {
		return err
	}
	if r.space() == ']' {
		return r.close(']')
	}
	if err := r.value(); err != nil {
		return err
	}
	for r.next(',') {
		r.out = append(r.out, ',')
		if err := r.value(); err != nil {
			return err
		}
	}
	return r.close(']')
}

func (r *rewriter) object() error {
	start := len(r.out)
	if err := r.open(); err != nil {
		return err
	}
	if r.space() == '}' {
		return r.close('}')
	}
	var o object
	if err := r.member(&o); err != nil {
		return err
	}
	for r.next(',') {
		r.out = append(r.out, ',')
		if err := r.member(&o); err != nil {
			return err
		}
	}
	if o.moved {
		r.out = append(r.out[:start+1], o.print(r.out)...)
	}
	return r.close('}')
}

func (r *rewriter) member(o *object) error {
	if r.space() != '"' {
		return r.fail("no key")
	}
	m := member{key: span{from: len(r.out)}}
	if err := r.str(); err != nil {
		return err
	}
	m.key.to = len(r.out)
	if !r.next(':') {
		return r.fail("no colon")
	}
	r.out = append(r.out, ':')
	m.value.from = len(r.out)
	if err := r.value(); err != nil {
		return err
	}
	m.value.to = len(r.out)
	o.add(r.out, m)
	return nil
}

// span is a part of rewriter.out.
type span struct{ from, to int }

type member struct {
	key, value span
	index      int64 // -1 when the key is no array index
}

// object is the members of an object under way.
type object struct {
	members []member
	byKey   map[string]int
	moved   bool // whether they print otherwise than they came
}

func (o *object) add(out []byte, m member) {
	if o.byKey == nil {
		o.byKey = make(map[string]int)
	}
	key := out[m.key.from:m.key.to]
	if i, dup := o.byKey[string(key)]; dup {
		o.members[i].value = m.value
		o.moved = true
		return
	}
	o.byKey[string(key)] = len(o.members)
	m.index = -1
	if index, ok := arrayIndex(key[1 : len(key)-1]); ok {
		m.index = index
	}
	if n := len(o.members); n > 0 && compareMembers(o.members[n-1], m) > 0 {
		o.moved = true
	}
	o.members = append(o.members, m)
}

// compareMembers orders array indexes ascending before other keys, which are
// all equal.
func compareMembers(a, b member) int {
	switch {
	case a.index == b.index:
		return 0
	case b.index < 0 || a.index >= 0 && a.index < b.index:
		return -1
	}
	return 1
}

// print returns the members in the order of ECMAScript.
func (o *object) print(out []byte) []byte {
	slices.SortStableFunc(o.members, compareMembers)
	var text []byte
	for i, m := range o.members {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, out[m.key.from:m.key.to]...)
		text = append(text, ':')
		text = append(text, out[m.value.from:m.value.to]...)
	}
	return text
}

// str rewrites a string.
func (r *rewriter) str() error {
	r.out = append(r.out, '"')
	r.pos++
	for {
		end := plainEnd(r.src, r.pos)
		r.out = append(r.out, r.src[r.pos:end]...)
		if r.pos = end; end == len(r.src) {
			return r.fail("")
		}
		switch c := r.src[end]; {
		case c == '"':
			r.pos++
			r.out = append(r.out, '"')
			return nil
		case c == '\\':
			if err := r.escape(); err != nil {
				return err
			}
		case c < utf8.RuneSelf:
			return r.fail("control character in a string")
		default:
			var n int
			r.out, n = appendDecoded(r.out, r.src[end:])
			r.pos += n
		}
	}
}

// escape rewrites an escape sequence, two if they are a surrogate pair.
func (r *rewriter) escape() error {
	unit, n := readEscape(r.src[r.pos:])
	if n == 0 {
		return r.fail("bad escape sequence")
	}
	r.pos += n
	if isHigh(unit) {
		if low, ok := escapedUnit(r.src[r.pos:]); ok && isLow(low) {
			r.pos += 6
			r.out = utf8.AppendRune(r.out, 0x10000+rune(unit&0x3ff)<<10+rune(low&0x3ff))
			return nil
		}
	}
	r.out = appendUnit(r.out, unit)
	return nil
}

// readEscape returns the UTF-16 unit that the escape sequence at the start of
// b stands for and its length, zero if it is none.
func readEscape(b []byte) (uint16, int) {
	if len(b) < 2 {
		return 0, 0
	}
	switch b[1] {
	case '"', '\\', '/':
		return uint16(b[1]), 2
	case 'b':
		return '\b', 2
	case 't':
		return '\t', 2
	case 'n':
		return '\n', 2
	case 'f':
		return '\f', 2
	case 'r':
		return '\r', 2
	}
	if unit, ok := escapedUnit(b); ok {
		return unit, 6
	}
	return 0, 0
}

// appendUnit appends one UTF-16 unit as V8 prints it inside a string.
func appendUnit(dst []byte, unit uint16) []byte {
	switch {
	case unit == '"' || unit == '\\':
		return append(dst, '\\', byte(unit))
	case unit < ' ' && shortEscape(byte(unit)) != 0:
		return append(dst, '\\', shortEscape(byte(unit)))
	case unit < ' ' || isHigh(unit) || isLow(unit):
		const hex = "0123456789abcdef"
		return append(dst, '\\', 'u', hex[unit>>12], hex[unit>>8&15], hex[unit>>4&15], hex[unit&15])
	}
	return utf8.AppendRune(dst, rune(unit))
}
