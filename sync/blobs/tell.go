package blobs

import (
	"context"
	"encoding/json"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// outlet is one stream on which a peer is told what we want, and have of what
// it wants.
type outlet struct {
	more chan struct{} // capacity 1: there may be something to tell
	over chan struct{} // closed when another one took its place
	next uint64        // number in the book up to which it was told
	from uint64        // number in the book when it began
}

// ServeWants serves blobs.createWants to a peer, until ctx or the stream ends, or
// the peer calls it again.
func (e *Exchange) ServeWants(ctx context.Context, remote refs.Feed, st *muxrpc.Stream) error {
	p := e.enter(remote)
	defer e.leave(p)
	o := p.listen()
	defer p.mute(o)
	for first := true; ; first = false {
		notes := e.news(p, o)
		if len(notes) == 0 && !first { // an empty frame says that we speak this protocol
			select {
			case <-o.more:
				continue
			case <-o.over:
				return nil
			case <-ctx.Done():
				return nil
			}
		}
		if err := st.Send(ctx, json.RawMessage(appendFrame(nil, notes))); err != nil {
			return ignoreEnd(ctx, err)
		}
	}
}

// listen makes a stream the one on which the peer is told.
func (p *peer) listen() *outlet {
	o := &outlet{more: make(chan struct{}, 1), over: make(chan struct{})}
	p.e.mu.Lock()
	defer p.e.mu.Unlock()
	o.from = p.e.book.last
	if p.outlet != nil {
		close(p.outlet.over)
	}
	p.outlet = o
	return o
}

// mute ends that, if it was not ended yet.
func (p *peer) mute(o *outlet) {
	p.e.mu.Lock()
	defer p.e.mu.Unlock()
	if p.outlet == o {
		p.outlet = nil
	}
}

// news returns what the peer is to be told next.
func (e *Exchange) news(p *peer, o *outlet) []note {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := min(len(p.replies), maxNotes)
	notes := append([]note(nil), p.replies[:n]...)
	if p.replies = p.replies[n:]; len(p.replies) == 0 {
		p.replies = nil
	}
	more, next := e.book.after(o.next, o.from, maxNotes-n)
	o.next = next
	return append(notes, more...)
}
