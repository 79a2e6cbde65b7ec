package mapfilter

import (
	"bytes"
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
)

// kind is the kind of a value, in the order in which npm typewiselite sorts
// them.
type kind int

const (
	null kind = iota
	boolean
	number
	text
	object
	array
	undefined
)

func kindOf(v Value) kind {
	if len(v) == 0 {
		return undefined
	}
	switch v[0] {
	case 'n':
		return null
	case 't', 'f':
		return boolean
	case '"':
		return text
	case '{':
		return object
	case '[':
		return array
	}
	return number
}

// nothing reports whether v is null or undefined.
func nothing(v Value) bool { return len(v) == 0 || v[0] == 'n' }

// truthy reports whether JavaScript takes v for true.
func truthy(v Value) bool {
	switch string(v) {
	case "", "null", "false", "0", `""`:
		return false
	}
	return true
}

// typeOf is JavaScript's typeof.
func typeOf(v Value) string {
	return [...]string{"object", "boolean", "number", "string", "object", "object", "undefined"}[kindOf(v)]
}

// equal is JavaScript's ===: no object is equal to another one.
func equal(a, b Value) bool {
	k := kindOf(a)
	return k != object && k != array && bytes.Equal(a, b)
}

// elements returns the elements of an array.
func elements(v Value) (all []Value) {
	if kindOf(v) != array {
		return nil
	}
	var list []json.RawMessage
	_ = json.Unmarshal(v, &list) // JSON already
	for _, element := range list {
		all = append(all, Value(element))
	}
	return all
}

// firstMember returns name and value of the first member of an object.
func firstMember(v Value) (name string, value Value) {
	switch kindOf(v) {
	case object:
		_ = ecmajson.EachMember(v, func(key, member []byte) bool { // canonical: no error
			name, value = decode(key), member
			return false
		})
	case array, text:
		return "0", nil
	}
	return name, value
}

// decode returns the text of a string.
func decode(v Value) (s string) {
	_ = json.Unmarshal(v, &s) // JSON already
	return s
}

// encode returns a string as a value.
func encode(s string) Value {
	v, _ := json.Marshal(s) // strings can be
	v, _ = ecmajson.Compact(v)
	return v
}

// member returns v[name], where name is spelt as in JSON without quotes.
func member(v Value, name string) Value {
	switch kindOf(v) {
	case object:
		return ecmajson.Get(v, name)
	case array:
		if name == "length" {
			return appendInt(len(elements(v)))
		}
		if i, err := strconv.Atoi(name); err == nil && strconv.Itoa(i) == name {
			return element(v, i)
		}
	case text:
		if name == "length" {
			return appendInt(len(units(v)))
		}
		if i, err := strconv.Atoi(name); err == nil && strconv.Itoa(i) == name {
			return element(v, i)
		}
	}
	return nil
}

// element returns the i-th element of an array or character of a string.
func element(v Value, i int) Value {
	if kindOf(v) == text {
		if all := units(v); i >= 0 && i < len(all) {
			return encode(string(utf16.Decode(all[i : i+1])))
		}
		return nil
	}
	if all := elements(v); i >= 0 && i < len(all) {
		return all[i]
	}
	return nil
}

func appendInt(n int) Value { return strconv.AppendInt(nil, int64(n), 10) }

func fromNumber(f float64) Value {
	if math.IsNaN(f) {
		return nan
	}
	return ecmajson.AppendNumber(nil, f)
}

func fromBool(b bool) Value { return strconv.AppendBool(nil, b) }

// units returns the UTF-16 units of a string.
func units(v Value) []uint16 { return utf16.Encode([]rune(decode(v))) }

// toNumber is JavaScript's conversion to a number.
func toNumber(v Value) float64 {
	switch kindOf(v) {
	case null:
		return 0
	case boolean:
		if v[0] == 't' {
			return 1
		}
		return 0
	case number:
		f, _ := strconv.ParseFloat(string(v), 64) // what is out of range is infinite
		return f
	case text:
		s := strings.TrimSpace(decode(v))
		if s == "" {
			return 0
		}
		if f, err := strconv.ParseFloat(s, 64); err == nil && !strings.ContainsAny(s, "_nNpP") {
			return f
		}
	}
	return math.NaN()
}

// compareText compares strings by their UTF-16 units.
func compareText(a, b Value) int {
	if plain(a) && plain(b) {
		return bytes.Compare(a[1:len(a)-1], b[1:len(b)-1])
	}
	return slices.Compare(units(a), units(b))
}

// plain reports whether a string is ASCII without escapes, so that it compares
// as its text does.
func plain(v Value) bool {
	for _, c := range v {
		if c == '\\' || c >= 0x80 {
			return false
		}
	}
	return true
}

// compare is JavaScript's order of < and >; ok is false for what has none.
func compare(a, b Value) (c int, ok bool) {
	if kindOf(a) == text && kindOf(b) == text {
		return compareText(a, b), true
	}
	x, y := toNumber(a), toNumber(b)
	switch {
	case len(a) == 0 || len(b) == 0 || math.IsNaN(x) || math.IsNaN(y):
		return 0, false
	case x < y:
		return -1, true
	case x > y:
		return 1, true
	}
	return 0, true
}

// order is the order of npm typewiselite. Objects have none.
func order(a, b Value) int {
	x, y := kindOf(a), kindOf(b)
	switch {
	case x != y:
		return int(x) - int(y)
	case x == text:
		return compareText(a, b)
	case x == array:
		return slices.CompareFunc(elements(a), elements(b), order)
	case x == object:
		return 0
	}
	c, _ := compare(a, b)
	return c
}

// Compare is the order of npm typewiselite, in which groups and sorted items
// come: null, booleans, numbers, strings, lists, undefined. Objects have none.
func Compare(a, b Value) int { return cmp.Compare(order(a, b), 0) }

// hasObject reports whether a value is an object, or an array that has one.
func hasObject(v Value) bool {
	return kindOf(v) == object || slices.ContainsFunc(elements(v), hasObject)
}

// depthOf returns how many brackets are open at most.
func depthOf(v Value) int {
	depth, deepest := 0, 0
	for i := 0; i < len(v); i++ {
		switch v[i] {
		case '"':
			for i++; v[i] != '"'; i++ {
				if v[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			depth++
			deepest = max(deepest, depth)
		case '}', ']':
			depth--
		}
	}
	return deepest
}
