package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/sync/ingest"
)

// Several intakes hand over the same corpus at the same time, in different
// orders and portions: the store is the same as ever.
func TestInterleavings(t *testing.T) {
	for seed := range uint64(2 * series) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := start(t, small())
			sums := make([]ingest.Summary, 4)
			var wg sync.WaitGroup
			for n := range sums {
				wg.Go(func() { sums[n] = interleave(t, r, seed*10+uint64(n)) })
			}
			wg.Wait()
			var sum ingest.Summary
			for _, s := range sums {
				sum.Merge(s)
			}
			same(t, r.store, corpus())
			if sum.New != int64(len(corpus())) || sum.Messages != int64(4*len(corpus())) || sum.NewFeeds != 7 {
				t.Error(counts(sum))
			}
			t.Log(counts(sum))
		})
	}
}

// interleave hands the corpus over with a Flush now and then. Of four intakes
// one has it in order.
func interleave(t *testing.T, r *rig, seed uint64) (sum ingest.Summary) {
	rng := rand.New(rand.NewPCG(seed, 1))
	raws := corpus()
	if seed%10 != 0 {
		raws = shuffled(raws, seed)
	}
	in := r.Open(ingest.Source{Name: fmt.Sprint(seed)})
	for _, raw := range raws {
		if rng.IntN(3) == 0 {
			raw = respell(t, raw)
		}
		add(t, in, raw)
		if rng.IntN(40) == 0 {
			sum.Merge(flush(t, in))
		}
	}
	sum.Merge(flush(t, in))
	return sum
}

// The data set goes in by two intakes at once and comes out complete.
func TestDataSet(t *testing.T) {
	t.Setenv("SSBSYNC_DATA", "")
	r := start(t, ingest.Config{})
	raws := dataSet(t)
	var wg sync.WaitGroup
	for n := range 2 {
		wg.Go(func() {
			in := r.Open(ingest.Source{Name: fmt.Sprint(n)})
			add(t, in, raws...)
			t.Log(counts(flush(t, in)))
		})
	}
	wg.Wait()
	same(t, r.store, raws)
}

// A store that is slow makes Add wait, at a bound; ctx ends the wait, and what
// Add did not take is not there.
func TestBackPressure(t *testing.T) {
	s := openStore(t)
	open := make(chan struct{})
	const memory = 200 << 10
	r := startOn(t, s, ingest.Config{
		Memory: memory,
		Store:  &faulty{Store: s, before: func() error { <-open; return nil }},
	})
	in := r.Open(ingest.Source{})
	raws := corpus()
	ctx, cancel := context.WithCancel(context.Background())
	var taken, size atomic.Int64
	ended := make(chan error)
	go func() {
		for {
			for _, raw := range raws {
				if err := in.Add(ctx, raw); err != nil {
					ended <- err
					return
				}
				taken.Add(1)
				size.Add(int64(len(raw)))
			}
		}
	}()
	for last := int64(-1); last != taken.Load(); time.Sleep(50 * time.Millisecond) {
		last = taken.Load()
	}
	if got := size.Load(); got > memory || got < memory/4 {
		t.Errorf("%d bytes taken, the bound is %d", got, memory)
	}
	t.Logf("blocked after %d messages of %d bytes", taken.Load(), size.Load())
	if _, err := in.Flush(canceled()); !errors.Is(err, context.Canceled) {
		t.Errorf("Flush: %v", err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Add: %v", err)
	}
	close(open)
	if sum := flush(t, in); sum.Messages != taken.Load() {
		t.Errorf("%d messages taken, %s", taken.Load(), counts(sum))
	}
	add(t, in, raws...)
	flush(t, in)
	same(t, s, raws)
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// Run ends at a random moment: what Add took is stored, nothing else, and
// another run completes it.
func TestStopAnywhere(t *testing.T) {
	for seed := range uint64(2 * series) {
		s := openStore(t)
		r := startOn(t, s, small())
		in := r.Open(ingest.Source{})
		rng := rand.New(rand.NewPCG(seed, 2))
		halfway := rng.IntN(len(corpus()))
		var taken int
		for n, raw := range corpus() {
			if n == halfway {
				go r.halt()
			}
			if err := in.Add(context.Background(), raw); err != nil {
				stopped(t, "Add", err, nil)
				break
			}
			taken++
		}
		sum, err := in.Flush(context.Background())
		if err != nil || sum.Messages != int64(taken) || sum.New != int64(taken) {
			t.Errorf("took %d: %s, %v", taken, counts(sum), err)
		}
		if err := r.stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
		same(t, s, corpus()[:taken])
		r = startOn(t, s, small())
		in = r.Open(ingest.Source{})
		add(t, in, corpus()...)
		expect(t, "completing", flush(t, in), summaryOf(taken))
		same(t, s, corpus())
	}
}

// summaryOf is what handing over the corpus says when n of it are there.
func summaryOf(n int) string {
	s := ingest.Summary{Messages: int64(len(corpus())), New: int64(len(corpus()) - n), Duplicate: int64(n)}
	s.NewFeeds = max(0, 7-int64(n))
	return counts(s)
}

// A pipeline that never runs takes what it has room for, and says so.
func TestNotRunning(t *testing.T) {
	p := ingest.New(ingest.Config{Store: openStore(t)})
	in := p.Open(ingest.Source{})
	add(t, in, corpus()[:10]...)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := in.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Flush: %v", err)
	}
	if err := p.Run(canceled()); err != nil {
		t.Fatal(err)
	}
	if s, err := in.Flush(context.Background()); err != nil || s.New != 10 {
		t.Errorf("%s, %v", counts(s), err)
	}
}

// The store fails, with and without having stored: everyone is told, nothing
// hangs, and another pipeline completes the job.
func TestStoreFails(t *testing.T) {
	for _, applied := range []bool{false, true} {
		for fails := range 4 {
			t.Run(fmt.Sprint(applied, fails), func(t *testing.T) { storeFails(t, applied, fails) })
		}
	}
}

func storeFails(t *testing.T, applied bool, fails int) {
	s := openStore(t)
	n := 0
	fail := func() error {
		if n++; n > fails {
			return fmt.Errorf("committing: %w", syscall.EIO)
		}
		return nil
	}
	f := &faulty{Store: s, before: fail}
	if applied {
		f.before, f.after = nil, fail
	}
	cfg := small()
	cfg.Store, cfg.Memory = f, 1 // blocks early
	r := startOn(t, s, cfg)
	in := r.Open(ingest.Source{})
	var err error
	for _, raw := range corpus() {
		if err = in.Add(context.Background(), raw); err != nil {
			break
		}
	}
	if err != nil {
		stopped(t, "Add", err, syscall.EIO)
	}
	_, err = in.Flush(context.Background())
	stopped(t, "Flush", err, syscall.EIO)
	stopped(t, "Add after", in.Add(context.Background(), corpus()[0]), syscall.EIO)
	if err := r.stop(); !errors.Is(err, syscall.EIO) {
		t.Errorf("Run: %v", err)
	}
	checkStore(t, s)
	r = startOn(t, s, small())
	in = r.Open(ingest.Source{})
	add(t, in, corpus()...)
	flush(t, in)
	same(t, s, corpus())
}

// The waiting area fails.
func TestWaitingFails(t *testing.T) {
	s := openStore(t)
	r := startOn(t, s, ingest.Config{Store: &noWaiting{s, syscall.EIO}})
	in := r.Open(ingest.Source{})
	add(t, in, corpus()[8])
	_, err := in.Flush(context.Background())
	stopped(t, "Flush", err, syscall.EIO)
}
