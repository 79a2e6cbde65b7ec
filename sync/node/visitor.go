package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/ssbsync/ssbsync/watch"
)

// mediaSource tells when media come and go: a watch.Watcher, or that of a test.
type mediaSource interface {
	Run(ctx context.Context, handle func(watch.Event)) error
	SetFolders(folders []string) error
	Ignore(path string) (resume func(own ...string))
}

// newMediaSource makes the source of a visitor.
type newMediaSource func(watch.Config) (mediaSource, error)

func watchMedia(c watch.Config) (mediaSource, error) { return watch.New(c) }

var (
	errUnmounted = errors.New("the medium was removed")
	errStopping  = fmt.Errorf("the program ends: %w", context.Canceled)
)

// visitor visits media while Run runs: a goroutine for each medium, of which
// one at a time visits.
type visitor struct {
	node    *Node
	options MediaOptions
	source  mediaSource
	turn    chan struct{} // holds a token while a visit is under way

	ctx   context.Context // of all keepers
	group sync.WaitGroup  // of all keepers

	mu      sync.Mutex         // guards what follows
	keepers map[string]*keeper // by path
}

func (n *Node) newVisitor(o MediaOptions) (*visitor, error) {
	v := &visitor{node: n, options: o, turn: make(chan struct{}, 1), keepers: make(map[string]*keeper)}
	folders, err := v.folders()
	if err != nil {
		return nil, err
	}
	v.source, err = n.mediaSource(watch.Config{Folders: folders, Settle: o.Settle})
	return v, err
}

// folders lists the plain folders to watch.
func (v *visitor) folders() ([]string, error) {
	enrolled, err := v.node.enrolments()
	if err != nil {
		return nil, err
	}
	folders := slices.Clone(v.options.Folders)
	for _, e := range enrolled {
		if e.Folder != "" {
			folders = append(folders, e.Folder)
		}
	}
	return folders, nil
}

// run visits until ctx ends, and returns when no visit is under way any more.
// It calls started when others can find it.
func (v *visitor) run(ctx context.Context, started func()) error {
	keeping, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	v.ctx = keeping
	v.node.visitor.Store(v)
	started()
	v.followNews(keeping)
	err := v.source.Run(ctx, v.handle)
	stop(errStopping)
	v.node.visitor.Store(nil)
	v.group.Wait()
	return err
}

// handle takes note of an event and returns at once. It is called by one
// goroutine.
func (v *visitor) handle(e watch.Event) {
	path := e.Medium.Path
	switch e.Kind {
	case watch.Mounted:
		if media := v.node.config.Ssbsync.Watch.Media; media != nil && !*media && !e.Medium.Folder {
			return
		}
		k := v.keep(e.Medium)
		k.poke(becauseMounted)
		v.group.Go(k.run)
	case watch.Changed:
		if k := v.keeper(path); k != nil {
			k.changed(e.Medium)
		}
	case watch.Unmounted:
		v.mu.Lock()
		k := v.keepers[path]
		delete(v.keepers, path)
		v.mu.Unlock()
		if k != nil {
			k.unmounted()
		}
	}
}

// keep makes the keeper of a medium that was just mounted.
func (v *visitor) keep(m watch.Medium) *keeper {
	k := newKeeper(v, m)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.keepers[m.Path] = k
	return k
}

// keeper returns that of the medium at a path as watch writes it, or nil.
func (v *visitor) keeper(path string) *keeper {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.keepers[path]
}

// all returns the keepers by path.
func (v *visitor) all() []*keeper {
	v.mu.Lock()
	defer v.mu.Unlock()
	list := make([]*keeper, 0, len(v.keepers))
	for _, k := range v.keepers {
		list = append(list, k)
	}
	slices.SortFunc(list, func(a, b *keeper) int { return cmp.Compare(a.path, b.path) })
	return list
}

// enrolled makes the visitor attend to a folder that was just enrolled.
func (v *visitor) enrolled(path string) error {
	folders, err := v.folders()
	if err == nil {
		err = v.source.SetFolders(folders)
	}
	if err != nil {
		return err
	}
	if k := v.keeper(resolved(path)); k != nil {
		k.poke(becauseTold)
	}
	return nil
}

// resolved returns a path as watch writes it: without links.
func resolved(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return filepath.Clean(path)
}

// followNews tells the keepers of plain folders that there is something new for
// them. Media that are pulled are left alone: that it is safe to remove them was
// said.
func (v *visitor) followNews(ctx context.Context) {
	store, files, asks := v.node.store, v.node.blobs.files, &v.node.blobs.asks
	v.group.Go(func() { v.follow(ctx, store.Last, store.Wait) })
	v.group.Go(func() { v.follow(ctx, files.Last, files.WaitAdded) })
	v.group.Go(func() { v.follow(ctx, asks.last, asks.wait) })
}

// news counts what a visit of a folder can be for: messages, blobs, and what is
// asked for. It only grows.
func (n *Node) news() uint64 { return n.store.Last() + n.blobs.files.Last() + n.blobs.asks.last() }

// follow follows one of those until ctx ends.
func (v *visitor) follow(ctx context.Context, last func() uint64, wait func(ctx context.Context, after uint64) error) {
	for {
		seen := last()
		for _, k := range v.all() {
			k.grown()
		}
		if wait(ctx, seen) != nil {
			return
		}
		select { // many messages at a time
		case <-ctx.Done():
			return
		case <-time.After(policyPause):
		}
	}
}
