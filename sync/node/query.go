package node

import (
	"encoding/json"
	"math"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/store"
)

// query is the argument of the read streams (createLogStream and its
// siblings), as ssb-server takes it. Bounds are receive times, claimed times
// or sequences, by stream.
type query struct {
	GT, GTE, LT, LTE *float64
	Reverse          bool
	Limit            int64 // -1 = no limit
	Live             bool  // also when it wants nothing old
	Old              bool
	Sync             bool // live streams send {"sync":true} when the old part is done
	Keys             bool
	Values           bool
	Private          bool
	Raw              bool
	ID               string
	Type             string

	// reveal, when set, returns a record with its content in clear if it is a
	// private message for us.
	reveal func(store.Record) store.Record
}

// setting is a boolean as JavaScript programs write it: missing, false, true,
// or a number.
type setting int8

const (
	settingUnset setting = iota
	settingFalse
	settingTrue  // the literal true
	settingOther // something else that counts as true
	settingZero  // something else that counts as false
)

// UnmarshalJSON never fails.
func (s *setting) UnmarshalJSON(raw []byte) error {
	switch {
	case string(raw) == "false":
		*s = settingFalse
	case string(raw) == "true":
		*s = settingTrue
	case falsy(raw):
		*s = settingZero
	default:
		*s = settingOther
	}
	return nil
}

// truthy reports whether JavaScript takes it for true.
func (s setting) truthy() bool { return s == settingTrue || s == settingOther }

// wireQuery is the JSON of a query.
type wireQuery struct {
	GT      *float64 `json:"gt"`
	GTE     *float64 `json:"gte"`
	LT      *float64 `json:"lt"`
	LTE     *float64 `json:"lte"`
	Reverse setting  `json:"reverse"`
	Limit   *float64 `json:"limit"`
	Live    setting  `json:"live"`
	Old     setting  `json:"old"`
	Sync    setting  `json:"sync"`
	Keys    setting  `json:"keys"`
	Values  setting  `json:"values"`
	Private setting  `json:"private"`
	Raw     setting  `json:"raw"`
	ID      word     `json:"id"`
	Type    word     `json:"type"`
}

// parseQuery reads a query; no argument is the empty query.
func parseQuery(raw json.RawMessage) (query, error) {
	var w wireQuery
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &w); err != nil {
			return query{}, usage("reading the options: %v", muxrpc.ArgumentError(err))
		}
	}
	old := w.Old != settingFalse
	q := query{
		GT: w.GT, GTE: w.GTE, LT: w.LT, LTE: w.LTE, Reverse: w.Reverse.truthy(), Live: w.Live.truthy() || !old,
		Private: w.Private == settingTrue, Raw: w.Raw.truthy(), ID: string(w.ID), Type: string(w.Type),
		Old: old, Sync: w.Sync != settingFalse,
		Keys: w.Keys != settingFalse, Values: w.Values != settingFalse, Limit: -1,
	}
	if w.Limit != nil && *w.Limit >= 0 && *w.Limit < math.MaxInt32 {
		q.Limit = int64(*w.Limit)
	}
	return q, nil
}

// streamQuery checks and reads the only argument of a read stream, which may be
// missing.
func streamQuery(c *muxrpc.Call) (query, error) {
	raw := argument(c, 0)
	if falsy(raw) {
		return parseQuery(nil)
	}
	if err := checkStream(raw, "readStreamOpts"); err != nil {
		return query{}, err
	}
	return parseQuery(raw)
}

// bounds returns the closed interval of whole numbers that the query selects,
// within [first, last].
func (q *query) bounds(first, last int64) (int64, int64) {
	if q.GT != nil {
		first = max(first, whole(math.Floor(*q.GT)+1))
	}
	if q.GTE != nil {
		first = max(first, whole(math.Ceil(*q.GTE)))
	}
	if q.LT != nil {
		last = min(last, whole(math.Ceil(*q.LT)-1))
	}
	if q.LTE != nil {
		last = min(last, whole(math.Floor(*q.LTE)))
	}
	return first, last
}

// isLate reports whether a time is beyond the lower bounds of the query, which
// may lie in the future.
func (q *query) isLate(t float64) bool {
	return (q.GT == nil || t > *q.GT) && (q.GTE == nil || t >= *q.GTE)
}

// whole converts f to an int64, at the ends of its range for what does not
// fit.
func whole(f float64) int64 {
	switch {
	case math.IsNaN(f):
		return 0
	case f >= math.MaxInt64:
		return math.MaxInt64
	case f <= math.MinInt64:
		return math.MinInt64
	}
	return int64(f)
}
