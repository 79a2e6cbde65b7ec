package store_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/store"
)

// TestFollowers lets many goroutines follow the log with a cursor each while
// messages come in.
func TestFollowers(t *testing.T) {
	s := temp(t)
	f := feed(t, 60, author(1))
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() { follow(t, s, len(f)) })
	}
	for i := 0; i < len(f); i += 3 {
		mustAppend(t, s, store.Stored, f[i:i+3]...)
	}
	group.Wait()
}

// follow reads the first n messages as they come.
func follow(t *testing.T, s *store.Store, n int) {
	var after uint64
	for int(after) < n {
		if err := s.Wait(background, after); err != nil {
			t.Error(err)
			return
		}
		page, err := s.LogPage(after, 0, 7, false)
		if err != nil || len(page) == 0 {
			t.Errorf("woken after %d for %d messages, %v", after, len(page), err)
			return
		}
		after = page[len(page)-1].Rx
	}
}

func TestChanged(t *testing.T) {
	s := temp(t)
	f := feed(t, 3, author(1))
	changed := s.Changed(0)
	select {
	case <-changed:
		t.Error("an empty store has changed")
	default:
	}
	mustAppend(t, s, store.Gap, f[1])
	select {
	case <-changed:
		t.Error("a message that was not stored wakes")
	default:
	}
	mustAppend(t, s, store.Stored, f[0])
	<-changed
	<-s.Changed(0)
	select {
	case <-s.Changed(1):
		t.Error("nothing came after the first")
	default:
	}
}

func TestWaitEnds(t *testing.T) {
	s := temp(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := s.Wait(ctx, 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("deadline: %v", err)
	}
	result := make(chan error)
	go func() { result <- s.Wait(background, 0) }()
	time.Sleep(time.Millisecond)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	isErr(t, 0, <-result, store.ErrClosed)
	isErr(t, 1, s.Wait(background, 0), store.ErrClosed)
	<-s.Changed(0)
}

func TestClosed(t *testing.T) {
	s := temp(t)
	f := feed(t, 1, author(1))
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	_, err1 := s.Append(f)
	_, err2 := s.LogPage(0, 0, 0, false)
	_, err3 := s.Table("x").Get([]byte("k"))
	_, err4 := s.Check(t.Context(), store.CheckOptions{})
	for i, err := range []error{err1, err2, err3, err4, s.RenewID()} {
		isErr(t, i, err, store.ErrClosed)
	}
}
