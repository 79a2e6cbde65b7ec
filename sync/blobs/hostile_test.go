package blobs_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/blobs"
)

// serve makes blobs.get send what send does, whatever is asked for.
func serve(send func(ctx context.Context, st *muxrpc.Stream) error) muxrpc.Serve {
	return func(ctx context.Context, _ *muxrpc.Call, st *muxrpc.Stream) error { return send(ctx, st) }
}

// TestWantFlood: 100,000 wants of one peer are answered, remembered within
// bounds, and forgotten with the peer; another one is served meanwhile.
func TestWantFlood(t *testing.T) {
	const flood = 100_000
	limits := blobs.Limits{PeerWants: 1000, PeerSympathy: 100, AllSympathy: 150}
	a, b := newNode(t, 1, blobs.Config{Limits: limits}), newNode(t, 2, blobs.Config{})
	here := a.add([]byte("wanted by the flood"))
	s := meet(t, a, 9, nil)
	var notes []blobs.Note
	for i := range flood {
		notes = append(notes, blobs.Note{ID: refs.SumBlob(fmt.Append(nil, i)), Number: -1})
	}
	notes = append(notes, blobs.Note{ID: here, Number: -1})
	s.say <- string(blobs.AppendFrame(notes))
	if size := s.hear(here); size != 19 {
		t.Errorf("told the size %d", size)
	}
	wants, _, sympathy := a.Remembered(s.id)
	if wants != 1000 || sympathy != 100 || len(a.Wants()) != 100 || a.Backlog() > 2000 {
		t.Errorf("remembers %d wants, of which it took over %d; wants %d, %d announced", wants, sympathy, len(a.Wants()), a.Backlog())
	}
	connect(t, a, b)
	b.want(here)
	b.gets(here)
	// What it was not remembered for it is told all the same when it comes.
	late := a.add(fmt.Append(nil, flood-1))
	if size := s.hear(late); size != 5 {
		t.Errorf("told the size %d", size)
	}
	s.leave()
	until(t, "what the flood wanted is forgotten", func() bool { return len(a.Wants()) == 0 })
	t.Logf("%d wants in one frame", flood)
}

// TestFloodIsSlowed: what is more than a burst is read slowly, and the rest of
// the node does not wait for it.
func TestFloodIsSlowed(t *testing.T) {
	a := newNode(t, 1, blobs.Config{Limits: blobs.Limits{Burst: 1000, Rate: 0.001}})
	s := meet(t, a, 9, nil)
	first, last := a.add([]byte("within the burst")), a.add([]byte("beyond it"))
	var notes []blobs.Note
	for i := range 5000 {
		notes = append(notes, blobs.Note{ID: refs.SumBlob(fmt.Append(nil, i)), Number: -1})
	}
	notes[0].ID, notes[4999].ID = first, last
	s.say <- string(blobs.AppendFrame(notes))
	s.hear(first)
	b := newNode(t, 2, blobs.Config{})
	connect(t, a, b)
	b.want(last)
	b.gets(last)
	for {
		select {
		case frame := <-s.heard:
			if frame[last.String()] > 0 {
				t.Error("was told what lies beyond the burst")
			}
			continue
		default:
		}
		break
	}
}

// TestLies: peers that send something else than they said give nothing, are
// left alone, and keep nobody from getting the blob from an honest one.
func TestLies(t *testing.T) {
	data := random(300_000, 1)
	id := refs.SumBlob(data)
	for name, lie := range map[string]struct {
		size int64
		send func(ctx context.Context, st *muxrpc.Stream) error
	}{
		"another blob":      {300_000, func(ctx context.Context, st *muxrpc.Stream) error { return st.Send(ctx, random(300_000, 2)) }},
		"more than it said": {1000, func(ctx context.Context, st *muxrpc.Stream) error { return st.Send(ctx, data) }},
		"less than it said": {300_000, func(ctx context.Context, st *muxrpc.Stream) error { return st.Send(ctx, data[:299_999]) }},
		"nothing":           {300_000, func(ctx context.Context, st *muxrpc.Stream) error { return nil }},
		"an error":          {300_000, func(ctx context.Context, st *muxrpc.Stream) error { return errors.New("could not get blob") }},
		"an error at the end": {300_000, func(ctx context.Context, st *muxrpc.Stream) error {
			st.Send(ctx, data[:100_000])
			return errors.New("broken")
		}},
		"text":   {300_000, func(ctx context.Context, st *muxrpc.Stream) error { return st.Send(ctx, string(data)) }},
		"JSON":   {300_000, func(ctx context.Context, st *muxrpc.Stream) error { return st.Send(ctx, map[string]int{"a": 1}) }},
		"no get": {300_000, nil},
		"one byte more": {300_000, func(ctx context.Context, st *muxrpc.Stream) error {
			st.Send(ctx, data)
			return st.Send(ctx, []byte{0})
		}},
		"endless": {5 << 20, func(ctx context.Context, st *muxrpc.Stream) error {
			for chunk := random(1<<16, 3); ; {
				if err := st.Send(ctx, chunk); err != nil {
					return err
				}
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newNode(t, 1, blobs.Config{Limits: blobs.Limits{Backoff: time.Hour, Backoffs: time.Hour}})
			var calls atomic.Int64
			asked := make(chan struct{}, 1)
			get := serve(func(ctx context.Context, st *muxrpc.Stream) error {
				calls.Add(1)
				select {
				case asked <- struct{}{}:
				default:
				}
				return lie.send(ctx, st)
			})
			if lie.send == nil {
				get, asked = nil, nil
			}
			s := meet(t, a, 9, get)
			a.want(id)
			s.hear(id)
			s.say <- frame(id, lie.size)
			if asked != nil {
				<-asked
			}
			until(t, "it is believed no more", func() bool { _, offers, _ := a.Remembered(s.id); return offers == 0 })
			s.say <- frame(id, lie.size) // it says so again, and is left alone
			if a.files.Has(id) || a.files.Last() != 0 {
				t.Error("something was stored")
			}
			b := newNode(t, 2, blobs.Config{})
			b.add(data)
			connect(t, a, b)
			a.gets(id)
			if n := calls.Load(); n > 1 {
				t.Errorf("asked the liar %d times", n)
			}
		})
	}
}

// TestAgain: what a peer could not give is asked for once more, after a while or
// when the user says so, over the same connection.
func TestAgain(t *testing.T) {
	data := random(1000, 1)
	id := refs.SumBlob(data)
	for name, pause := range map[string]time.Duration{"by itself": 10 * time.Millisecond, "by the user": time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newNode(t, 1, blobs.Config{Limits: blobs.Limits{Backoff: pause, Backoffs: pause}})
			var calls atomic.Int64
			s := meet(t, a, 9, serve(func(ctx context.Context, st *muxrpc.Stream) error {
				if calls.Add(1) == 1 {
					return errors.New("could not get blob")
				}
				return st.Send(ctx, data)
			}))
			a.want(id)
			s.hear(id)
			s.say <- frame(id, 1000)
			until(t, "it fails", func() bool { _, offers, _ := a.Remembered(s.id); return offers == 0 && calls.Load() == 1 })
			if pause == time.Hour {
				a.want(id)
			}
			if n := s.hear(id); n != -1 {
				t.Errorf("heard %d", n)
			}
			s.say <- frame(id, 1000)
			a.gets(id)
		})
	}
}

// TestTooLarge does not even ask for what is over the limit, and asks for
// nothing that nobody wants.
func TestTooLarge(t *testing.T) {
	a := newNode(t, 1, blobs.Config{})
	large, unwanted, fits := refs.SumBlob([]byte("large")), refs.SumBlob([]byte("unwanted")), []byte("fits")
	var asked atomic.Int64
	s := meet(t, a, 9, serve(func(ctx context.Context, st *muxrpc.Stream) error {
		asked.Add(1)
		return st.Send(ctx, fits)
	}))
	a.want(large, refs.SumBlob(fits))
	s.say <- frame(large, 5<<20+1)
	s.say <- frame(large, 1<<53)
	s.say <- frame(unwanted, 100)
	s.say <- frame(refs.SumBlob(fits), 4)
	a.gets(refs.SumBlob(fits))
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// TestSilentPeers: peers that promise and do not send hold up the others only
// for a while.
func TestSilentPeers(t *testing.T) {
	a := newNode(t, 1, blobs.Config{Limits: blobs.Limits{Idle: 50 * time.Millisecond, Fetches: 2, Backoff: 1}})
	data := []byte("from somebody who sends")
	id := refs.SumBlob(data)
	silent := serve(func(ctx context.Context, st *muxrpc.Stream) error {
		<-ctx.Done()
		return nil
	})
	a.want(id)
	for i := range 4 {
		s := meet(t, a, byte(10+i), silent)
		s.say <- frame(id, int64(len(data)))
		until(t, "it is believed no more", func() bool {
			_, offers, _ := a.Remembered(s.id)
			return len(s.say) == 0 && offers == 0
		})
	}
	b := newNode(t, 2, blobs.Config{})
	b.add(data)
	for !a.files.Has(id) { // a busy machine may take b for silent too
		disconnect := connect(t, a, b)
		until(t, "b was asked", func() bool {
			_, offers, _ := a.Remembered(b.id)
			return a.files.Has(id) || offers == 0 && b.wasAsked(id)
		})
		disconnect()
	}
}

// TestDripping: a peer that sends a byte now and then is cut off.
func TestDripping(t *testing.T) {
	a := newNode(t, 1, blobs.Config{Limits: blobs.Limits{Idle: 200 * time.Millisecond, Slowest: 1 << 40}})
	id := refs.SumBlob([]byte("drop by drop"))
	ended := make(chan struct{})
	s := meet(t, a, 9, serve(func(ctx context.Context, st *muxrpc.Stream) error {
		defer close(ended)
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(time.Millisecond):
				if err := st.Send(ctx, []byte{1}); err != nil {
					return err
				}
			}
		}
	}))
	a.want(id)
	s.say <- frame(id, 5<<20)
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("still dripping")
	}
}

// TestGetFlood serves a peer a few blobs at a time, however many it asks for,
// and all of them in the end.
func TestGetFlood(t *testing.T) {
	const gets = 200
	a := newNode(t, 1, blobs.Config{Limits: blobs.Limits{Gets: 3, AllGets: 5}})
	id := a.add(random(100_000, 1))
	s := meet(t, a, 9, nil)
	results := make(chan int, gets)
	for range gets {
		go func() {
			st, err := s.sess.Source(context.Background(), "blobs.get", map[string]any{"key": id})
			n := 0
			for err == nil {
				var item muxrpc.Item
				item, err = st.Recv(context.Background())
				n += len(item.Body)
			}
			results <- n
		}()
	}
	for range gets {
		if n := <-results; n != 100_000 {
			t.Errorf("got %d bytes", n)
		}
	}
	if a.most > 3 {
		t.Errorf("%d at a time", a.most)
	}
	t.Logf("%d calls, %d at a time", gets, a.most)
}

// TestGarbageFrames are passed over.
func TestGarbageFrames(t *testing.T) {
	a := newNode(t, 1, blobs.Config{})
	here := a.add([]byte("still served"))
	s := meet(t, a, 9, nil)
	for _, garbage := range []string{`[]`, `"text"`, `null`, `{"sync":true}`, `{"../../../etc/passwd":-1}`, `{"&` + strings.Repeat("/", 43) + `=.sha256":-1}`,
		`{"a":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`} {
		s.say <- garbage
	}
	s.say <- frame(here, -1)
	s.hear(here)
}

// TestTwoStreams: who calls createWants again is told on the new stream, and the
// old one ends.
func TestTwoStreams(t *testing.T) {
	a := newNode(t, 1, blobs.Config{})
	s := meet(t, a, 9, nil)
	if frame := <-s.heard; len(frame) != 0 {
		t.Errorf("heard %v", frame)
	}
	st, err := s.sess.Source(context.Background(), "blobs.createWants")
	if err != nil {
		t.Fatal(err)
	}
	if item, err := st.Recv(context.Background()); err != nil || string(item.Body) != "{}" {
		t.Errorf("heard %s, %v", item.Body, err)
	}
	id := refs.SumBlob([]byte("news"))
	a.want(id)
	item, err := st.Recv(context.Background())
	if err != nil || string(item.Body) != frame(id, -1) {
		t.Errorf("heard %s, %v", item.Body, err)
	}
	select {
	case frame := <-s.heard:
		t.Errorf("the old stream says %v", frame)
	default:
	}
}

// TestDeafPeer: who asks and does not listen makes nothing grow.
func TestDeafPeer(t *testing.T) {
	a := newNode(t, 1, blobs.Config{Limits: blobs.Limits{Burst: 1 << 30}})
	id := a.add([]byte("asked for again and again"))
	s := meet(t, a, 9, nil)
	var notes []blobs.Note
	for range 20_000 {
		notes = append(notes, blobs.Note{ID: id, Number: -1})
	}
	body := strings.ReplaceAll(string(blobs.AppendFrame(notes)), "\n", "")
	for range 4 {
		s.say <- body
	}
	heard := 0
	until(t, "all is answered, as it is listened to", func() bool {
		select {
		case frame := <-s.heard:
			heard += len(frame)
		default:
		}
		return heard >= 80
	})
	b := newNode(t, 2, blobs.Config{})
	connect(t, a, b)
	b.want(id)
	b.gets(id)
}
