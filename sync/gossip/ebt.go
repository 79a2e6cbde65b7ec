package gossip

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/sync/ebt"
	"github.com/ssbsync/ssbsync/sync/vector"
)

const (
	// sendPage is how many messages are read for a peer at once; they are what
	// a peer that does not read costs, with the buffers of its connection.
	sendPage = 64

	// maxNotes bounds the feeds in one frame of notes.
	maxNotes = 250_000
)

// runEBT runs EBT over a stream until it or the session ends.
func (x *exchange) runEBT(ctx context.Context, st *muxrpc.Stream, client bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if err := x.rep.join(ctx, x, client); err != nil {
		return err
	}
	defer x.rep.leave(x)
	if err := x.begin(client); err != nil {
		return err
	}
	var group sync.WaitGroup
	group.Go(func() {
		if err := x.sendEBT(ctx, st); errors.Is(err, errStore) {
			cancel(err) // else the receiver learns itself why the stream ended
		}
	})
	err := x.receiveEBT(ctx, st, client)
	cancel(err)
	group.Wait()
	return err
}

// errStore says that the store does not give what it should have.
var errStore = errors.New("reading for a peer")

// sendEBT sends what the state has for the peer whenever there is something.
func (x *exchange) sendEBT(ctx context.Context, st *muxrpc.Stream) error {
	for {
		if err := x.sendReady(ctx, st); err != nil {
			return err
		}
		select {
		case <-x.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

// sendReady sends until there is nothing left: notes before messages.
func (x *exchange) sendReady(ctx context.Context, st *muxrpc.Stream) error {
	for {
		var err error
		if notes, ok := x.rep.nextNotes(x); ok {
			err = st.Send(ctx, json.RawMessage(ebt.AppendNotes(nil, notes)))
		} else if span, ok := x.rep.nextSend(x); ok {
			err = x.sendSpan(ctx, st, span)
		} else {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// sendSpan sends messages of one feed, which the store has.
func (x *exchange) sendSpan(ctx context.Context, st *muxrpc.Stream, span vector.Span) error {
	records, err := x.s.g.cfg.Store.FeedPage(span.Feed, span.First, span.Last, sendPage, false)
	if err != nil {
		return fmt.Errorf("%w: %w", errStore, err)
	}
	if int64(len(records)) != span.Len() {
		return fmt.Errorf("%w: messages %d to %d of feed %s are not all there", errStore, span.First, span.Last, span.Feed)
	}
	for i := range records {
		if err := st.Send(ctx, muxrpc.Item{Kind: muxrpc.JSON, Body: records[i].Value}); err != nil {
			return err
		}
		x.sent.Add(1)
	}
	return nil
}

// receiveEBT takes what the peer sends. It returns errNoEBT when the peer
// refuses the call.
func (x *exchange) receiveEBT(ctx context.Context, st *muxrpc.Stream, client bool) error {
	for first := true; ; first = false {
		item, err := st.Recv(ctx)
		var refusal *muxrpc.RemoteError
		switch {
		case err == nil:
		case client && first && errors.As(err, &refusal):
			return fmt.Errorf("%w: %s", errNoEBT, refusal.Message)
		case err == io.EOF:
			return errEBTEnded
		default:
			return err
		}
		if err := x.takeFrame(ctx, item); err != nil {
			return err
		}
	}
}

// takeFrame takes notes or a message.
func (x *exchange) takeFrame(ctx context.Context, item muxrpc.Item) error {
	if item.Kind != muxrpc.JSON {
		return errNotNotes
	}
	if ebt.IsMessage(item.Body) {
		return x.takeMessage(ctx, item.Body)
	}
	notes, err := ebt.DecodeNotes(item.Body, maxNotes)
	if err != nil {
		return fmt.Errorf("%w: %v", errNotNotes, err)
	}
	x.rep.notes(x, notes)
	return nil
}

// takeMessage takes a message that was asked for, and counts one that was not.
func (x *exchange) takeMessage(ctx context.Context, raw []byte) error {
	if feed, seq := message.Whose(raw); !x.rep.asked(x, feed, seq) {
		return x.unasked()
	}
	return x.add(ctx, raw)
}
