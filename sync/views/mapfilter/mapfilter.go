// Package mapfilter runs the queries of npm map-filter-reduce over messages: a
// list of stages, each of which filters, maps, reduces or sorts what the one
// before it lets through.
//
//	[{"$filter": {"value": {"content": {"type": "post"}}}},
//	 {"$map": {"author": ["value", "author"]}},
//	 {"$reduce": {"author": "author", "posts": {"$count": true}}},
//	 {"$sort": [["posts"]]}]
//
// Rules and values mean what they mean in JavaScript: a value is compact JSON
// text, and no text at all is undefined. What a rule reads is looked up in the
// text; nothing is decoded that no rule asks for. Queries come from programs of
// the own user, but are bounded nevertheless, in length and depth and in what
// they keep.
package mapfilter

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
)

// Bounds of a query.
const (
	MaxLength = 64 << 10 // of its text, in bytes
	MaxDepth  = 32       // of rules in rules
	MaxKept   = 32 << 20 // of what $reduce and $sort keep, in bytes
)

// ErrTooMuch is what a query gives that keeps more than MaxKept.
var ErrTooMuch = errors.New("the query collects more than 32 MiB: filter more, or $map to what is needed first")

// Value is a JavaScript value as compact JSON; empty is undefined.
type Value []byte

// Query is a query that was understood. It may be used by many goroutines.
type Query struct {
	filter Value // the rule of the first stage, if it is a $filter
	sort   Value // the rule of the last stage, if it is a $sort
	stages []stage
	waits  bool // a stage waits for the end
}

// stage makes the part of a run that hands what it lets through to next.
type stage func(next sink) sink

// sink takes items, and at last their end.
type sink interface {
	item(Value) error
	end() error
}

// Parse reads a query: a list of stages. Stages that are null, false or 0 do
// not count.
func Parse(text []byte) (*Query, error) {
	if len(text) > MaxLength {
		return nil, fmt.Errorf("the query has %d bytes, more than %d", len(text), MaxLength)
	}
	if !json.Valid(text) { // bounds the depth
		return nil, errors.New("the query is not JSON")
	}
	text, err := ecmajson.Compact(text)
	if err != nil {
		return nil, fmt.Errorf("reading the query: %v", err)
	}
	if kindOf(text) != array {
		return nil, errors.New("the query is no list of stages")
	}
	if depthOf(text) > MaxDepth {
		return nil, fmt.Errorf("the query is more than %d levels deep", MaxDepth)
	}
	q := new(Query)
	for i, rule := range elements(text) {
		if !truthy(rule) {
			continue
		}
		name, argument := firstMember(rule)
		made, err := makeStage(name, argument)
		if err != nil {
			return nil, fmt.Errorf("stage %d of the query: %w", i+1, err)
		}
		if i == 0 && name == "$filter" {
			q.filter = argument
		}
		if q.sort = nil; name == "$sort" {
			q.sort = argument
		}
		q.waits = q.waits || name == "$reduce" || name == "$sort"
		q.stages = append(q.stages, made)
	}
	return q, nil
}

// Filter returns the rule of the first stage if it is a $filter, else nothing.
func (q *Query) Filter() Value { return q.filter }

// Sort returns the rule of the last stage if it is a $sort, else nothing.
func (q *Query) Sort() Value { return q.sort }

// Waits reports whether nothing comes out before the end.
func (q *Query) Waits() bool { return q.waits }

// Run is a query under way. It belongs to one goroutine.
type Run struct{ first sink }

// Start begins to run the query; what it answers goes to yield, whose error
// ends it.
func (q *Query) Start(yield func(Value) error) *Run {
	var first sink = output(yield)
	for i := len(q.stages) - 1; i >= 0; i-- {
		first = q.stages[i](first)
	}
	return &Run{first}
}

// Item puts in an item, which must be compact JSON and must not change
// afterwards.
func (r *Run) Item(v Value) error { return r.first.item(v) }

// End says that there are no more items: what is reduced and sorted comes out.
func (r *Run) End() error { return r.first.end() }

type output func(Value) error

func (o output) item(v Value) error { return o(v) }
func (o output) end() error         { return nil }

// makeStage understands one stage.
func makeStage(name string, rule Value) (stage, error) {
	switch name {
	case "$filter":
		test, err := makeFilter(rule)
		return func(next sink) sink { return &filtering{test, next} }, err
	case "$map":
		get, err := makeMap(rule)
		return func(next sink) sink { return &mapping{get, next} }, err
	case "$reduce":
		r, err := makeReduce(rule)
		return func(next sink) sink { return &reducing{reduction: r, next: next} }, err
	case "$sort":
		paths, err := makeSort(rule)
		return func(next sink) sink { return &sorting{paths: paths, next: next} }, err
	}
	return nil, fmt.Errorf("unknown function:%.40s", name)
}

type filtering struct {
	test predicate
	next sink
}

func (f *filtering) item(v Value) error {
	if f.test(v) {
		return f.next.item(v)
	}
	return nil
}

func (f *filtering) end() error { return f.next.end() }

type mapping struct {
	get  getter
	next sink
}

func (m *mapping) item(v Value) error {
	if v = m.get(v); truthy(v) {
		return m.next.item(v)
	}
	return nil
}

func (m *mapping) end() error { return m.next.end() }
