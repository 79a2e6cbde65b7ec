package mapfilter

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
)

// predicate tests a value; getter makes another of it.
type (
	predicate func(Value) bool
	getter    func(Value) Value
)

// rules is an object or array of rules.
type rules[T any] []struct {
	key  string // spelt as in JSON, without quotes
	rule T
}

// makeRules understands the members of an object, or the elements of an array.
func makeRules[T any](v Value, understand func(Value) (T, error)) (rules[T], error) {
	var all rules[T]
	add := func(key string, member Value) error {
		rule, err := understand(member)
		if err == nil {
			all = append(all, struct {
				key  string
				rule T
			}{key, rule})
		}
		return err
	}
	for i, element := range elements(v) {
		if err := add(strconv.Itoa(i), element); err != nil {
			return nil, err
		}
	}
	var err error
	if kindOf(v) == object {
		_ = ecmajson.EachMember(v, func(key, member []byte) bool { // canonical: no error
			err = add(string(key[1:len(key)-1]), member)
			return err == nil
		})
	}
	return all, err
}

// isFunction reports whether an object has members that begin with a $.
func isFunction(v Value) (is bool) {
	if kindOf(v) == object {
		_ = ecmajson.EachMember(v, func(key, _ []byte) bool {
			is = key[1] == '$'
			return !is
		})
	}
	return is
}

func errUnknown(rule Value) error { return fmt.Errorf("could not process:%.200s", rule) }

// makeFilter understands the rule of a $filter: an object or array whose
// members are to be found, a function, or a value that is to be the same.
func makeFilter(rule Value) (predicate, error) {
	switch k := kindOf(rule); {
	case k == undefined:
		return nil, errUnknown(rule)
	case k != object && k != array:
		return func(v Value) bool { return equal(rule, v) }, nil
	case isFunction(rule):
		get, err := makeGetter(rule)
		return func(v Value) bool { return truthy(get(v)) }, err
	}
	members, err := makeRules(rule, makeFilter)
	return func(v Value) bool {
		if nothing(v) {
			return false
		}
		for _, m := range members {
			if !m.rule(member(v, m.key)) {
				return false
			}
		}
		return true
	}, err
}

// maxMade bounds what a $map makes of one item, in bytes: what is larger is
// undefined. Stage by stage an item may double.
const maxMade = 1 << 20

// makeMap understands the rule of a $map: an object whose members are made of
// the value, or a getter.
func makeMap(rule Value) (getter, error) {
	if kindOf(rule) != object || isFunction(rule) {
		return makeGetter(rule)
	}
	same := map[string]bool{}
	members, err := makeRules(rule, makeMap)
	for _, m := range members {
		same[m.key] = string(ecmajson.Get(rule, m.key)) == "true"
	}
	return func(v Value) Value {
		if nothing(v) || len(members) == 0 {
			return nil
		}
		made := []byte{'{'}
		for _, m := range members {
			var value Value
			if same[m.key] {
				value = member(v, m.key)
			} else {
				value = m.rule(v)
			}
			if made = appendMember(made, m.key, value); len(made) > maxMade {
				return nil
			}
		}
		return append(made, '}')
	}, err
}

// appendMember appends a member to the text of an object, unless it is
// undefined.
func appendMember(dst []byte, key string, value Value) []byte {
	if len(value) == 0 {
		return dst
	}
	if len(dst) > 1 {
		dst = append(dst, ',')
	}
	dst = append(append(append(dst, '"'), key...), `":`...)
	return append(dst, value...)
}

// makeGetter understands what makes a value of another: the name of a member,
// the number of an element, true for the value itself, a list of those, or a
// function.
func makeGetter(rule Value) (getter, error) {
	switch kindOf(rule) {
	case text:
		name := string(rule[1 : len(rule)-1])
		return func(v Value) Value { return member(v, name) }, nil
	case number:
		i := toNumber(rule)
		if i != math.Trunc(i) || math.Abs(i) > math.MaxInt32 {
			return nil, errUnknown(rule)
		}
		return func(v Value) Value { return at(v, int(i)) }, nil
	case boolean:
		if string(rule) == "true" {
			return func(v Value) Value { return v }, nil
		}
	case array:
		return makePath(rule)
	case object:
		if isFunction(rule) {
			return makeFunction(rule)
		}
		return nil, errUnknown(rule)
	}
	return nil, errUnknown(rule)
}

// at returns an element, of a negative number counted from the end.
func at(v Value, i int) Value {
	if i < 0 {
		switch kindOf(v) {
		case array:
			i += len(elements(v))
		case text:
			i += len(units(v))
		}
	}
	if kindOf(v) == object {
		return member(v, strconv.Itoa(i))
	}
	return element(v, i)
}

// makePath understands a list of rules each of which gets what the one before
// it made.
func makePath(rule Value) (getter, error) {
	members, err := makeRules(rule, makeGetter)
	return func(v Value) Value {
		for _, m := range members {
			v = m.rule(v)
		}
		return v
	}, err
}

// makeFunction understands an object of functions, all of which must hold; of
// those that are no tests the last one is the value. Members that are no
// functions do not count.
func makeFunction(rule Value) (getter, error) {
	var all []getter
	var err error
	_ = ecmajson.EachMember(rule, func(key, argument []byte) bool { // canonical: no error
		var get getter
		if get, err = function(decode(key), argument); get != nil {
			all = append(all, get)
		}
		return err == nil
	})
	if err == nil && len(all) == 0 {
		return makeNested(rule)
	}
	return func(v Value) (made Value) {
		for i, get := range all {
			if made = get(v); i < len(all)-1 && !truthy(made) {
				return made
			}
		}
		return made
	}, err
}

// makeNested understands a $filter or $map within a rule.
func makeNested(rule Value) (getter, error) {
	if nested := Value(ecmajson.Get(rule, "$filter")); nested != nil {
		test, err := makeFilter(nested)
		return func(v Value) Value { return fromBool(test(v)) }, err
	}
	if nested := Value(ecmajson.Get(rule, "$map")); nested != nil {
		return makeMap(nested)
	}
	return nil, errUnknown(rule)
}

// comparisons are the functions that compare.
var comparisons = map[string]func(c int) bool{
	"$lt":  func(c int) bool { return c < 0 },
	"$gt":  func(c int) bool { return c > 0 },
	"$lte": func(c int) bool { return c <= 0 },
	"$gte": func(c int) bool { return c >= 0 },
}

// function returns the function with a name, nil if there is none.
func function(name string, arg Value) (getter, error) {
	if test, ok := comparisons[name]; ok {
		return func(v Value) Value {
			c, ok := compare(v, arg)
			return fromBool(ok && test(c))
		}, nil
	}
	switch name {
	case "$eq":
		return func(v Value) Value { return fromBool(equal(v, arg)) }, nil
	case "$ne":
		return func(v Value) Value { return fromBool(!equal(v, arg)) }, nil
	case "$not":
		return func(v Value) Value { return fromBool(!truthy(v)) }, nil
	case "$truthy":
		return func(v Value) Value { return fromBool(truthy(v)) }, nil
	case "$is":
		return func(v Value) Value { return fromBool(kindOf(arg) == text && typeOf(v) == decode(arg)) }, nil
	case "$type":
		return func(v Value) Value { return encode(typeOf(v)) }, nil
	case "$int":
		return func(v Value) Value { return fromBool(kindOf(v) == number && !bytes.ContainsAny(v, ".")) }, nil
	case "$mod":
		return func(v Value) Value {
			if f := math.Mod(toNumber(v), toNumber(arg)); !math.IsNaN(f) {
				return fromNumber(f)
			}
			return Value("null")
		}, nil
	case "$prefix":
		return makePrefix(arg)
	case "$in":
		return makeIn(arg)
	case "$get":
		return makeGet(arg)
	}
	return nil, nil
}

// makePrefix understands what a string or an array must begin with.
func makePrefix(arg Value) (getter, error) {
	switch kindOf(arg) {
	case text:
		start := arg[:len(arg)-1]
		return func(v Value) Value { return fromBool(kindOf(v) == text && bytes.HasPrefix(v, start)) }, nil
	case array:
		start := elements(arg)
		return func(v Value) Value {
			all := elements(v)
			return fromBool(len(all) > len(start) && slices.EqualFunc(all[:len(start)], start, equal))
		}, nil
	}
	return nil, fmt.Errorf("$prefix takes a string or an array, not %.40s", arg)
}

// makeIn understands of which values one must be, or in which string one must
// occur.
func makeIn(arg Value) (getter, error) {
	switch kindOf(arg) {
	case array:
		set := map[string]bool{}
		for _, element := range elements(arg) {
			set[string(element)] = kindOf(element) != object && kindOf(element) != array
		}
		return func(v Value) Value { return fromBool(len(v) > 0 && set[string(v)]) }, nil
	case text:
		within := arg[1 : len(arg)-1]
		return func(v Value) Value {
			return fromBool(kindOf(v) == text && bytes.Contains(within, v[1:len(v)-1]))
		}, nil
	}
	return nil, fmt.Errorf("$in takes an array, not %.40s", arg)
}

// makeGet understands a path of names.
func makeGet(arg Value) (getter, error) {
	if k := kindOf(arg); k == text || k == array || string(arg) == "true" {
		return makeGetter(arg)
	}
	return func(Value) Value { return nil }, nil
}
