package mapfilter

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
)

// errObjects is what npm typewiselite says.
var errObjects = fmt.Errorf("comparing objects or functions is not supported")

// reduction is the rule of a $reduce. It is a tree, in which a leaf is a
// function over all items, or a getter of what they are grouped by.
type reduction struct {
	members rules[*reduction] // of an object
	group   getter
	folder  func(state, item Value) Value
	collect bool
	get     getter // what folder gets of an item
}

// folds are the functions over all items.
var folds = map[string]func(a, b Value) Value{
	"$count":   func(a, _ Value) Value { return fromNumber(number0(a) + 1) },
	"$sum":     func(a, b Value) Value { return fromNumber(number0(a) + number0(b)) },
	"$product": func(a, b Value) Value { return fromNumber(number1(a) * number1(b)) },
	"$max":     extreme(math.Max),
	"$min":     extreme(math.Min),
	"$collect": nil, // see reducing.fold
}

// number0 is JavaScript's (+v || 0).
func number0(v Value) float64 {
	if f := toNumber(v); !math.IsNaN(f) && len(v) > 0 {
		return f
	}
	return 0
}

// number1 is JavaScript's (v || 1), as a number.
func number1(v Value) float64 {
	if !truthy(v) {
		return 1
	}
	return toNumber(v)
}

func extreme(of func(x, y float64) float64) func(a, b Value) Value {
	return func(a, b Value) Value {
		switch {
		case len(a) == 0:
			return b
		case len(b) == 0:
			return nan
		}
		return fromNumber(of(toNumber(a), toNumber(b)))
	}
}

// nan stands for what is not a number while a reduction goes on. In the answer
// it is null.
var nan = Value("NaN")

// makeReduce understands the rule of a $reduce.
func makeReduce(rule Value) (*reduction, error) {
	r, err := makeReduction(rule)
	if err == nil && r.group != nil {
		err = errUnknown(rule)
	}
	return r, err
}

func makeReduction(rule Value) (r *reduction, err error) {
	r = new(reduction)
	switch {
	case kindOf(rule) != object:
		r.group, err = makeGetter(rule)
	case !isFunction(rule):
		r.members, err = makeRules(rule, makeReduction)
		if r.members == nil {
			r.members = rules[*reduction]{} // of which nothing comes
		}
	default:
		err = r.makeFold(rule)
	}
	return r, err
}

// makeFold understands a function over all items, or a getter that is spelt as
// a function.
func (r *reduction) makeFold(rule Value) (err error) {
	_ = ecmajson.EachMember(rule, func(key, argument []byte) bool { // canonical: no error
		fold, ok := folds[decode(key)]
		if ok {
			r.folder, r.collect = fold, fold == nil
			r.get, err = makeGetter(argument)
		}
		return !ok
	})
	if r.get == nil && err == nil {
		r.group, err = makeFunction(rule)
	}
	return err
}

// groups appends the getters of what items are grouped by.
func (r *reduction) groups(all []getter) []getter {
	if r.group != nil {
		return append(all, r.group)
	}
	for _, m := range r.members {
		all = m.rule.groups(all)
	}
	return all
}

// state is what a reduction knows of a group of items.
type state struct {
	value   Value
	list    []Value // of $collect
	members []state
}

// reducing is a $reduce under way.
type reducing struct {
	*reduction
	next   sink
	by     []getter
	states map[string]*group
	kept   int // bytes
}

type group struct {
	state
	by []Value
}

// groupCost is what a group takes beside its values, in bytes.
const groupCost = 256

func (r *reducing) item(v Value) error {
	if r.states == nil {
		r.states = map[string]*group{}
		r.by = r.groups(nil)
	}
	by := make([]Value, len(r.by))
	var key strings.Builder
	for i, get := range r.by {
		if by[i] = get(v); hasObject(by[i]) {
			return errObjects
		}
		key.Write(by[i])
		key.WriteByte(0)
	}
	g := r.states[key.String()]
	if g == nil {
		g = &group{by: by}
		if r.reduction.members == nil {
			g.value = Value("null") // with what a reduction of everything begins
		}
		r.kept += key.Len() + groupCost
		r.states[key.String()] = g
	}
	r.fold(r.reduction, &g.state, v)
	if r.kept > MaxKept {
		return ErrTooMuch
	}
	return nil
}

// fold adds an item to a state.
func (r *reducing) fold(rule *reduction, s *state, v Value) {
	switch {
	case rule.group != nil:
		s.value = rule.group(v)
	case rule.collect:
		item := rule.get(v)
		r.kept += len(item) + 32
		s.list = append(s.list, item)
	case rule.members == nil:
		s.value = rule.folder(s.value, rule.get(v))
	default:
		if s.members == nil {
			s.members = make([]state, len(rule.members))
			r.kept += 96 * len(rule.members)
		}
		for i, m := range rule.members {
			r.fold(m.rule, &s.members[i], v)
		}
	}
}

// end hands on what was reduced: the groups in order, the elements of what was
// collected, or the members of an object without groups, each by itself.
func (r *reducing) end() error {
	all := make([]*group, 0, len(r.states))
	for _, g := range r.states {
		all = append(all, g)
	}
	sort.Slice(all, func(i, j int) bool { return slices.CompareFunc(all[i].by, all[j].by, order) < 0 })
	for _, g := range all {
		if err := r.emit(g); err != nil {
			return err
		}
	}
	return r.next.end()
}

func (r *reducing) emit(g *group) error {
	items := []Value{r.render(r.reduction, &g.state)}
	switch {
	case r.collect:
		items = g.list
	case r.reduction.members == nil && nothing(g.value):
		return nil
	case r.reduction.members != nil && len(r.by) == 0:
		items = items[:0]
		for i, m := range r.reduction.members {
			items = append(items, r.render(m.rule, &g.members[i]))
		}
	}
	for _, item := range items {
		if len(item) == 0 {
			continue
		}
		if err := r.next.item(item); err != nil {
			return err
		}
	}
	return nil
}

// render returns the value of a state.
func (r *reducing) render(rule *reduction, s *state) Value {
	switch {
	case rule.collect:
		made := []byte{'['}
		for i, item := range s.list {
			if i > 0 {
				made = append(made, ',')
			}
			if len(item) == 0 {
				item = Value("null") // as in JavaScript, in an array
			}
			made = append(made, item...)
		}
		return append(made, ']')
	case rule.members == nil && bytes.Equal(s.value, nan):
		return Value("null")
	case rule.members == nil:
		return s.value
	}
	made := []byte{'{'}
	for i, m := range rule.members {
		made = appendMember(made, m.key, r.render(m.rule, &s.members[i]))
	}
	return append(made, '}')
}

// sortPath is a path by which items are sorted.
type sortPath struct {
	get     getter
	reverse bool
}

// makeSort understands a list of paths. As in npm compare-at-paths {"$reverse":
// path} turns the order around, for the paths that follow as well.
func makeSort(rule Value) (paths []sortPath, err error) {
	if kindOf(rule) != array {
		return nil, fmt.Errorf("$sort takes a list of paths, not %.200s", rule)
	}
	reverse := false
	for _, path := range elements(rule) {
		if kindOf(path) == object && truthy(ecmajson.Get(path, "$reverse")) {
			path, reverse = ecmajson.Get(path, "$reverse"), true
		}
		get, err := makeGetter(path)
		if err != nil {
			return nil, err
		}
		paths = append(paths, sortPath{get, reverse})
	}
	return paths, nil
}

// sorting is a $sort under way.
type sorting struct {
	paths []sortPath
	next  sink
	items []sortItem
	kept  int
}

type sortItem struct {
	value Value
	by    []Value
}

func (s *sorting) item(v Value) error {
	by := make([]Value, len(s.paths))
	s.kept += len(v) + groupCost
	for i, path := range s.paths {
		if by[i] = path.get(v); hasObject(by[i]) {
			return errObjects
		}
	}
	if s.kept > MaxKept {
		return ErrTooMuch
	}
	s.items = append(s.items, sortItem{v, by})
	return nil
}

func (s *sorting) end() error {
	slices.SortStableFunc(s.items, func(a, b sortItem) int {
		for i, path := range s.paths {
			if c := order(a.by[i], b.by[i]); c != 0 {
				if path.reverse {
					c = -c
				}
				return cmp.Compare(c, 0)
			}
		}
		return 0
	})
	for _, item := range s.items {
		if err := s.next.item(item.value); err != nil {
			return err
		}
	}
	return s.next.end()
}
