package node

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/sync/views/mapfilter"
)

// queryIndexes are the indexes of npm ssb-query, by which it chooses the order
// of its answer: the paths of the fields that each is sorted by.
var queryIndexes = []queryIndex{
	{"log", []string{"timestamp"}},
	{"clk", []string{"value.author", "value.sequence"}},
	{"typ", []string{"value.content.type", "timestamp"}},
	{"tya", []string{"value.content.type", "value.timestamp"}},
	{"cha", []string{"value.content.channel", "timestamp"}},
	{"aty", []string{"value.author", "value.content.type", "timestamp"}},
	{"ata", []string{"value.author", "value.content.type", "value.timestamp"}},
	{"art", []string{"value.content.root", "value.timestamp"}},
	{"lor", []string{"rts"}},
}

type queryIndex struct {
	name   string
	fields []string
}

// paths returns the fields as a $sort spells them.
func (x *queryIndex) paths() string {
	var all [][]string
	for _, field := range x.fields {
		all = append(all, strings.Split(field, "."))
	}
	text, _ := json.Marshal(all) // names can be
	return string(text)
}

// chooseIndex returns the index that serves a filter best: an exact value of a
// field counts for exact, a range less, from the left; each step on the way
// squares. Of equals the first is taken; nil is none.
func chooseIndex(indexes []queryIndex, filter []byte, exact, other int) (best *queryIndex) {
	highest := 0
	for i := range indexes {
		score := 0
		for _, field := range indexes[i].fields {
			points := 0
			switch rule := fieldRule(filter, field); {
			case rule == nil:
			case isExact(rule):
				points = exact
			case isRange(rule):
				points = exact - 1
			case rule[0] == '{':
				points = other
			}
			if points == 0 {
				break
			}
			score = score*score + points
		}
		if score > highest {
			highest, best = score, &indexes[i]
		}
	}
	return best
}

// indexByPaths returns the index whose fields a $sort names, or nil.
func indexByPaths(indexes []queryIndex, sort []byte) *queryIndex {
	for i := range indexes {
		if indexes[i].paths() == string(sort) {
			return &indexes[i]
		}
	}
	return nil
}

// fieldRule returns the rule of a filter for a field, or nil.
func fieldRule(filter []byte, field string) []byte {
	for name := range strings.SplitSeq(field, ".") {
		if len(filter) == 0 || filter[0] != '{' {
			return nil
		}
		filter = ecmajson.Get(filter, name)
	}
	return filter
}

// isExact reports whether a rule names one value.
func isExact(rule []byte) bool { return len(rule) > 0 && rule[0] != '{' && rule[0] != '[' }

// isRange reports whether a rule is one of order.
func isRange(rule []byte) bool {
	if len(rule) == 0 || rule[0] != '{' {
		return false
	}
	for _, name := range []string{"$lt", "$gt", "$lte", "$gte"} {
		if ecmajson.Get(rule, name) != nil {
			return true
		}
	}
	switch string(ecmajson.Get(rule, "$is")) {
	case `"string"`, `"boolean"`, `"array"`, `"undefined"`, `"null"`:
		return true
	}
	return !falsy(ecmajson.Get(rule, "$prefix"))
}

// exactText returns the text of a rule that names one string, as it is spelt in
// JSON without quotes, or nil.
func exactText(rule []byte) []byte {
	if len(rule) >= 2 && rule[0] == '"' {
		return rule[1 : len(rule)-1]
	}
	return nil
}

// rangeOf returns the numbers among which those are that a rule lets through.
func rangeOf(rule []byte) (low, high float64) {
	low, high = math.Inf(-1), math.Inf(1)
	var exact float64
	if json.Unmarshal(rule, &exact) == nil && len(rule) > 0 && rule[0] != 'n' {
		return exact, exact
	}
	if len(rule) == 0 || rule[0] != '{' {
		return low, high
	}
	var o map[string]json.RawMessage
	_ = json.Unmarshal(rule, &o) // canonical: no error
	for name, value := range o {
		var f float64
		if bytes.HasPrefix(value, []byte("n")) || json.Unmarshal(value, &f) != nil {
			continue // a string may count as a number: the filter decides
		}
		switch name {
		case "$gt", "$gte":
			low = max(low, f)
		case "$lt", "$lte":
			high = min(high, f)
		case "$eq":
			low, high = max(low, f), min(high, f)
		}
	}
	return low, high
}

// viewOptions are the arguments of query.read and backlinks.read.
type viewOptions struct {
	query
	stages *mapfilter.Query
	filter []byte // by which the index is chosen
	index  string
}

// parseView reads the argument of query.read or backlinks.read: options, a
// query, or the JSON text of a query.
func parseView(raw json.RawMessage) (o viewOptions, err error) {
	if falsy(raw) {
		raw = json.RawMessage("{}")
	}
	var text string
	var stages json.RawMessage
	switch {
	case json.Unmarshal(raw, &text) == nil:
		stages, raw = json.RawMessage(text), json.RawMessage("{}")
		if !json.Valid(stages) {
			return o, usage("the query is not JSON")
		}
	case raw[0] == '[': // ssb-query sends everything then, which nobody means
		stages, raw = raw, json.RawMessage("{}")
	case raw[0] != '{':
		raw = json.RawMessage("{}") // as in JavaScript, what is no object has no options
	}
	var w struct {
		Query json.RawMessage `json:"query"`
		Index string          `json:"index"`
		Live  setting         `json:"live"`
		Old   setting         `json:"old"`
	}
	if err := json.Unmarshal(raw, &w); err != nil {
		return o, usage("reading the options: %v", muxrpc.ArgumentError(err))
	}
	if stages == nil {
		if stages = w.Query; json.Unmarshal(stages, &text) == nil && len(stages) > 2 {
			stages = json.RawMessage(text)
		}
	}
	if o.query, err = parseQuery(raw); err != nil {
		return o, err
	}
	o.index = w.Index
	o.Live = w.Live == settingTrue || w.Old == settingFalse
	o.Old = w.Old != settingFalse
	if o.Limit == 0 {
		o.Limit = -1
	}
	err = o.parseStages(bytes.TrimSpace(stages))
	return o, err
}

// parseStages reads the query itself. An object is a filter, as far as it has
// fields; anything else but a list is no query.
func (o *viewOptions) parseStages(text []byte) (err error) {
	switch {
	case len(text) == 0 || text[0] != '[' && text[0] != '{':
		text = []byte("[]")
	case text[0] == '{':
		if name, _ := ecmajson.Compact(text); len(name) <= 2 || name[2] == '$' {
			text = []byte("[]")
			break
		}
		text = append(append([]byte(`[{"$filter":`), text...), `}]`...)
	}
	if o.stages, err = mapfilter.Parse(text); err != nil {
		return usage("%v", err)
	}
	o.filter = o.stages.Filter()
	return nil
}
