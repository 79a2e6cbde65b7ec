package blobs_test

import (
	"context"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/blobs"
)

// TestWantLoop: peers that want a blob for each other's sake alone do so no more
// when the one who wanted it is gone.
func TestWantLoop(t *testing.T) {
	id := refs.SumBlob([]byte("nowhere"))
	a := newNode(t, 1, blobs.Config{})
	ring := make([]*node, 4)
	for i := range ring {
		ring[i] = newNode(t, byte(2+i), blobs.Config{})
	}
	for i := range ring {
		for _, other := range ring[:i] {
			connect(t, ring[i], other)
		}
	}
	leave := []func(){connect(t, a, ring[0]), connect(t, a, ring[1])}
	a.want(id)
	for i, n := range ring {
		until(t, "they want it too", func() bool { return len(n.Wants()) == 1 })
		if hops, want := n.Wants()[0].Hops, []int{-2, -2, -3, -3}[i]; hops != want && !(i < 2 && hops == -3) {
			t.Errorf("node %d wants it at %d, want %d", i, hops, want)
		}
	}
	for i, n := range ring[:2] {
		until(t, "they know of each other", func() bool { _, _, of := n.Remembered(ring[1-i].id); return of == 1 })
	}
	for _, disconnect := range leave {
		disconnect()
	}
	for _, n := range ring {
		until(t, "nobody wants it any more", func() bool { return len(n.Wants()) == 0 })
	}
	a.add([]byte("nowhere")) // and when somebody does again, it comes
	connect(t, a, ring[0])
	ring[3].want(id)
	ring[3].gets(id)
}

// TestDeafGetters: peers that ask for blobs and do not read them do not keep
// others from getting theirs.
func TestDeafGetters(t *testing.T) {
	a := newNode(t, 1, blobs.Config{Limits: blobs.Limits{Gets: 2, AllGets: 4, Idle: 300 * time.Millisecond}})
	id := a.add(random(5<<20, 1))
	for number := range byte(2) {
		s := meet(t, a, 8+number, nil)
		for range 2 {
			st, err := s.sess.Source(context.Background(), "blobs.get", map[string]any{"key": id})
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close(nil) // without having read anything
		}
	}
	until(t, "all places are taken", func() bool { a.mu.Lock(); defer a.mu.Unlock(); return a.most == 4 })
	b := newNode(t, 2, blobs.Config{})
	connect(t, a, b)
	b.want(id)
	b.gets(id)
}

// TestDrippingPeers: peers that send drop by drop, one in each place, hold up
// neither what they send nor anything else.
func TestDrippingPeers(t *testing.T) {
	a := newNode(t, 1, blobs.Config{Limits: blobs.Limits{Fetches: 2, Patience: 50 * time.Millisecond, Brisk: 1 << 20}})
	wanted := []refs.Blob{refs.SumBlob(random(100_000, 1)), refs.SumBlob(random(100_000, 2)), refs.SumBlob(random(100_000, 3))}
	a.want(wanted...)
	ended := make(chan struct{}, 4)
	for number := range byte(4) {
		began := make(chan struct{})
		s := meet(t, a, 8+number, serve(func(ctx context.Context, st *muxrpc.Stream) error {
			close(began)
			defer func() { ended <- struct{}{} }()
			for {
				select {
				case <-ctx.Done():
					return nil
				case <-time.After(10 * time.Millisecond):
					if err := st.Send(ctx, []byte{1}); err != nil {
						return err
					}
				}
			}
		}))
		s.say <- frame(wanted[number%3], 100_000)
		select {
		case <-began:
		case <-time.After(patience):
			t.Fatal("a slow peer keeps the place of another")
		}
	}
	b := newNode(t, 2, blobs.Config{})
	for seed := range uint64(3) {
		b.add(random(100_000, seed+1))
	}
	connect(t, a, b)
	a.gets(wanted...)
	for range 4 {
		select {
		case <-ended:
		case <-time.After(patience):
			t.Fatal("what has come is still being fetched")
		}
	}
}
