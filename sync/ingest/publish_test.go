package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"testing"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/sync/ingest"
)

// creator makes the next message of the n-th identity.
func creator(who byte, text string) func(message.Head) (*message.Message, error) {
	return func(head message.Head) (*message.Message, error) {
		content := fmt.Appendf(nil, `{"type":"post","text":%q}`, text)
		return message.Create(pair(who), head, content, float64(head.Seq+1), nil)
	}
}

// Calls of Publish take turns, also beside messages that come in.
func TestPublish(t *testing.T) {
	r := start(t, small())
	in := r.Open(ingest.Source{})
	var wg sync.WaitGroup
	for who := byte(1); who <= 2; who++ {
		for n := range 20 {
			wg.Go(func() {
				rec, err := r.Publish(context.Background(), pair(who).Feed(), creator(who, fmt.Sprint(n)))
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := r.store.Get(pair(who).Feed(), rec.Seq); err != nil || got.ID != rec.ID || got.Rx != rec.Rx {
					t.Errorf("published %d: stored %v, %v", rec.Seq, got, err)
				}
			})
		}
	}
	add(t, in, corpus()...)
	wg.Wait()
	flush(t, in)
	for who := byte(1); who <= 2; who++ {
		if head, err := r.store.Head(pair(who).Feed()); err != nil || head.Seq != 20 {
			t.Errorf("head %v, %v", head, err)
		}
	}
}

// A call of Publish that brings nothing harms no other.
func TestPublishRefused(t *testing.T) {
	r := start(t, ingest.Config{})
	ctx := context.Background()
	no := errors.New("no")
	own := pair(1).Feed()
	fails := []func(message.Head) (*message.Message, error){
		func(message.Head) (*message.Message, error) { return nil, no },
		func(message.Head) (*message.Message, error) { return nil, nil },
		func(message.Head) (*message.Message, error) { return message.Verify(feed(t, 2, 1)[0], nil) },
		func(message.Head) (*message.Message, error) { return message.Verify(feed(t, 1, 9)[8], nil) },
	}
	for n, create := range fails {
		if _, err := r.Publish(ctx, own, creator(1, "hello")); err != nil {
			t.Fatal(err)
		}
		rec, err := r.Publish(ctx, own, create)
		if err == nil || rec.Seq != 0 || n == 0 && err != no {
			t.Errorf("%d: %v, %v", n, rec, err)
		}
	}
	gone, cancel := context.WithCancelCause(ctx)
	cancel(no)
	if _, err := r.Publish(gone, own, creator(1, "hello")); !errors.Is(err, no) {
		t.Errorf("after ctx ended: %v", err)
	}
	if head, err := r.store.Head(own); err != nil || head.Seq != int64(len(fails)) {
		t.Errorf("head %v, %v", head, err)
	}
	r.stop()
	_, err := r.Publish(ctx, own, creator(1, "hello"))
	stopped(t, "after the end", err, nil)
}

// A forked feed publishes nothing.
func TestPublishFrozen(t *testing.T) {
	r := start(t, ingest.Config{})
	in := r.Open(ingest.Source{})
	other, _ := grow(t, pair(1), message.Head{}, 1, "other")
	add(t, in, feed(t, 1, 2)...)
	flush(t, in)
	add(t, in, other...)
	expect(t, "fork", flush(t, in), "messages=1 forked=1")
	if _, err := r.Publish(context.Background(), pair(1).Feed(), creator(1, "more")); err == nil {
		t.Error("published to a frozen feed")
	}
}

// When the store fails, a message is published as far as anyone can tell, or
// not, and the caller gets an error.
func TestPublishStoreFails(t *testing.T) {
	s := openStore(t)
	r := startOn(t, s, ingest.Config{Store: &faulty{Store: s, before: func() error { return syscall.EIO }}})
	_, err := r.Publish(context.Background(), pair(1).Feed(), creator(1, "hello"))
	stopped(t, "store failed", err, syscall.EIO)
	<-r.ended
	if !errors.Is(r.err, syscall.EIO) {
		t.Errorf("Run: %v", r.err)
	}
}
