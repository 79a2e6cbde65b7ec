package muxrpc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Item is one value that a call carries.
type Item struct {
	Kind Kind
	Body []byte
}

// Text returns the body with each invalid UTF-8 sequence replaced by U+FFFD,
// as JavaScript reads a string.
func (it Item) Text() string {
	if utf8.Valid(it.Body) {
		return string(it.Body)
	}
	return string(repairUTF8(it.Body))
}

// JSON returns the item as JSON text: the body of a JSON item as it came
// (unchecked), a quoted string, or for bytes the form that JSON.stringify
// gives a Buffer, {"type":"Buffer","data":[…]}.
func (it Item) JSON() json.RawMessage {
	switch it.Kind {
	case JSON:
		return it.Body
	case String:
		text, _ := encodeJSON(it.Text())
		return text
	}
	return bufferJSON(it.Body)
}

// Unmarshal decodes the item into v as encoding/json does.
func (it Item) Unmarshal(v any) error { return json.Unmarshal(it.JSON(), v) }

// errEmptyJSON is a json.RawMessage without a value in it.
var errEmptyJSON = errors.New("empty JSON value")

// newItem encodes a value for the wire as JavaScript would: a string as
// String, []byte as Binary, anything else as JSON. A json.RawMessage and an
// Item are sent as they are.
func newItem(v any) (Item, error) {
	switch v := v.(type) {
	case Item:
		return v, nil
	case json.RawMessage:
		if len(v) == 0 {
			return Item{}, errEmptyJSON
		}
		return Item{JSON, v}, nil
	case []byte:
		return Item{Binary, v}, nil
	case string:
		if v == "" { // a packet without a body would be a goodbye
			return Item{JSON, []byte(`""`)}, nil
		}
		return Item{String, []byte(v)}, nil
	}
	text, err := encodeJSON(v)
	return Item{JSON, text}, err
}

// encodeJSON is json.Marshal that leaves <, > and & alone.
func encodeJSON(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// bufferJSON is what JSON.stringify makes of a Buffer.
func bufferJSON(b []byte) []byte {
	out := []byte(`{"type":"Buffer","data":[`)
	for i, c := range b {
		if i > 0 {
			out = append(out, ',')
		}
		out = fmt.Appendf(out, "%d", c)
	}
	return append(out, "]}"...)
}
