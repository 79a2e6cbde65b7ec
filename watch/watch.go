// Package watch says when media come and go: one stream of events for all
// platforms, for sticks and cards that are mounted and for plain folders that
// a user named.
//
// On Linux mounts are noticed by poll(2) on /proc/self/mountinfo and pulled
// devices by the kernel's uevents; on macOS and Windows the list of volumes is
// looked at several times a second. Plain folders are watched with fsnotify
// where they hold ssbsync/, and looked through again every Config.Rescan.
//
// Nothing is kept open on a medium, neither a file nor a watch, so that it can
// be unmounted at any time. What is on a removable medium is for the reader of
// the events to look at, once, when it was mounted.
//
// Labels and paths of media are chosen by strangers: a path may hold any
// character that the file system allows, so quote it before printing it.
package watch

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"
)

// Defaults of Config.
const (
	// DefaultSettle is how long a folder must be at rest before its change is
	// told.
	DefaultSettle = 2 * time.Second
	// DefaultRescan is how often everything is looked at without being told to.
	DefaultRescan = time.Minute
)

// Kind is what happened to a medium.
type Kind int

const (
	// Mounted: the medium is there. Everything that is there when Run starts
	// is told as Mounted first.
	Mounted Kind = 1 + iota
	// Unmounted: the medium is gone, was pulled, or was covered by another one
	// mounted over it. The event carries the medium as it was.
	Unmounted
	// Changed: files in a plain folder changed and are at rest again, or a
	// medium became writable or read-only. It may also be told once without a
	// change, where a look of a folder could have come too late.
	Changed
)

// String returns the name of the kind in lower case.
func (k Kind) String() string {
	switch k {
	case Mounted:
		return "mounted"
	case Unmounted:
		return "unmounted"
	case Changed:
		return "changed"
	}
	return "unknown"
}

// Event says what happened to which medium.
type Event struct {
	Kind   Kind
	Medium Medium
}

// Medium is a mounted file system or a plain folder. What the platform does
// not tell is empty.
type Medium struct {
	// Path is where it is mounted, or the folder with links resolved. At one
	// time there is at most one medium for a path.
	Path string
	// Device is /dev/sdb1, an export of a file server, or E: on Windows.
	Device string
	// Label is the name that its owner gave the file system: valid UTF-8
	// without control characters, at most 256 bytes.
	Label string
	// UUID is the file system's own identifier, as printed by the platform.
	UUID string
	// FSType is the platform's name of the file system: vfat, exfat, ext4, …
	FSType string
	// ReadOnly is true when it is mounted read-only.
	ReadOnly bool
	// Removable is true when the device can be taken away: a stick, a card, a
	// disc, a disk behind USB.
	Removable bool
	// Loop is true when the device is a file in another file system.
	Loop bool
	// Folder is true when the path was named in Config.Folders; the other
	// fields then describe the file system that it lies on.
	Folder bool
}

// Config says what to watch. The zero value watches mounted media only.
type Config struct {
	// Folders are plain folders to watch. They need not exist yet.
	Folders []string
	// Settle is how long a folder must be at rest before Changed is told;
	// 0 means DefaultSettle. A folder that never rests is told after 60 times
	// this.
	Settle time.Duration
	// Rescan is how often everything is looked at even when nothing was heard;
	// 0 means DefaultRescan.
	Rescan time.Duration
}

// Watcher tells when media come and go. Its methods may be used from any
// goroutine.
type Watcher struct {
	settle, rescan time.Duration
	open           func() (source, error)
	wake           chan struct{} // capacity 1: the fields below changed

	mu      sync.Mutex // guards what follows
	running bool
	named   []string // absolute and clean
	ignored map[string]int
	resumed []resumption
}

// New returns a watcher that does nothing until Run.
func New(c Config) (*Watcher, error) {
	w := &Watcher{
		settle:  c.Settle,
		rescan:  c.Rescan,
		open:    openSource,
		wake:    make(chan struct{}, 1),
		ignored: map[string]int{},
	}
	if w.settle <= 0 {
		w.settle = DefaultSettle
	}
	if w.rescan <= 0 {
		w.rescan = DefaultRescan
	}
	if err := w.SetFolders(c.Folders); err != nil {
		return nil, err
	}
	return w, nil
}

// SetFolders replaces the plain folders that are watched, also while Run runs:
// those no longer named are told as Unmounted, new ones as Mounted. The only
// error is a working directory that cannot be found.
func (w *Watcher) SetFolders(folders []string) error {
	named := make([]string, 0, len(folders))
	for _, f := range folders {
		abs, err := filepath.Abs(f)
		if err != nil {
			return fmt.Errorf("folder %q: %v", f, err)
		}
		named = append(named, abs)
	}
	w.mu.Lock()
	w.named = named
	w.mu.Unlock()
	signal(w.wake)
	return nil
}

// Run calls handle for every event, one after the other, until ctx ends; then
// it returns nil. It returns early with an error when media can no longer be
// watched. Events wait while handle runs, so a long visit belongs into a
// goroutine of its own, which Unmounted can then cancel. After Run returned,
// nothing of it is left running or open, and it may be called again.
func (w *Watcher) Run(ctx context.Context, handle func(Event)) error {
	if !w.start() {
		return errors.New("the watcher runs already")
	}
	defer w.stop()
	src, err := w.open()
	if err != nil {
		return fmt.Errorf("watching media: %v", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	r := &run{
		src:     src,
		handle:  handle,
		rescan:  w.rescan,
		changed: make(chan struct{}, 1),
	}
	r.folders = newFolders(w, r.changed)
	var helpers sync.WaitGroup
	helpers.Go(func() { r.folders.run(ctx) })
	helpers.Go(func() {
		if err := src.wait(ctx, func() { signal(r.changed) }); err != nil {
			cancel(&failure{err})
		}
	})
	err = r.loop(ctx)
	cancel(nil)
	helpers.Wait()
	return err
}

func (w *Watcher) start() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running {
		return false
	}
	w.running = true
	return true
}

func (w *Watcher) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running = false
	w.resumed = nil
}

// Media returns the media that are mounted now, by path. Plain folders are
// not among them.
func Media() ([]Medium, error) {
	src, err := openSource()
	if err != nil {
		return nil, fmt.Errorf("listing media: %v", err)
	}
	mounts, err := src.list()
	if err != nil {
		return nil, fmt.Errorf("listing media: %v", err)
	}
	now := present(mounts, nil)
	media := make([]Medium, 0, len(now))
	for _, path := range sortedPaths(now) {
		media = append(media, now[path].medium)
	}
	return media, nil
}

// signal says that there is more, without waiting for who listens.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
