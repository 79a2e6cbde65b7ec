package node

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Programs in JavaScript take much for much: a number in quotes, one word for a
// list of words. The types here read what their configs may have.

// words are a list that may be written as one word.
type words []string

// UnmarshalJSON reads a word or a list of words.
func (w *words) UnmarshalJSON(raw []byte) error {
	var word string
	if string(raw) == "null" {
		return nil
	}
	if json.Unmarshal(raw, &word) == nil {
		*w = words{word}
		return nil
	}
	if json.Unmarshal(raw, (*[]string)(w)) != nil {
		return wrongForm[[]string](raw)
	}
	return nil
}

// given returns the words that are not empty.
func (w words) given() []string {
	return slices.DeleteFunc(slices.Clone(w), func(word string) bool { return word == "" })
}

// wholeNumber is a whole number that may stand in quotes.
type wholeNumber int

// UnmarshalJSON reads a number, or one in a string.
func (n *wholeNumber) UnmarshalJSON(raw []byte) error {
	number, err := strconv.ParseFloat(strings.Trim(string(raw), `" `), 64)
	if err != nil || number != math.Trunc(number) || math.Abs(number) > 1<<30 {
		return wrongForm[int](raw)
	}
	*n = wholeNumber(number)
	return nil
}

// or returns the number, or another if there is none.
func (n *wholeNumber) or(other int) int {
	if n == nil {
		return other
	}
	return int(*n)
}

// outgoing are the ways to dial a transport, one of which may stand alone.
type outgoing []transformed

// transformed is what is done with a connection.
type transformed struct {
	Transform string `json:"transform"` // shs is the only one that we dial with
}

// UnmarshalJSON reads a list of ways, or one.
func (o *outgoing) UnmarshalJSON(raw []byte) error {
	var one transformed
	if json.Unmarshal(raw, &one) == nil && raw[0] == '{' {
		*o = outgoing{one}
		return nil
	}
	if json.Unmarshal(raw, (*[]transformed)(o)) != nil {
		return wrongForm[outgoing](raw)
	}
	return nil
}

// transports lists what may be dialled, nil for everything.
func (c *Config) transports() []string {
	if c.Connections.Outgoing == nil {
		return nil
	}
	list := []string{}
	for transport, ways := range c.Connections.Outgoing {
		if slices.ContainsFunc(ways, func(way transformed) bool { return way.Transform == "" || way.Transform == "shs" }) {
			list = append(list, transport)
		}
	}
	return list
}

// wrongForm says that a member is not a T. The place is filled in by who reads
// the rest.
func wrongForm[T any](raw []byte) error {
	return &json.UnmarshalTypeError{Value: formOf(raw), Type: reflect.TypeFor[T]()}
}

// formOf says what a JSON value is.
func formOf(raw []byte) string {
	switch raw = bytes.TrimSpace(raw); {
	case len(raw) == 0:
		return "nothing"
	case raw[0] == '{':
		return "object"
	case raw[0] == '[':
		return "array"
	case raw[0] == '"':
		return fmt.Sprintf("the string %.40s", raw)
	}
	return fmt.Sprintf("%.40s", raw)
}

// wanted says what is wanted where something else was found, found what that
// is, in words that are not those of this program's source.
var (
	wanted = map[reflect.Kind]string{
		reflect.String: "a string", reflect.Bool: "true or false", reflect.Int: "a whole number", reflect.Int64: "a whole number",
		reflect.Struct: "an object", reflect.Map: "an object", reflect.Slice: "a list",
	}
	found = map[string]string{
		"array": "a list", "object": "an object", "string": "a string", "number": "a number", "bool": "true or false",
	}
)

// explainForm names the member of the config that has another form than it must.
func explainForm(member string, err error) error {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return fmt.Errorf("%s: %v", member, err)
	}
	want := cmp.Or(wanted[wrong.Type.Kind()], "of that form")
	if wrong.Type == reflect.TypeFor[[]string]() {
		want = "a list of strings"
	}
	return fmt.Errorf("%s is %s, not %s", cmp.Or(wrong.Field, member),
		cmp.Or(found[wrong.Value], wrong.Value), want)
}

// forNetwork are the members of the config that count only where peers are
// talked to: what is wrong with them keeps nobody from using a stick.
var forNetwork = []string{"allowprivate", "connections", "external", "host", "local", "logging", "master", "port", "proxy"}

// decode reads the config member by member.
func (c *Config) decode(raw []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return explainForm("all of it", err)
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		one, err := json.Marshal(map[string]json.RawMessage{name: members[name]})
		if err == nil {
			err = json.Unmarshal(one, c)
		}
		if err == nil {
			continue
		}
		err = explainForm(name, err)
		if !slices.Contains(forNetwork, strings.ToLower(name)) {
			return err
		}
		c.badNetwork = errors.Join(c.badNetwork, fmt.Errorf("reading config: %v", err))
	}
	return nil
}
