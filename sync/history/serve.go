package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/store"
)

// Bounds of what is read before it is sent, which stays in memory while a slow
// peer takes it.
const (
	page  = 64  // records that are read at once
	pages = 128 // streams that do so at a time; further ones read one record
)

// Server serves createHistoryStream from a store. It may serve many streams at
// a time.
type Server struct {
	store  *store.Store
	growth growth
	pages  chan struct{} // holds one for each stream that has a page
}

// NewServer returns a server of the messages in s.
func NewServer(s *store.Store) *Server {
	return &Server{store: s, growth: growth{store: s}, pages: make(chan struct{}, pages)}
}

// Serve serves one call of the method createHistoryStream, a source. It returns
// when all is sent, the peer has had enough, or ctx ends.
func (s *Server) Serve(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	q, err := ParseQuery(c.Args)
	if err != nil {
		return err
	}
	err = s.Stream(ctx, q, func(ctx context.Context, item []byte) error {
		return st.Send(ctx, json.RawMessage(item))
	})
	if errors.Is(err, muxrpc.ErrStreamClosed) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// Stream hands each item that q asks for to send, which may block for as long
// as it likes and must not keep the item: no transaction is open meanwhile. It
// returns when all is sent, with the error of send, or when ctx ends.
func (s *Server) Stream(ctx context.Context, q Query, send func(ctx context.Context, item []byte) error) error {
	r := &run{Server: s, query: q, left: q.Limit, send: send}
	var err error
	if q.Live {
		err = r.live(ctx)
	} else {
		_, err = r.forward(ctx, q.First)
	}
	if err != nil {
		return fmt.Errorf("history of feed %s: %w", q.Feed, err)
	}
	return nil
}

// run is one stream.
type run struct {
	*Server
	query Query
	left  int64 // how many more; negative is no limit
	send  func(context.Context, []byte) error
	item  []byte // the last one, for its space
}

// forward sends what is there from a sequence on, and returns the next one.
func (r *run) forward(ctx context.Context, next int64) (int64, error) {
	for r.left != 0 {
		last, err := r.sendPage(ctx, next)
		if err != nil || last == 0 {
			return next, err
		}
		next = last + 1
	}
	return next, nil
}

// sendPage sends some records from a sequence on and returns the sequence of the
// last of them, 0 when there are none.
func (r *run) sendPage(ctx context.Context, first int64) (sent int64, err error) {
	limit := 1
	select {
	case r.pages <- struct{}{}:
		defer func() { <-r.pages }()
		limit = r.page()
	default:
	}
	records, err := r.store.FeedPage(r.query.Feed, first, math.MaxInt32, limit, false)
	for i := range records {
		if err := r.one(ctx, &records[i]); err != nil {
			return sent, err
		}
		sent = records[i].Seq
	}
	return sent, err
}

// live sends what is there and then what comes, or the latter only. The limit is
// one of what is there.
func (r *run) live(ctx context.Context) error {
	w := r.growth.watch(r.query.Feed)
	defer r.growth.unwatch(w)
	head, err := r.store.Head(r.query.Feed)
	if err != nil {
		return err
	}
	next := r.query.First
	switch {
	case next > head.Seq:
		r.query.Keys, r.query.Values = false, true
	case r.query.Old:
		if next, err = r.forward(ctx, next); err != nil {
			return err
		}
		next = max(next, head.Seq+1)
	default:
		next = head.Seq + 1
	}
	for r.left = -1; ; {
		if next, err = r.forward(ctx, next); err != nil {
			return err
		}
		if err := r.growth.wait(ctx, w); err != nil {
			return err
		}
	}
}

// page is how many records can still be used of one page.
func (r *run) page() int {
	if r.left < 0 {
		return page
	}
	return int(min(r.left, page))
}

// one sends one record, as it is if that is what is asked for.
func (r *run) one(ctx context.Context, rec *store.Record) error {
	if r.left > 0 {
		r.left--
	}
	if !r.query.Keys {
		return r.send(ctx, rec.Value)
	}
	r.item = r.query.append(r.item[:0], rec)
	return r.send(ctx, r.item)
}
