package node

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"math"
	"slices"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/views"
	"github.com/ssbsync/ssbsync/sync/views/mapfilter"
)

// errEnough ends a query whose limit is reached.
var errEnough = errors.New("the limit is reached")

// viewStream is a read stream of messages through a query.
type viewStream struct {
	n       *Node
	s       *sender
	options *viewOptions
	index   *queryIndex // by which the old ones come; nil is none

	// walk calls yield with the receive numbers of all messages up to last that
	// may pass the filter, in the order of the index.
	walk func(ctx context.Context, last uint64, yield func(rx uint64) error) error

	// items calls yield with what the query gets for a message.
	items func(rec *store.Record, yield func(item []byte) error) error

	unmarked bool   // no mark between old and new
	only     []byte // the link of which there is an item; nil is all of them
}

// queryRead sends messages through a map-filter-reduce query, as npm ssb-query
// does: query.read({query, limit, reverse, live, old, sync}). The first $filter
// chooses the index, and with it the order of the answer.
func (n *Node) queryRead(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	o, err := parseView(argument(c, 0))
	if err != nil {
		return err
	}
	v := &viewStream{n: n, s: newSender(st, &o.query), options: &o, index: queryIndexOf(&o)}
	v.unmarked = v.index == nil
	v.items = func(rec *store.Record, yield func([]byte) error) error {
		item := appendKVT(nil, *rec)
		if v.index != nil {
			item = append(item[:len(item)-1], `,"rts":`...)
			item = append(ecmajson.AppendNumber(item, resolvedTime(rec)), '}')
		}
		return yield(item)
	}
	v.walk = v.walkQuery
	return ended(v.run(ctx))
}

// queryIndexOf chooses the index of a query.
func queryIndexOf(o *viewOptions) *queryIndex {
	if sort := o.stages.Sort(); sort != nil {
		return indexByPaths(queryIndexes, sort)
	}
	return chooseIndex(queryIndexes, o.filter, 2, 0)
}

// queryExplain answers which index a query uses: query.explain({query, …}).
func (n *Node) queryExplain(_ context.Context, c *muxrpc.Call) (any, error) {
	o, err := parseView(argument(c, 0))
	if err != nil {
		return nil, err
	}
	answer := struct {
		Index   string `json:"index,omitempty"`
		Scan    bool   `json:"scan,omitempty"`
		Reverse bool   `json:"reverse"`
		Live    bool   `json:"live"`
		Old     bool   `json:"old"`
		Sync    bool   `json:"sync"`
	}{"", true, o.Reverse, o.Live, o.Old, o.Sync}
	if index := queryIndexOf(&o); index != nil {
		answer.Index, answer.Scan = index.name, false
	}
	return answer, nil
}

// run sends the old ones, the mark, and the new ones.
func (v *viewStream) run(ctx context.Context) error {
	last, err := v.n.catchUpViews(ctx)
	if err != nil {
		return err
	}
	err = v.old(ctx, last)
	if err == nil && v.options.Live && v.options.Old && !v.unmarked && v.options.Sync {
		err = v.send(ctx)(mapfilter.Value(`{"sync":true}`))
	}
	if err == nil && v.options.Live {
		err = v.live(ctx, last)
	}
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// send returns what sends an item.
func (v *viewStream) send(ctx context.Context) func(mapfilter.Value) error {
	return func(item mapfilter.Value) error {
		if err := v.s.raw(ctx, item); err != nil {
			return err
		}
		if v.s.done() {
			return errEnough
		}
		return nil
	}
}

func (v *viewStream) old(ctx context.Context, last uint64) error {
	if !v.options.Old {
		return nil
	}
	run := v.options.stages.Start(v.send(ctx))
	err := v.walk(ctx, last, func(rx uint64) error {
		rec, err := v.n.record(rx)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || rec == nil {
			return err
		}
		return v.items(rec, func(item []byte) error { return run.Item(item) })
	})
	if err == nil {
		err = run.End()
	}
	return err
}

// live sends what arrives. Of a query that waits for the end nothing comes.
func (v *viewStream) live(ctx context.Context, after uint64) error {
	run := v.options.stages.Start(v.send(ctx))
	for {
		if err := v.n.store.Wait(ctx, after); err != nil {
			return err
		}
		page, err := v.n.store.LogPage(after, 0, 0, false)
		if err != nil {
			return err
		}
		for i := range page {
			after = page[i].Rx
			if v.options.stages.Waits() {
				continue
			}
			rec := v.n.private.reveal(page[i])
			if err := v.items(&rec, func(item []byte) error { return run.Item(item) }); err != nil {
				return err
			}
		}
	}
}

// walkQuery walks an index of npm ssb-query.
func (v *viewStream) walkQuery(ctx context.Context, last uint64, yield func(uint64) error) error {
	filter := v.options.filter
	low, high := rangeOf(fieldRule(filter, "timestamp"))
	typ := exactText(fieldRule(filter, "value.content.type"))
	author, authorErr := refs.ParseFeed(string(exactText(fieldRule(filter, "value.author"))))
	claimedLow, claimedHigh := rangeOf(fieldRule(filter, "value.timestamp"))
	name := ""
	if v.index != nil {
		name = v.index.name
	}
	switch {
	case name == "clk" && authorErr == nil:
		return v.walkFeed(ctx, author, last, yield)
	case name == "typ" && typ != nil:
		return v.walkTerm(ctx, views.Type(typ), low, high, last, yield)
	case name == "aty" && typ != nil && authorErr == nil:
		return v.walkTerm(ctx, views.ByAuthor(author, typ), low, high, last, yield)
	case name == "tya" && typ != nil:
		return v.walkSorted(views.Type(typ), claimedLow, claimedHigh, last, yield)
	case name == "ata" && typ != nil && authorErr == nil:
		return v.walkSorted(views.ByAuthor(author, typ), claimedLow, claimedHigh, last, yield)
	case name == "lor":
		return v.walkResolved(ctx, last, yield)
	}
	if text := exactText(fieldRule(filter, "value.content.root")); name == "art" && text != nil {
		return v.walkSorted(views.Root(text), claimedLow, claimedHigh, last, yield)
	}
	if text := exactText(fieldRule(filter, "value.content.channel")); name == "cha" && text != nil {
		return v.walkTerm(ctx, views.Channel(text), low, high, last, yield)
	}
	if name == "" || name == "log" {
		return v.walkLog(ctx, low, high, last, yield)
	}
	return v.walkAll(ctx, last, yield)
}

// received turns times of arrival into receive numbers, both excluded.
func (v *viewStream) received(low, high float64, last uint64) (after, before uint64, err error) {
	before = last + 1
	if !math.IsInf(low, -1) {
		after, err = v.n.store.After(low)
	}
	if !math.IsInf(high, 1) && err == nil {
		var end uint64
		end, err = v.n.store.After(math.Nextafter(high, math.Inf(1)))
		before = min(before, end+1)
	}
	return after, before, err
}

// walkLog walks the log between two times of arrival.
func (v *viewStream) walkLog(ctx context.Context, low, high float64, last uint64, yield func(uint64) error) error {
	after, before, err := v.received(low, high, last)
	if err != nil {
		return err
	}
	for n := uint64(1); after+n < before; n++ {
		rx := after + n
		if v.options.Reverse {
			rx = before - n
		}
		if err := yield(rx); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// walkFeed walks a feed between two sequences.
func (v *viewStream) walkFeed(ctx context.Context, feed refs.Feed, last uint64, yield func(uint64) error) error {
	low, high := rangeOf(fieldRule(v.options.filter, "value.sequence"))
	first, final := max(whole(math.Floor(low)), 1), min(whole(math.Ceil(high)), math.MaxInt32)
	for first <= final && ctx.Err() == nil {
		page, err := v.n.store.FeedPage(feed, first, final, 0, v.options.Reverse)
		if err != nil || len(page) == 0 {
			return err
		}
		for i := range page {
			if page[i].Rx > last {
				continue
			}
			if err := yield(page[i].Rx); err != nil {
				return err
			}
		}
		if end := page[len(page)-1].Seq; v.options.Reverse {
			final = end - 1
		} else {
			first = end + 1
		}
	}
	return ctx.Err()
}

// walkPage is how many messages are looked up at once.
const walkPage = 256

// walkTerm walks the messages that have a term in the order of their arrival.
func (v *viewStream) walkTerm(ctx context.Context, term views.Term, low, high float64, last uint64, yield func(uint64) error) error {
	after, before, err := v.received(low, high, last)
	for err == nil {
		var page []views.Hit
		page, err = v.n.views.Page(term, after, before, walkPage, v.options.Reverse)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, h := range page {
			if err := yield(h.Rx); err != nil {
				return err
			}
		}
		if end := page[len(page)-1].Rx; v.options.Reverse {
			before = end
		} else {
			after = end
		}
	}
	return errors.Join(err, ctx.Err())
}

// walkSorted walks the messages that have a term by the time of the term.
func (v *viewStream) walkSorted(term views.Term, low, high float64, last uint64, yield func(uint64) error) error {
	hits, err := v.n.views.Sorted(term, low, high, last)
	if v.options.Reverse {
		slices.Reverse(hits)
	}
	for _, h := range hits {
		if err := yield(h.Rx); err != nil {
			return err
		}
	}
	return err
}

// walkResolved walks all messages by resolved time, and those of one time in the
// order of their arrival: npm ssb-query has no author there.
func (v *viewStream) walkResolved(ctx context.Context, last uint64, yield func(uint64) error) error {
	if err := v.n.catchUp(ctx, v.n.claimed); err != nil {
		return err
	}
	from, to := rangeOf(fieldRule(v.options.filter, "rts"))
	low, high := timeKey(from), timeKey(math.Nextafter(to, math.Inf(1)))
	if math.IsInf(to, 1) {
		high = nil
	}
	var same sameTime
	for {
		rows, err := v.n.indexPage(v.n.claimed, low, high, v.options.Reverse)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return same.yield(v.options.Reverse, yield)
		}
		for _, row := range rows {
			if !bytes.Equal(row.Key[:timeLen], same.at) {
				if err := same.yield(v.options.Reverse, yield); err != nil {
					return err
				}
				same.at = row.Key[:timeLen:timeLen]
			}
			if rx := keyRx(row.Key); rx <= last {
				same.rx = append(same.rx, rx)
			}
		}
		if edge := rows[len(rows)-1].Key; v.options.Reverse {
			high = edge
		} else {
			low = append(edge, 0)
		}
	}
}

// sameTime are messages of one resolved time.
type sameTime struct {
	at []byte
	rx []uint64
}

// yield hands them on in the order of their arrival, or the reverse of it, and
// forgets them.
func (s *sameTime) yield(reverse bool, yield func(uint64) error) error {
	slices.Sort(s.rx)
	if reverse {
		slices.Reverse(s.rx)
	}
	for _, rx := range s.rx {
		if err := yield(rx); err != nil {
			return err
		}
	}
	s.rx = s.rx[:0]
	return nil
}

// walkAll looks at all messages and walks those that pass the filter in the
// order of the index, for rules that it has no terms for.
func (v *viewStream) walkAll(ctx context.Context, last uint64, yield func(uint64) error) error {
	filter, err := mapfilter.Parse(append(append([]byte(`[{"$filter":`), v.options.filter...), `}]`...))
	if len(v.options.filter) == 0 {
		filter, err = mapfilter.Parse([]byte("[]"))
	}
	if err != nil {
		return err
	}
	var all []keyed
	kept := 0
	err = v.walkLog(ctx, math.Inf(-1), math.Inf(1), last, func(rx uint64) error {
		rec, err := v.n.record(rx)
		if err != nil || rec == nil {
			return err
		}
		run := filter.Start(func(item mapfilter.Value) error {
			k := keyed{rx: rx}
			for _, field := range v.index.fields {
				value := bytes.Clone(fieldRule(item, field))
				k.by = append(k.by, value)
				kept += len(value) + 64
			}
			if all = append(all, k); kept > mapfilter.MaxKept {
				return mapfilter.ErrTooMuch
			}
			return nil
		})
		return v.items(rec, func(item []byte) error { return errors.Join(ctx.Err(), run.Item(item)) })
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(all, func(a, b keyed) int {
		c := slices.CompareFunc(a.by, b.by, mapfilter.Compare)
		if c = cmp.Or(c, cmp.Compare(a.rx, b.rx)); v.options.Reverse {
			return -c
		}
		return c
	})
	defer func() { v.only = nil }()
	place := slices.Index(v.index.fields, "dest")
	for _, k := range all {
		if place >= 0 {
			v.only = exactText(k.by[place])
		}
		if err := yield(k.rx); err != nil {
			return err
		}
	}
	return nil
}

// keyed is a message and the fields it is sorted by.
type keyed struct {
	by []mapfilter.Value
	rx uint64
}
