package watch_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/watch"
)

// A long time for what must happen, a short one for what must not.
const (
	soon  = 10 * time.Second
	never = 300 * time.Millisecond
)

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// started runs a watcher until the end of the test and returns its events.
func started(t testing.TB, w *watch.Watcher) (events chan watch.Event, end func()) {
	t.Helper()
	if in, out, err := os.Pipe(); err == nil { // the runtime opens its poller with the first
		in.Close()
		out.Close()
	}
	goroutines, descriptors := runtime.NumGoroutine(), openDescriptors(t)
	events = make(chan watch.Event, 1_000)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx, func(e watch.Event) { events <- e }) }()
	ended := false
	end = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(soon):
			t.Error("Run does not end")
			return
		}
		noLeaks(t, goroutines, descriptors)
	}
	t.Cleanup(end)
	return events, end
}

// openDescriptors counts the process's open files, 0 where that is not known.
func openDescriptors(t testing.TB) int {
	t.Helper()
	names, _ := os.ReadDir("/proc/self/fd")
	return len(names)
}

// noLeaks compares with what was there before; goroutines that were told to end
// get a moment to do so.
func noLeaks(t testing.TB, goroutines, descriptors int) {
	t.Helper()
	var g, d int
	for deadline := time.Now().Add(soon); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		g, d = runtime.NumGoroutine(), openDescriptors(t)
		if g <= goroutines && d <= descriptors {
			return
		}
	}
	t.Errorf("after Run %d goroutines and %d descriptors, before it %d and %d", g, d, goroutines, descriptors)
}

// expect takes the next events that concern path or what lies below it, and
// compares them with "mounted /path" and so on, paths relative to path.
func expect(t testing.TB, events chan watch.Event, path string, want ...string) watch.Event {
	t.Helper()
	var e watch.Event
	for _, w := range want {
		timeout := time.After(soon)
		for found := false; !found; {
			select {
			case e = <-events:
				rel, below := strings.CutPrefix(e.Medium.Path, path)
				if !below {
					continue
				}
				if got := strings.TrimSpace(e.Kind.String() + " " + rel); got != w {
					t.Fatalf("got %q, want %q (%+v)", got, w, e)
				}
				found = true
			case <-timeout:
				t.Fatalf("no event, want %q", w)
			}
		}
	}
	return e
}

// silence fails when something is told about path.
func silence(t testing.TB, events chan watch.Event, path string, during time.Duration) {
	t.Helper()
	timeout := time.After(during)
	for {
		select {
		case e := <-events:
			if strings.HasPrefix(e.Medium.Path, path) {
				t.Fatalf("unexpected event: %v %+v", e.Kind, e.Medium)
			}
		case <-timeout:
			return
		}
	}
}

// rest takes what is told during some settle times.
func rest(events chan watch.Event) {
	timeout := time.After(5 * settle)
	for {
		select {
		case <-events:
		case <-timeout:
			return
		}
	}
}
