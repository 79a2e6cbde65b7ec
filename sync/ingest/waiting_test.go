package ingest_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/ingest"
	"github.com/ssbsync/ssbsync/sync/vector"
)

// shuffled returns the messages in a random order.
func shuffled(raws [][]byte, seed uint64) [][]byte {
	rng := rand.New(rand.NewPCG(seed, 0))
	raws = slices.Clone(raws)
	rng.Shuffle(len(raws), func(i, j int) { raws[i], raws[j] = raws[j], raws[i] })
	return raws
}

// small returns a configuration in which everything is divided finely.
func small() ingest.Config {
	return ingest.Config{Workers: 3, BatchMessages: 4, GroupMessages: 9}
}

// A corpus in any order ends complete, whether it goes in at one time or many.
func TestAnyOrder(t *testing.T) {
	for seed := range uint64(3 * series) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			cfg := ingest.Config{}
			if seed > 0 {
				cfg = small()
			}
			r := start(t, cfg)
			in := r.Open(ingest.Source{})
			add(t, in, shuffled(corpus(), seed)...)
			s := flush(t, in)
			expect(t, "any order", s, fmt.Sprintf("messages=%d new=%d newfeeds=7", len(corpus()), len(corpus())))
			if len(s.Gaps) > 0 {
				t.Errorf("gaps: %v", s.Gaps)
			}
			same(t, r.store, corpus())
		})
	}
}

// The same with a Flush after each few messages, so that nearly all wait on
// disk, and with messages that come twice.
func TestAnyOrderBySips(t *testing.T) {
	r := start(t, ingest.Config{})
	in := r.Open(ingest.Source{})
	raws := shuffled(slices.Concat(corpus()[:300], corpus()[100:200]), 1)
	var sum ingest.Summary
	for sip := range slices.Chunk(raws, 20) {
		add(t, in, sip...)
		sum.Merge(flush(t, in))
	}
	same(t, r.store, corpus()[:300])
	if sum.New != 300 || sum.Messages != 400 || sum.Retried < 100 {
		t.Error(counts(sum))
	}
	t.Logf("%s", counts(sum))
}

// backwards hands over a feed from its end, one group for each message.
func backwards(t testing.TB, in *ingest.Intake, raws [][]byte) (sum ingest.Summary) {
	for _, raw := range slices.Backward(raws) {
		add(t, in, raw)
		sum.Merge(flush(t, in))
	}
	return sum
}

// What waits keeps within its bounds, wanted feeds stay, and what had to go is
// counted and shows as a gap; handing it over again completes the feed.
func TestWaitingBounds(t *testing.T) {
	limits := store.WaitingLimits{Total: 16 << 10, PerFeed: 8 << 10}
	wanted := pair(1).Feed()
	limits.Wanted = func(f refs.Feed) bool { return f == wanted }
	r := start(t, ingest.Config{Waiting: limits})
	in := r.Open(ingest.Source{})
	var all [][]byte
	var sum ingest.Summary
	for who := byte(1); who <= 4; who++ {
		f := feed(t, who, 40)
		all = append(all, f...)
		add(t, in, f[1:]...)
		s := flush(t, in)
		sum.Merge(s)
		if want := (vector.Span{Feed: pair(who).Feed(), First: 1, Last: 1}); who == 1 && !slices.Contains(s.Gaps, want) {
			t.Errorf("gaps %v lack %v", s.Gaps, want)
		}
		w, err := r.store.WaitingStats()
		if err != nil || w.Bytes > limits.Total {
			t.Fatalf("%d bytes wait, the limit is %d (%v)", w.Bytes, limits.Total, err)
		}
	}
	if sum.Evicted == 0 || sum.Waiting == 0 || sum.New != 0 {
		t.Errorf("with too little room: %s", counts(sum))
	}
	w, err := r.store.WaitingOf(wanted)
	if err != nil || w.Bytes < limits.PerFeed*3/4 || w.First != 2 {
		t.Errorf("of the wanted feed wait %+v (%v)", w, err)
	}
	t.Logf("too little room: %s", counts(sum))
	add(t, in, all...)
	flush(t, in)
	same(t, r.store, all)
}

// Messages are evicted while the summary that counted them as waiting is still
// open.
func TestEvictedLater(t *testing.T) {
	r := start(t, ingest.Config{Waiting: store.WaitingLimits{Total: 4 << 10}})
	first, second := r.Open(ingest.Source{}), r.Open(ingest.Source{})
	add(t, first, feed(t, 1, 8)[1:]...)
	for {
		w, err := r.store.WaitingStats()
		if err != nil {
			t.Fatal(err)
		}
		if w.Messages == 7 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	add(t, second, feed(t, 2, 6)[1:]...)
	expect(t, "second", flush(t, second), "messages=5 waiting=5")
	s := flush(t, first)
	w, err := r.store.WaitingOf(pair(1).Feed())
	if err != nil || w.Messages == 7 || s.Waiting != w.Messages || s.Evicted != 7-w.Messages {
		t.Errorf("%s; %+v wait (%v)", counts(s), w, err)
	}
}

// A message that waits turns out to be the other branch of a fork when the
// feed gets there.
func TestWaitingFork(t *testing.T) {
	r := start(t, ingest.Config{})
	in := r.Open(ingest.Source{})
	ours, head := grow(t, pair(1), message.Head{}, 3, "hello")
	next, _ := grow(t, pair(1), head, 2, "ours")
	other, _ := grow(t, pair(1), head, 2, "theirs")
	add(t, in, other[1])
	flush(t, in)
	add(t, in, ours...)
	add(t, in, next...)
	s := flush(t, in)
	expect(t, "fork", s, "messages=5 new=5 forked=1 retried=1 newfeeds=1")
	if len(s.Forks) != 1 || s.Forks[0].Seq != 5 {
		t.Errorf("forks: %+v", s.Forks)
	}
	forks, err := r.store.Forks()
	if err != nil || len(forks) != 1 || forks[0].Seq != 5 {
		t.Errorf("evidence: %v (%v)", forks, err)
	}
	same(t, r.store, append(ours, next...))
}

// What waits of a feed that turns out to be forked will never attach: it waits no
// more, takes no room, and nothing is asked for before it.
func TestWaitingOfForked(t *testing.T) {
	s := openStore(t)
	r := startOn(t, s, ingest.Config{})
	in := r.Open(ingest.Source{})
	ours, head := grow(t, pair(1), message.Head{}, 3, "hello")
	next, _ := grow(t, pair(1), head, 2, "ours")
	other, _ := grow(t, pair(1), head, 700, "theirs")
	add(t, in, ours...)
	add(t, in, next...)
	expect(t, "ours", flush(t, in), "messages=5 new=5 newfeeds=1")
	add(t, in, other[3:]...) // before and after
	sum := flush(t, in)
	expect(t, "theirs", sum, "messages=697 waiting=697")
	add(t, in, other[:3]...)
	sum = flush(t, in)
	if sum.Forked != 1 || sum.Waiting != 0 || len(sum.Gaps) != 0 {
		t.Errorf("%s, gaps %v", counts(sum), sum.Gaps)
	}
	if w, err := s.WaitingStats(); err != nil || w != (store.Waiting{}) {
		t.Errorf("waiting: %+v, %v", w, err)
	}
	// What an earlier version left goes at the next start.
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	left, err := message.Verify(other[600], nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddWaiting([]*message.Message{left}, store.WaitingLimits{}); err != nil {
		t.Fatal(err)
	}
	r = startOn(t, s, ingest.Config{})
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		w, err := s.WaitingStats()
		if err != nil || time.Since(began) > time.Minute {
			t.Fatalf("waiting: %+v, %v", w, err)
		}
		if w == (store.Waiting{}) {
			break
		}
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	same(t, s, append(ours, next...))
}

// What waits when the pipeline ends is tried again by the next one.
func TestWaitingResumes(t *testing.T) {
	s := openStore(t)
	raws := feed(t, 1, 700)
	r := startOn(t, s, ingest.Config{})
	in := r.Open(ingest.Source{})
	add(t, in, raws[1:]...)
	expect(t, "without the first", flush(t, in), "messages=699 waiting=699")
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	first, err := message.Verify(raws[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append([]*message.Message{first}); err != nil {
		t.Fatal(err)
	}
	r = startOn(t, s, ingest.Config{})
	for seq := uint64(1); seq < 700; seq++ {
		if err := s.Wait(context.Background(), seq); err != nil {
			t.Fatal(err)
		}
	}
	in = r.Open(ingest.Source{})
	add(t, in, raws[699])
	flush(t, in)
	r.stop()
	same(t, s, raws)
}

// Two intakes each bring every second message: neither alone attaches.
func TestTwoHalves(t *testing.T) {
	r := start(t, ingest.Config{})
	even, odd := r.Open(ingest.Source{Name: "even"}), r.Open(ingest.Source{Name: "odd"})
	raws := feed(t, 1, 60)
	for n := 1; n < len(raws); n += 2 {
		add(t, even, raws[n])
	}
	e := flush(t, even)
	expect(t, "even", e, "messages=30 waiting=30")
	for n := 0; n < len(raws); n += 2 {
		add(t, odd, raws[n])
	}
	expect(t, "odd", flush(t, odd), "messages=30 new=60 retried=30 newfeeds=1")
	same(t, r.store, raws)
	sum := backwards(t, even, feed(t, 2, 12))
	if sum.New != 12 || sum.Messages != 12 {
		t.Error(counts(sum))
	}
}
