package node

import (
	"encoding/json"
	"fmt"
	"math"
)

// query is the argument of the read streams (createLogStream and its
// siblings), as ssb-server takes it. Bounds are receive times, claimed times
// or sequences, by stream.
type query struct {
	GT, GTE, LT, LTE *float64
	Reverse          bool
	Limit            int64 // -1 = no limit
	Live             bool
	Old              bool
	Sync             bool // live streams send {"sync":true} when the old part is done
	Keys             bool
	Values           bool
	Private          bool
	ID               string
	Seq, Sequence    *float64
	Type             string
}

// wireQuery is the JSON of a query: pointers tell "not given" from false.
type wireQuery struct {
	GT       *float64 `json:"gt"`
	GTE      *float64 `json:"gte"`
	LT       *float64 `json:"lt"`
	LTE      *float64 `json:"lte"`
	Reverse  bool     `json:"reverse"`
	Limit    *float64 `json:"limit"`
	Live     bool     `json:"live"`
	Old      *bool    `json:"old"`
	Sync     *bool    `json:"sync"`
	Keys     *bool    `json:"keys"`
	Values   *bool    `json:"values"`
	Private  bool     `json:"private"`
	ID       string   `json:"id"`
	Seq      *float64 `json:"seq"`
	Sequence *float64 `json:"sequence"`
	Type     string   `json:"type"`
}

// parseQuery reads a query; no argument is the empty query.
func parseQuery(raw json.RawMessage) (query, error) {
	var w wireQuery
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &w); err != nil {
			return query{}, fmt.Errorf("reading the options: %v", err)
		}
	}
	q := query{
		GT: w.GT, GTE: w.GTE, LT: w.LT, LTE: w.LTE, Reverse: w.Reverse, Live: w.Live, Private: w.Private,
		ID: w.ID, Seq: w.Seq, Sequence: w.Sequence, Type: w.Type,
		Old: unset(w.Old, true), Sync: unset(w.Sync, w.Live), Keys: unset(w.Keys, true), Values: unset(w.Values, true),
		Limit: -1,
	}
	if w.Limit != nil && *w.Limit >= 0 && *w.Limit < math.MaxInt32 {
		q.Limit = int64(*w.Limit)
	}
	return q, nil
}

func unset(b *bool, otherwise bool) bool {
	if b == nil {
		return otherwise
	}
	return *b
}

// bounds returns the closed interval of whole numbers that the query selects,
// within [first, last].
func (q *query) bounds(first, last int64) (int64, int64) {
	if q.GT != nil {
		first = max(first, above(math.Floor(*q.GT)+1))
	}
	if q.GTE != nil {
		first = max(first, above(math.Ceil(*q.GTE)))
	}
	if q.LT != nil {
		last = min(last, above(math.Ceil(*q.LT)-1))
	}
	if q.LTE != nil {
		last = min(last, above(math.Floor(*q.LTE)))
	}
	return first, last
}

// above converts f to an int64, at the ends of its range for what does not
// fit.
func above(f float64) int64 {
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

// selects reports whether the bounds of the query admit the number.
func (q *query) selects(n float64) bool {
	return (q.GT == nil || n > *q.GT) && (q.GTE == nil || n >= *q.GTE) &&
		(q.LT == nil || n < *q.LT) && (q.LTE == nil || n <= *q.LTE)
}
