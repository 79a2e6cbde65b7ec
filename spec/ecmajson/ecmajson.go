// Package ecmajson turns JSON text into the text that ECMAScript prints for
// the same value: JSON.stringify(JSON.parse(text)), compact or indented by
// two spaces. Scuttlebutt signs, hashes and measures the indented text, so
// every byte of it counts.
//
// # What ECMAScript does
//
// The input is decoded as UTF-8, each maximal invalid part becoming U+FFFD,
// and parsed by the grammar of RFC 8259: no byte order mark, no raw control
// characters in strings, nothing after the value. Printing it again:
//
//   - Members keep their order, but keys that are canonical array indexes
//     ("0" to "4294967294") come first, ascending. Of members with equal
//     keys the last value stays, at the place of the first. "__proto__" is an
//     ordinary key.
//   - Numbers are IEEE 754 doubles in the shortest form that reads back the
//     same (ECMA-262, Number::toString): 1e+21, 1e-7, 0.000001. Negative zero
//     prints as 0, what overflows as null.
//   - Strings escape ", \ and the characters below U+0020: \b \t \n \f \r,
//     \u001f in lower case. A surrogate without its partner prints as \ud800.
//     Nothing else is escaped.
//   - Indented, an empty object or array prints as {} or [].
//
// V8 parses any depth and fails to print beyond some thousands, depending on
// its stack. Here the bound is MaxDepth for both.
//
// # How
//
// What V8 printed already is in this form. A single pass checks that,
// indenting on the way, and gives up at the first byte that V8 would have
// printed otherwise; only then the text is rewritten member by member, and
// the pass is repeated over the result.
package ecmajson

import (
	"errors"
	"fmt"
)

// MaxDepth is the deepest nesting of objects and arrays that is read.
const MaxDepth = 1000

// ErrTooLong says that the indented text exceeds Parser.MaxUnits.
var ErrTooLong = errors.New("json text is too long")

// SyntaxError says where and why a text is not JSON.
type SyntaxError struct {
	Offset int // in bytes
	Reason string
}

// Error implements error.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("not json: %s at byte %d", e.Reason, e.Offset)
}

// Compact returns JSON.stringify(JSON.parse(text)). The result never aliases
// text.
func Compact(text []byte) ([]byte, error) {
	return rewrite(make([]byte, 0, len(text)), text)
}

// Indent returns JSON.stringify(JSON.parse(text), null, 2). Indentation grows
// with the depth; use a Parser with MaxUnits to bound it.
func Indent(text []byte) ([]byte, error) {
	var p Parser
	t, err := p.Parse(text)
	return t.Indented, err
}

// Parser converts one text after the other in memory that it keeps. The zero
// value is ready to use. It must not be used concurrently.
type Parser struct {
	// MaxUnits bounds the length of the indented text in UTF-16 units. Zero
	// means no bound.
	MaxUnits int

	scan    scanner
	compact []byte
}

// Text is a JSON value as ECMAScript prints it. It is valid until the Parser
// reads the next one.
type Text struct {
	Compact  []byte   // JSON.stringify(value); the input itself when that had this form
	Indented []byte   // JSON.stringify(value, null, 2)
	Units    int      // UTF-16 units of Indented; its length in bytes if it is ASCII
	Members  []Member // the members of the top-level object, in order
}

// Member is a member of an object.
type Member struct {
	Key   []byte // with its quotes, part of Compact
	Value []byte // part of Compact
	End   int    // where the value ends in Indented
}

// Parse reads one JSON value in any spelling. The error is a *SyntaxError or
// ErrTooLong; with the latter Compact is set.
func (p *Parser) Parse(text []byte) (Text, error) {
	if p.scan.run(text, p.MaxUnits) {
		return p.scan.text(), nil
	}
	compact, err := rewrite(p.compact[:0], text)
	if err != nil {
		return Text{}, err
	}
	p.compact = compact
	if !p.scan.run(compact, p.MaxUnits) {
		return Text{Compact: compact}, ErrTooLong
	}
	return p.scan.text(), nil
}
