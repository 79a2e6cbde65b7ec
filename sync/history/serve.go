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

// page is how many records are read at once; they stay in memory while a slow
// peer takes them.
const page = 64

// Server serves createHistoryStream from a store. It may serve many streams at
// a time.
type Server struct {
	store  *store.Store
	growth growth
}

// NewServer returns a server of the messages in s.
func NewServer(s *store.Store) *Server {
	return &Server{store: s, growth: growth{store: s}}
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
	switch {
	case q.Reverse:
		err = r.reverse(ctx)
	case q.Live:
		err = r.live(ctx)
	default:
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
		records, err := r.store.FeedPage(r.query.Feed, next, math.MaxInt32, r.page(), false)
		if err != nil || len(records) == 0 {
			return next, err
		}
		for i := range records {
			if err := r.one(ctx, &records[i]); err != nil {
				return next, err
			}
			next = records[i].Seq + 1
		}
	}
	return next, nil
}

// live sends what is there and then what comes, or the latter only.
func (r *run) live(ctx context.Context) error {
	w := r.growth.watch(r.query.Feed)
	defer r.growth.unwatch(w)
	head, err := r.store.Head(r.query.Feed)
	if err != nil {
		return err
	}
	next := r.query.First
	if next > head.Seq {
		r.query.Keys, r.query.Values = false, true
	} else if !r.query.Old {
		next = head.Seq + 1
	}
	for {
		if next, err = r.forward(ctx, next); err != nil || r.left == 0 {
			return err
		}
		if err := r.growth.wait(ctx, w); err != nil {
			return err
		}
	}
}

// reverse sends what is there, newest first.
func (r *run) reverse(ctx context.Context) error {
	last := int64(math.MaxInt32)
	for r.left != 0 && last >= r.query.First {
		records, err := r.store.FeedPage(r.query.Feed, r.query.First, last, r.page(), true)
		if err != nil || len(records) == 0 {
			return err
		}
		for i := range records {
			if err := r.one(ctx, &records[i]); err != nil {
				return err
			}
			last = records[i].Seq - 1
		}
	}
	return nil
}

// page is how many records can still be used of one page.
func (r *run) page() int {
	if r.left < 0 {
		return page
	}
	return int(min(r.left, page))
}

// one sends one record.
func (r *run) one(ctx context.Context, rec *store.Record) error {
	r.item = r.query.append(r.item[:0], rec)
	if r.left > 0 {
		r.left--
	}
	return r.send(ctx, r.item)
}
