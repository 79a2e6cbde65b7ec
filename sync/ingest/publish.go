package ingest

import (
	"context"
	"fmt"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
)

// publication is one call of Publish on its way through the writer.
type publication struct {
	ctx    context.Context
	feed   refs.Feed
	create func(message.Head) (*message.Message, error)

	msg  *message.Message
	rec  store.Record
	err  error
	done chan struct{} // closed when rec or err is set
}

// fail ends a publication that brought no message.
func (w *publication) fail(err error) {
	w.err = err
	close(w.done)
}

// Publish appends a message to a feed of our own: create gets the feed's head
// and makes the message that comes next. It runs in the writer, after all that
// was verified so far is stored, so no two calls see the same head; it must
// not block, nor call the pipeline. When Publish returns, the message is
// durable. An error of create is returned as it is, and nothing is stored.
//
// When ctx ends before create was called, nothing is stored. After that
// Publish waits for the outcome.
func (p *Pipeline) Publish(ctx context.Context, feed refs.Feed, create func(message.Head) (*message.Message, error)) (store.Record, error) {
	w := &publication{ctx: ctx, feed: feed, create: create, done: make(chan struct{})}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return store.Record{}, p.stopped()
	}
	p.publishes = append(p.publishes, w)
	p.mu.Unlock()
	p.signal()
	select {
	case <-w.done:
		return w.rec, w.err
	case <-p.done:
	}
	select {
	case <-w.done:
		return w.rec, w.err
	default:
		return store.Record{}, p.stopped()
	}
}

// publish serves the calls of Publish that have come, all in one commit.
func (p *Pipeline) publish() error {
	p.mu.Lock()
	calls := p.publishes
	p.publishes = nil
	p.mu.Unlock()
	made, err := p.make(calls)
	if err != nil || len(made) == 0 {
		return err
	}
	msgs := make([]*message.Message, len(made))
	for n, w := range made {
		msgs[n] = w.msg
	}
	results, err := p.cfg.Store.Append(msgs)
	if isFull(err) {
		for _, w := range made {
			w.fail(fmt.Errorf("publishing to feed %s: %w", w.feed, err))
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("storing published messages: %w", err)
	}
	for n, w := range made {
		if results[n].Status != store.Stored {
			w.fail(fmt.Errorf("publishing to feed %s: message %d was not stored: %s", w.feed, w.msg.Seq(), results[n].Status))
			continue
		}
		if w.rec, err = p.cfg.Store.Get(w.feed, w.msg.Seq()); err != nil {
			return fmt.Errorf("reading a published message: %w", err)
		}
		close(w.done)
		if err := p.moved(w.feed, p.self); err != nil {
			return err
		}
	}
	return p.dispatch()
}

// make creates the messages, each on top of the one before. Calls that bring
// none are answered.
func (p *Pipeline) make(calls []*publication) (made []*publication, err error) {
	heads := make(map[refs.Feed]message.Head)
	for _, w := range calls {
		head, ok := heads[w.feed]
		if !ok {
			if head, err = p.cfg.Store.Head(w.feed); err != nil {
				return nil, fmt.Errorf("reading the head of feed %s: %w", w.feed, err)
			}
			head.Feed = w.feed
		}
		if heads[w.feed], err = w.next(head); err != nil {
			w.fail(err)
			continue
		}
		made = append(made, w)
	}
	return made, nil
}

// next makes the message on top of head and returns the head after it.
func (w *publication) next(head message.Head) (message.Head, error) {
	if w.ctx.Err() != nil {
		return head, context.Cause(w.ctx)
	}
	msg, err := w.create(head)
	if err != nil {
		return head, err
	}
	after, err := head.Next(msg)
	if err != nil {
		return head, fmt.Errorf("publishing to feed %s: %w", w.feed, err)
	}
	w.msg = msg
	return after, nil
}
