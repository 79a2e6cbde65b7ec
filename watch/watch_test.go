package watch_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/watch"
)

// mounts is a list of mounts that a test changes.
type mounts struct {
	mu      sync.Mutex
	list    []watch.FakeMount
	err     error
	changed chan error
}

func (m *mounts) get() ([]watch.FakeMount, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.list, m.err
}

// set replaces the list: "/a x" is a mount at /a with the id x, "!" before it
// marks one to skip, "ro" after it a read-only one, "usb" a removable one.
func (m *mounts) set(list ...string) {
	m.mu.Lock()
	m.list = nil
	for _, s := range list {
		f := strings.Fields(strings.TrimPrefix(s, "!"))
		m.list = append(m.list, watch.FakeMount{
			Medium: watch.Medium{Path: f[0], Device: f[1], ReadOnly: slices.Contains(f, "ro"), Removable: slices.Contains(f, "usb")},
			ID:     f[1],
			Skip:   strings.HasPrefix(s, "!"),
		})
	}
	m.mu.Unlock()
	select {
	case m.changed <- nil:
	default:
	}
}

func fake(t *testing.T, c watch.Config, list ...string) (*mounts, *watch.Watcher) {
	t.Helper()
	m := &mounts{changed: make(chan error, 1)}
	m.set(list...)
	w, err := watch.NewFake(c, m.get, m.changed)
	if err != nil {
		t.Fatal(err)
	}
	return m, w
}

func TestMountsComeAndGo(t *testing.T) {
	steps := []struct{ list, want []string }{
		{[]string{"!/ root", "/m/a 1", "/m/b 2 ro"}, []string{"mounted /m/a", "mounted /m/b"}},
		{[]string{"!/ root", "/m/a 1", "/m/b 2 ro"}, nil},
		{[]string{"/m/b 2 ro", "/m/a 1", "!/ root"}, nil},                          // order is no news
		{[]string{"/m/a 1", "/m/b 2"}, []string{"changed /m/b"}},                   // writable now
		{[]string{"/m/a 3", "/m/b 2"}, []string{"unmounted /m/a", "mounted /m/a"}}, // another one in its place
		{[]string{"/m/a 3", "/m/b 2", "/m/a/x 4"}, []string{"mounted /m/a/x"}},
		{[]string{"/m/b 2"}, []string{"unmounted /m/a/x", "unmounted /m/a"}}, // the inner first
		{[]string{"!/m/b 2"}, []string{"unmounted /m/b"}},                    // pulled
		{[]string{"/m/b 2"}, []string{"mounted /m/b"}},
		{nil, []string{"unmounted /m/b"}},
	}
	m, w := fake(t, watch.Config{}, steps[0].list...)
	events, end := started(t, w)
	for i, s := range steps {
		m.set(s.list...)
		expect(t, events, "", s.want...)
		if s.want == nil {
			silence(t, events, "", 50*time.Millisecond)
		}
		t.Logf("step %d: %q", i, s.want)
	}
	end()
}

func TestUnmountedTellsWhatWasThere(t *testing.T) {
	m, w := fake(t, watch.Config{}, "/m/a first")
	events, _ := started(t, w)
	expect(t, events, "", "mounted /m/a")
	m.set("/m/a second usb")
	if e := expect(t, events, "", "unmounted /m/a"); e.Medium.Device != "first" || e.Medium.Removable {
		t.Errorf("unmounted %+v", e.Medium)
	}
	if e := expect(t, events, "", "mounted /m/a"); e.Medium.Device != "second" || !e.Medium.Removable {
		t.Errorf("mounted %+v", e.Medium)
	}
}

// The list is read again even when the system says nothing.
func TestRescanOfMounts(t *testing.T) {
	m, w := fake(t, watch.Config{Rescan: 20 * time.Millisecond})
	events, _ := started(t, w)
	silence(t, events, "", 50*time.Millisecond)
	m.mu.Lock()
	m.list = []watch.FakeMount{{Medium: watch.Medium{Path: "/m/a"}, ID: "1"}}
	m.mu.Unlock()
	expect(t, events, "", "mounted /m/a")
}

func TestRunEnds(t *testing.T) {
	t.Run("with the context", func(t *testing.T) {
		_, w := fake(t, watch.Config{}, "/m/a 1", "/m/b 2")
		ctx, cancel := context.WithCancel(context.Background())
		told := 0
		if err := w.Run(ctx, func(watch.Event) { told++; cancel() }); err != nil || told != 1 {
			t.Errorf("Run: %v, %d events after the context ended with the first", err, told)
		}
	})
	t.Run("before it began", func(t *testing.T) {
		_, w := fake(t, watch.Config{}, "/m/a 1")
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := w.Run(ctx, func(e watch.Event) { t.Errorf("told %v", e) }); err != nil {
			t.Error(err)
		}
	})
	t.Run("when the list fails at once", func(t *testing.T) {
		m, w := fake(t, watch.Config{})
		m.err = errors.New("no such list")
		err := w.Run(t.Context(), func(watch.Event) {})
		if err == nil || !strings.Contains(err.Error(), "no such list") {
			t.Errorf("Run: %v", err)
		}
	})
	t.Run("when waiting fails", func(t *testing.T) {
		m, w := fake(t, watch.Config{}, "/m/a 1")
		err := w.Run(t.Context(), func(watch.Event) {
			m.changed <- errors.New("deaf")
		})
		if err == nil || !strings.Contains(err.Error(), "deaf") {
			t.Errorf("Run: %v", err)
		}
	})
}

// A list that fails later is asked for again, and what was told stays.
func TestListFailsForAWhile(t *testing.T) {
	m, w := fake(t, watch.Config{}, "/m/a 1")
	events, _ := started(t, w)
	expect(t, events, "", "mounted /m/a")
	m.mu.Lock()
	m.err = errors.New("too many open files")
	m.mu.Unlock()
	m.set("/m/b 2")
	silence(t, events, "", 50*time.Millisecond)
	m.mu.Lock()
	m.err = nil
	m.mu.Unlock()
	expect(t, events, "", "unmounted /m/a", "mounted /m/b")
}

func TestRunAgain(t *testing.T) {
	_, w := fake(t, watch.Config{Folders: []string{t.TempDir()}}, "/m/a 1")
	for range 3 {
		events, end := started(t, w)
		seen := []string{(<-events).Kind.String(), (<-events).Kind.String()}
		if seen[0] != "mounted" || seen[1] != "mounted" {
			t.Errorf("told %q", seen)
		}
		if err := w.Run(t.Context(), nil); err == nil {
			t.Error("two Runs at a time")
		}
		end()
	}
}

// The machine's own media, whatever they are, can be listed and watched.
func TestThisMachine(t *testing.T) {
	media, err := watch.Media()
	if err != nil {
		t.Fatal(err)
	}
	w, err := watch.New(watch.Config{})
	if err != nil {
		t.Fatal(err)
	}
	events, end := started(t, w)
	for _, m := range media {
		select {
		case e := <-events:
			if e.Kind != watch.Mounted || e.Medium != m {
				t.Errorf("told %v %+v, listed %+v", e.Kind, e.Medium, m)
			}
		case <-time.After(soon):
			t.Fatalf("%+v is listed but not told", m)
		}
	}
	end()
	t.Logf("%d media: %+v", len(media), media)
}
