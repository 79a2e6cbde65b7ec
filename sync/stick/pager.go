package stick

import (
	"fmt"

	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/vector"
)

// pager reads spans of feeds from the store page by page.
type pager struct {
	store *store.Store
	page  []store.Record
}

// record returns the first message of a span; the rest of the span is what
// will probably be asked for next.
func (p *pager) record(s vector.Span) (store.Record, error) {
	if len(p.page) == 0 || p.page[0].Feed != s.Feed || p.page[0].Seq != s.First {
		page, err := p.store.FeedPage(s.Feed, s.First, s.Last, 0, false)
		if err != nil {
			return store.Record{}, err
		}
		if len(page) == 0 || page[0].Seq != s.First {
			return store.Record{}, fmt.Errorf("message %d of feed %s is gone from the store", s.First, s.Feed)
		}
		p.page = page
	}
	rec := p.page[0]
	p.page = p.page[1:]
	return rec, nil
}
