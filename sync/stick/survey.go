package stick

import (
	"cmp"
	"context"
	"slices"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store/durable"
	"github.com/ssbsync/ssbsync/sync/vector"
)

// Survey says what lies on a medium and who left it there, as far as our
// store can tell without taking anything in.
type Survey struct {
	Stick ID     `json:"stick"`
	Label string `json:"label,omitempty"`

	// What the bundles hold that can be read, each message counted once.
	Messages int64 `json:"messages"`
	Feeds    int64 `json:"feeds"`
	Bundles  int64 `json:"bundles"`
	Bytes    int64 `json:"bytes"` // of their files

	Free  int64 `json:"free"`  // bytes of the file system that can be written
	Total int64 `json:"total"` // bytes of the file system

	Visitors []Visitor `json:"visitors"` // the last one first
	Skipped  []Skip    `json:"skipped,omitempty"`
	Losses   []Loss    `json:"damaged,omitempty"`
	Warnings []string  `json:"warnings,omitempty"` // for the user to look at
}

// Visitor is a store that left word on a medium, as it was then.
type Visitor struct {
	Identity refs.Feed `json:"id"`
	Store    ID        `json:"store"`
	Own      bool      `json:"own,omitempty"` // our own store
	Trusted  bool      `json:"trusted"`       // its node is ours, within our hops or on our list
	Visit    uint64    `json:"visit"`         // grows with every visit of anybody that left word
	Messages int64     `json:"messages"`      // that it held
	Feeds    int       `json:"feeds"`         // of which it held something
	WantsAll bool      `json:"wantsAll,omitempty"`
	Wants    int       `json:"wants"`   // feeds that it asked for
	Lacking  int64     `json:"lacking"` // messages that it asked for, lacked, and could take from here now
	Damaged  int       `json:"damaged,omitempty"`
}

// Survey looks at a medium. It writes nothing there.
func (p *Peer) Survey(ctx context.Context, st *Stick) (Survey, error) {
	s := Survey{Stick: st.id, Label: st.label, Visitors: []Visitor{}}
	if st.loose {
		return s, ErrLoose
	}
	end, err := p.begin(ctx)
	if err != nil {
		return s, err
	}
	defer end()
	var rep Report
	sc, err := p.look(ctx, st, &rep, orNothing(nil))
	if err == nil {
		err = p.readHaves(sc, true, &rep)
	}
	if err != nil {
		return s, err
	}
	s.Skipped, s.Losses, s.Warnings = rep.Skipped, rep.Losses, rep.Warnings
	held := s.count(sc, p.Network)
	if sc.mine.newest != nil {
		s.Visitors = append(s.Visitors, p.visitor(sc.mine.newest, held))
	}
	for _, h := range sc.others {
		s.Visitors = append(s.Visitors, p.visitor(h, held))
	}
	slices.SortStableFunc(s.Visitors, func(a, b Visitor) int { return cmp.Compare(b.Visit, a.Visit) })
	free, total, err := durable.FreeSpace(st.root.Name())
	s.Free, s.Total = int64(min(free, 1<<62)), int64(min(total, 1<<62))
	return s, err
}

// count adds up the bundles, and returns what they hold together.
func (s *Survey) count(sc *scene, network [32]byte) *vector.Ranges {
	var spans []vector.Span
	for _, src := range sc.sources {
		s.Bytes += src.size
		if !src.usable(network) {
			continue
		}
		s.Bundles++
		for i := range src.frames {
			if src.lost(manifestFrame(i)) {
				continue
			}
			for k := range src.frames[i].runs {
				r := &src.frames[i].runs[k]
				spans = append(spans, vector.Span{Feed: r.Feed, First: r.First, Last: r.end()})
			}
		}
	}
	held := vector.FromSpans(spans)
	s.Messages, s.Feeds = held.Count(), int64(held.Len())
	return held
}

// visitor sums up a have; held is what lies on the medium.
func (p *Peer) visitor(h *Have, held *vector.Ranges) Visitor {
	v := Visitor{
		Identity: h.Identity, Store: h.Store, Own: h.Store == ID(p.Store.ID()) && h.Identity == p.Keys.Feed(), Trusted: p.trusts(h.Identity),
		Visit: h.Visit, Feeds: len(h.Holdings), WantsAll: h.WantAll, Wants: len(h.Feeds), Damaged: len(h.Damaged),
	}
	for _, x := range h.Holdings {
		v.Messages += x.Seq
		if x.Wanted {
			v.Wants++
		}
	}
	for span := range held.All() {
		if h.Wants(span.Feed) {
			v.Lacking += max(0, span.Last-max(span.First-1, h.Holds(span.Feed)))
		}
	}
	return v
}
