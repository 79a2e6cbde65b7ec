package stick

import (
	"errors"
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
// will probably be asked for next. It is store.ErrDamaged when this very
// message cannot be read.
func (p *pager) record(s vector.Span) (store.Record, error) {
	if len(p.page) == 0 || p.page[0].Feed != s.Feed || p.page[0].Seq != s.First {
		if err := p.read(s); err != nil {
			return store.Record{}, err
		}
	}
	rec := p.page[0]
	p.page = p.page[1:]
	return rec, nil
}

// read reads the next page, as much of it as lies before a damaged message.
func (p *pager) read(s vector.Span) error {
	p.page = nil
	for limit := store.MaxPage; ; limit /= 2 {
		page, err := p.store.FeedPage(s.Feed, s.First, s.Last, limit, false)
		if errors.Is(err, store.ErrDamaged) && limit > 1 {
			continue
		}
		if err != nil {
			return err
		}
		if len(page) == 0 || page[0].Seq != s.First {
			return fmt.Errorf("message %d of feed %s is gone from the store", s.First, s.Feed)
		}
		p.page = page
		return nil
	}
}
