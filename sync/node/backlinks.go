package node

import (
	"context"
	"encoding/json"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/views"
)

// linkIndexes are the indexes of npm ssb-backlinks.
var linkIndexes = []queryIndex{
	{"DTS", []string{"dest", "timestamp"}},
	{"DTA", []string{"dest", "rts"}},
	{"TDT", []string{"value.content.type", "dest", "rts"}},
}

// backlinksRead sends the messages that link to something, through a
// map-filter-reduce query, as npm ssb-backlinks does: backlinks.read({query:
// [{$filter: {dest, …}}, …], index, limit, reverse, live, old, sync}). Of a
// message there is one item for each of its links that passes.
func (n *Node) backlinksRead(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	if string(argument(c, 0)) == "null" {
		return usage("backlinks.read takes {query}")
	}
	o, err := parseView(argument(c, 0))
	if err != nil {
		return err
	}
	return n.readBacklinks(ctx, st, &o)
}

func (n *Node) readBacklinks(ctx context.Context, st *muxrpc.Stream, o *viewOptions) (err error) {
	v := &viewStream{n: n, s: newSender(st, &o.query), options: o}
	if v.index, err = linkIndexOf(o); err != nil {
		return err
	}
	v.items = v.linkItems
	v.walk = v.walkLinks
	v.unmarked = v.index == nil
	return ended(v.run(ctx))
}

// linkIndexOf chooses the index.
func linkIndexOf(o *viewOptions) (*queryIndex, error) {
	if o.index != "" {
		for i := range linkIndexes {
			if linkIndexes[i].name == o.index {
				return &linkIndexes[i], nil
			}
		}
		return nil, usage("Invalid index: %s", o.index)
	}
	if sort := o.stages.Sort(); sort != nil {
		index := indexByPaths(linkIndexes, sort)
		if index == nil {
			return nil, usage("could not sort by:%s", sort)
		}
		return index, nil
	}
	return chooseIndex(linkIndexes, o.filter, 3, 1), nil
}

// linkItems calls yield with an item for each link of a message that may pass.
func (v *viewStream) linkItems(rec *store.Record, yield func([]byte) error) (err error) {
	content := contentOf(rec)
	if len(content) == 0 || content[0] != '{' {
		return nil
	}
	wanted := v.only
	if wanted == nil {
		wanted = exactText(fieldRule(v.options.filter, "dest"))
	}
	views.EachLink(content, func(dest []byte) {
		if err != nil || wanted != nil && string(dest) != string(wanted) {
			return
		}
		item := appendKVT(nil, *rec)
		item = appendMember(append(item[:len(item)-1], ','), "dest", string(dest))
		if v.index == nil || v.index.name != "DTS" {
			item = append(item, `"rts":`...)
			item = append(ecmajson.AppendNumber(item, resolvedTime(rec)), ',')
		}
		item[len(item)-1] = '}'
		err = yield(item)
	})
	return err
}

// walkLinks walks an index of npm ssb-backlinks.
func (v *viewStream) walkLinks(ctx context.Context, last uint64, yield func(uint64) error) error {
	filter := v.options.filter
	dest := exactText(fieldRule(filter, "dest"))
	typ := exactText(fieldRule(filter, "value.content.type"))
	from, to := rangeOf(fieldRule(filter, "rts"))
	low, high := rangeOf(fieldRule(filter, "timestamp"))
	switch {
	case v.index == nil:
		return v.walkLog(ctx, low, high, last, yield)
	case dest == nil:
		return v.walkAll(ctx, last, yield)
	case v.index.name == "DTS":
		return v.walkTerm(ctx, views.Link(dest, typ), low, high, last, yield)
	}
	return v.walkSorted(views.Link(dest, typ), from, to, last, yield)
}

// aboutQuery is the query of the about messages about something.
func aboutQuery(dest string, more json.RawMessage) (o viewOptions, err error) {
	if o, err = parseView(more); err != nil {
		return o, err
	}
	filter, err := json.Marshal(map[string]any{"dest": dest, "value": map[string]any{"content": map[string]any{"type": "about", "about": dest}}})
	if err == nil {
		err = o.parseStages(filter)
	}
	return o, err
}
