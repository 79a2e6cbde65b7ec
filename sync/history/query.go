package history

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
)

// Query is what a call of createHistoryStream asks for.
type Query struct {
	Feed   refs.Feed
	First  int64 // the first sequence, at least 1
	Limit  int64 // how many messages at most of those that are there; negative is all of them
	Live   bool  // send what comes after what is there
	Old    bool  // send what is there
	Keys   bool
	Values bool
}

// ParseQuery reads the arguments of a call, a JSON array. The errors are those
// of ssb-server where it has any.
func ParseQuery(args json.RawMessage) (Query, error) {
	q := Query{First: 1, Limit: -1, Old: true, Keys: true, Values: true}
	var list []json.RawMessage
	if err := json.Unmarshal(args, &list); err != nil {
		return q, fmt.Errorf("createHistoryStream: arguments: %v", muxrpc.ArgumentError(err))
	}
	var first []byte
	if len(list) > 0 {
		first = bytes.TrimLeft(list[0], " \t\r\n")
	}
	var o options
	switch {
	case bytes.HasPrefix(first, []byte(`"`)):
		return q, q.parseList(list)
	case bytes.HasPrefix(first, []byte("{")):
		if err := json.Unmarshal(first, &o); err != nil {
			return q, fmt.Errorf("createHistoryStream: options: %v", muxrpc.ArgumentError(err))
		}
	}
	return q, q.parseOptions(&o) // which asks for an id
}

// options are the argument of a call as it is written. As in ssb-db there is no
// reverse among them.
type options struct {
	ID       text
	Seq      number
	Sequence number
	Limit    *number
	Live     flag
	Old      flag
	Keys     flag
	Values   flag
}

func (q *Query) parseOptions(o *options) (err error) {
	if q.Feed, err = refs.ParseFeed(string(o.ID)); err != nil {
		//lint:ignore ST1005 the words of ssb-server
		return fmt.Errorf(`Param 0 must have a .id of type "feedId"`)
	}
	first := o.Sequence
	if first == 0 {
		first = o.Seq
	}
	q.First = max(int64(first), 1)
	if o.Limit != nil {
		q.Limit = int64(*o.Limit)
	}
	q.Old, q.Keys, q.Values = o.Old.or(true), o.Keys.or(true), o.Values.or(true)
	q.Live = o.Live.or(false) || !q.Old
	return nil
}

// parseList reads (id, sequence, live).
func (q *Query) parseList(list []json.RawMessage) error {
	var o options
	for i, dst := range []any{&o.ID, &o.Sequence, &o.Live} {
		if i >= len(list) {
			break
		}
		if err := json.Unmarshal(list[i], dst); err != nil {
			return fmt.Errorf("createHistoryStream: argument %d: %v", i+1, muxrpc.ArgumentError(err))
		}
	}
	return q.parseOptions(&o)
}

// text is a JSON string; anything else is none.
type text string

// UnmarshalJSON implements json.Unmarshaler.
func (t *text) UnmarshalJSON(raw []byte) error {
	var s string
	_ = json.Unmarshal(raw, &s)
	*t = text(s)
	return nil
}

// number is a JSON number; what is no integer counts as the next one below,
// null as 0.
type number int64

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(raw []byte) error {
	if string(raw) == "null" {
		return nil
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil && !math.IsInf(f, 0) {
		return fmt.Errorf("%.40q is not a number", raw)
	}
	*n = number(min(max(math.Floor(f), -1), math.MaxInt32+1))
	return nil
}

// flag is a boolean that JavaScript callers also write as a number.
type flag struct{ set, on bool }

// UnmarshalJSON implements json.Unmarshaler.
func (f *flag) UnmarshalJSON(raw []byte) error {
	switch string(raw) {
	case "null":
		return nil
	case "true", "false":
		*f = flag{true, raw[0] == 't'}
		return nil
	}
	var n number
	if err := n.UnmarshalJSON(raw); err != nil {
		return fmt.Errorf("%.40q is not true or false", raw)
	}
	*f = flag{true, n != 0}
	return nil
}

func (f flag) or(fallback bool) bool {
	if f.set {
		return f.on
	}
	return fallback
}

// append appends a record to dst in the shape that is asked for.
func (q *Query) append(dst []byte, rec *store.Record) []byte {
	if q.Keys && q.Values {
		return AppendKVT(dst, rec)
	}
	if q.Values || !q.Keys {
		return append(dst, rec.Value...)
	}
	return appendID(dst, rec.ID)
}

// AppendKVT appends {"key":…,"value":…,"timestamp":…} of a record to dst, as
// JSON.stringify prints it.
func AppendKVT(dst []byte, rec *store.Record) []byte {
	dst = append(dst, `{"key":`...)
	dst = appendID(dst, rec.ID)
	dst = append(dst, `,"value":`...)
	dst = append(dst, rec.Value...)
	dst = append(dst, `,"timestamp":`...)
	dst = strconv.AppendFloat(dst, rec.Received, 'f', -1, 64)
	return append(dst, '}')
}

func appendID(dst []byte, id refs.Message) []byte {
	dst = append(dst, '"')
	dst, _ = id.AppendText(dst) // never fails
	return append(dst, '"')
}
