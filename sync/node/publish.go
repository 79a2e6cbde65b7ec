package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// publish appends a message to the own feed: publish(content). It answers the
// message once it is durable. What names recipients, as recps, is boxed for them.
func (n *Node) publish(ctx context.Context, c *muxrpc.Call) (any, error) {
	return n.publishContent(ctx, argument(c, 0))
}

// publishContent is publish for content that the node itself writes too.
func (n *Node) publishContent(ctx context.Context, content json.RawMessage) (json.RawMessage, error) {
	if err := checkContent(content); err != nil {
		return nil, err
	}
	made, err := n.contentFor(ctx, content)
	if err != nil {
		return nil, err
	}
	return n.appendOwn(ctx, made)
}

// mayPublish refuses while publishing would fork the own feed.
func (n *Node) mayPublish() error {
	err := n.guard.Check()
	if errors.Is(err, stick.ErrLocked) {
		return fmt.Errorf("%v (see: ssbsync status)", err)
	}
	if err != nil {
		return err
	}
	return n.checkOtherApps()
}

// create makes the next message of the own feed. It runs in the writer, so
// the guard is asked again: what arrived meanwhile may have locked the feed.
func (n *Node) create(head message.Head, content []byte) (*message.Message, error) {
	if err := n.guard.Check(); err != nil {
		return nil, err
	}
	now, err := n.nextTimestamp(head)
	if err != nil {
		return nil, err
	}
	m, err := message.Create(n.keys, head, content, now, n.hmac)
	if err != nil {
		return nil, publishError(err)
	}
	n.made = made{m.ID(), now}
	return m, nil
}

// publishError says that a message is too long in the words of ssb-validate:
// git-ssb leaves things out of its message then and tries again.
func publishError(err error) error {
	if bad, ok := errors.AsType[*message.InvalidError](err); ok && bad.Units > message.MaxUnits {
		text := fmt.Sprintf("Encoded message must not be larger than %d bytes. Current size is %d", message.MaxUnits, bad.Units)
		return &muxrpc.RemoteError{Name: "Error", Message: text}
	}
	return err
}

// made is the newest message that create made: the next one may come before
// it is stored, since the writer commits several together.
type made struct {
	id      refs.Message
	claimed float64 // milliseconds since 1970
}

// ownTime returns the time that the message at the head of the own feed claims.
func (n *Node) ownTime(head message.Head) (float64, error) {
	if head.ID == n.made.id {
		return n.made.claimed, nil
	}
	rec, err := n.store.Get(head.Feed, head.Seq)
	return claimedTime(rec), err
}

// nextTimestamp returns the time to claim, in milliseconds since 1970: later
// than the message before, even when the clock went back.
func (n *Node) nextTimestamp(head message.Head) (float64, error) {
	now := float64(n.options.Now().UnixMilli())
	if head.Seq == 0 {
		return now, nil
	}
	last, err := n.ownTime(head)
	if err != nil {
		return 0, err
	}
	if now <= last {
		n.options.Log.Warn("the clock is behind the newest message of the own feed", "behindSeconds", (last-now)/1000)
		return last + 1, nil
	}
	return now, nil
}

// ownHead returns the head of the own feed.
func (n *Node) ownHead() (message.Head, error) { return n.store.Head(n.keys.Feed()) }

// forget ends that a feed is carried: forget(feed).
func (n *Node) forget(_ context.Context, c *muxrpc.Call) (any, error) {
	feed, err := feedArgument(c)
	if err != nil {
		return nil, usage("forget: %v", err)
	}
	was, err := n.policy.forget(feed)
	if err == nil && !was {
		err = fmt.Errorf("feed %s is not carried", feed)
	}
	return true, err
}

// claimedTime returns the time that a message's author claims, in milliseconds
// since 1970, or that of its arrival when it claims none.
func claimedTime(rec store.Record) float64 {
	view, err := message.Fields(rec.Value)
	if err != nil || view.Timestamp != view.Timestamp {
		return rec.Received
	}
	return view.Timestamp
}
