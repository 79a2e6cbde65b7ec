package watch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A mount is one entry of the platform's list of mounted file systems.
type mount struct {
	medium Medium
	id     string // another one mounted at the same path has another id
	skip   bool   // no medium that comes and goes: it only says what folders lie on
}

// A source is a platform's list of mounts.
type source interface {
	// list returns what is mounted and visible now. It is called by one
	// goroutine at a time.
	list() ([]mount, error)
	// wait calls changed whenever list may return something new, and returns
	// nil when ctx ended. It may call changed too often, never too rarely, and
	// calls it once when it is ready.
	wait(ctx context.Context, changed func()) error
}

// How often, and after which time, a list that failed is asked for again.
const (
	listTries = 30
	listAgain = time.Second
)

// failure is the cause with which a helper ends a run.
type failure struct{ err error }

func (f *failure) Error() string { return f.err.Error() }

// A run is the part of Run that owns what was told. All fields belong to the
// goroutine that called Run.
type run struct {
	src     source
	handle  func(Event)
	rescan  time.Duration
	changed chan struct{}
	folders *folders
	mounts  []mount
	failed  int              // times in a row that the list failed
	again   <-chan time.Time // when to ask for the list after it failed
	told    map[string]entry
}

func (r *run) loop(ctx context.Context) error {
	rescan := time.NewTicker(r.rescan)
	defer rescan.Stop()
	relist := true
	for {
		if relist {
			if err := r.list(); err != nil {
				return err
			}
		}
		if !r.tell(ctx) {
			return ended(ctx)
		}
		relist = true
		select {
		case <-ctx.Done():
			return ended(ctx)
		case <-r.changed:
		case <-r.again:
		case <-rescan.C:
		case <-r.folders.news:
			relist = false
		}
	}
}

// list asks the source. Once it worked, some failures are borne: a process
// that is short of descriptors gets them back.
func (r *run) list() error {
	mounts, err := r.src.list()
	if err == nil {
		r.mounts, r.failed = mounts, 0
		r.folders.setMounts(mounts)
		return nil
	}
	r.failed++
	if r.told == nil || r.failed > listTries {
		return fmt.Errorf("listing media: %v", err)
	}
	r.again = time.After(listAgain)
	return nil
}

// ended tells the end of a caller's context from a helper's failure.
func ended(ctx context.Context) error {
	var f *failure
	if errors.As(context.Cause(ctx), &f) {
		return fmt.Errorf("watching media: %v", f.err)
	}
	return nil
}

// tell hands out what differs from what was told before. It reports whether
// it could finish before ctx ended.
func (r *run) tell(ctx context.Context) bool {
	now := present(r.mounts, r.folders.states())
	events := diff(r.told, now)
	r.told = now
	for _, e := range events {
		if ctx.Err() != nil {
			return false
		}
		r.handle(e)
	}
	return true
}

// An entry is what is known of the medium at one path.
type entry struct {
	medium Medium
	id     string // of the mount or the folder
	gen    uint64 // grows when files of a folder changed
}

// present puts mounts and folders together: one medium for a path.
func present(mounts []mount, folders []folderState) map[string]entry {
	now := map[string]entry{}
	for _, m := range mounts {
		if !m.skip {
			now[m.medium.Path] = entry{medium: m.medium, id: m.id}
		}
	}
	for _, f := range folders {
		on := holding(mounts, f.path)
		e, mounted := now[f.path]
		e.medium.Folder = true
		switch {
		case f.on == on.id && mounted:
			e.gen = f.gen
		case f.on == on.id:
			e = entry{medium: on.medium, id: fmt.Sprintf("%s, folder %d", f.on, f.ident), gen: f.gen}
			e.medium.Path, e.medium.Folder = f.path, true
		case !mounted:
			continue // seen before something was mounted: it is looked at again
		}
		now[f.path] = e
	}
	return now
}

// holding returns the mount that path lies on, an empty one when it is not
// known.
func holding(mounts []mount, path string) mount {
	var best mount
	for _, m := range mounts {
		if within(path, m.medium.Path) && len(m.medium.Path) >= len(best.medium.Path) {
			best = m
		}
	}
	return best
}

// within reports whether path is dir or lies below it. Both are clean.
func within(path, dir string) bool {
	if path == dir {
		return true
	}
	sep := string(filepath.Separator)
	return strings.HasPrefix(path, strings.TrimSuffix(dir, sep)+sep)
}

// diff returns the events that lead from old to now: what is gone first, the
// inner before the outer, then the rest by path.
func diff(old, now map[string]entry) []Event {
	var events []Event
	gone := sortedPaths(old)
	slices.Reverse(gone)
	for _, path := range gone {
		if e, stays := now[path]; !stays || e.id != old[path].id {
			events = append(events, Event{Unmounted, old[path].medium})
		}
	}
	for _, path := range sortedPaths(now) {
		e := now[path]
		o, was := old[path]
		switch {
		case !was || o.id != e.id:
			events = append(events, Event{Mounted, e.medium})
		case o.gen < e.gen, o.medium.ReadOnly != e.medium.ReadOnly:
			events = append(events, Event{Changed, e.medium})
		}
	}
	return events
}

func sortedPaths(m map[string]entry) []string {
	return slices.Sorted(maps.Keys(m))
}
