package watch

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// patience is the number of settle times after which a folder that never rests
// is told as changed.
const patience = 60

// folders looks after the plain folders in a goroutine of its own, so that a
// file server that does not answer cannot hold up the news of a stick.
type folders struct {
	w      *Watcher
	relist chan struct{} // capacity 1: the mounts are asked for
	news   chan struct{} // capacity 1: states returns something new
	poke   chan struct{} // capacity 1: the mounts were listed

	mu     sync.Mutex // guards what follows
	mounts []mount
	lists  uint64 // how often they were listed
	shown  []folderState

	// Owned by the goroutine of run:
	list   []*folder
	idents uint64
	live   *notifier
}

// folderState is what the rest of the package learns of a folder that exists.
type folderState struct {
	path  string // links resolved
	on    string // id of the mount that it lies on
	ident uint64 // another one when the folder was replaced
	gen   uint64 // grows with each change of its files that was at rest; 0: nobody looks
}

// A folder is one that a user named. It belongs to the goroutine of run.
type folder struct {
	named string
	state folderState
	info  os.FileInfo // nil: it does not exist
	quiet bool        // lies on a removable medium: never looked into
	doubt uint64      // the list of mounts with which a difference counts; 0: there is none

	told  files     // as of the last change told
	next  files     // as of the last look since it is disturbed, if there was one
	since time.Time // disturbed since; zero: at rest
	due   time.Time // when to look whether it is at rest again
}

func newFolders(w *Watcher, relist chan struct{}) *folders {
	return &folders{w: w, relist: relist, news: make(chan struct{}, 1), poke: make(chan struct{}, 1)}
}

// setMounts hands over what is mounted now.
func (fs *folders) setMounts(mounts []mount) {
	fs.mu.Lock()
	fs.mounts = slices.Clone(mounts)
	fs.lists++
	fs.mu.Unlock()
	signal(fs.poke)
}

// states returns the folders that exist.
func (fs *folders) states() []folderState {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.shown
}

// run looks after the folders until ctx ends.
func (fs *folders) run(ctx context.Context) {
	fs.live = newNotifier()
	defer fs.live.close()
	select { // until then nobody knows what lies on a stick
	case <-ctx.Done():
		return
	case <-fs.poke:
		fs.obey()
		fs.show()
	}
	rescan := time.NewTicker(fs.w.rescan)
	defer rescan.Stop()
	due := time.NewTimer(0)
	defer due.Stop()
	for {
		due.Reset(fs.untilDue(time.Now()))
		select {
		case <-ctx.Done():
			return
		case <-fs.poke:
			fs.checkAll()
		case <-fs.w.wake:
			fs.obey()
		case <-rescan.C:
			fs.checkAll()
			fs.lookAll()
		case e := <-fs.live.events():
			if fs.live.relevant(e) {
				fs.heard(e.Name)
			}
		case <-fs.live.errors():
			fs.lookAll()
		case <-due.C:
			fs.settleDue(time.Now())
		}
		fs.show()
	}
}

// show publishes the states when they differ from those shown before.
func (fs *folders) show() {
	var states []folderState
	for _, f := range fs.list {
		if f.info == nil {
			continue
		}
		s := f.state
		if f.quiet {
			s.gen = 0
		}
		states = append(states, s)
	}
	fs.mu.Lock()
	differs := !slices.Equal(states, fs.shown)
	fs.shown = states
	fs.mu.Unlock()
	if differs {
		signal(fs.news)
	}
}

// obey takes over the list of folders and the ends of visits.
func (fs *folders) obey() {
	named, resumed := fs.w.orders()
	list := make([]*folder, 0, len(named))
	for _, name := range named {
		at := slices.IndexFunc(fs.list, func(f *folder) bool { return f.named == name })
		if at >= 0 {
			list = append(list, fs.list[at])
			continue
		}
		if !slices.ContainsFunc(list, func(f *folder) bool { return f.named == name }) {
			list = append(list, &folder{named: name})
		}
	}
	for _, f := range fs.list {
		if !slices.Contains(list, f) {
			fs.live.watch(f.state.path, nil)
		}
	}
	fs.list = list
	fs.checkAll()
	for _, r := range resumed {
		for _, f := range fs.list {
			if f.state.path == r.path {
				fs.resume(f, r.own)
			}
		}
	}
}

// checkAll sees which folders exist, and whether they may be looked into.
func (fs *folders) checkAll() {
	fs.mu.Lock()
	mounts, lists := fs.mounts, fs.lists
	fs.mu.Unlock()
	for _, f := range fs.list {
		fs.check(f, mounts, lists)
	}
}

// check sees whether a folder is another one than before. It believes that only
// with a list of mounts that was begun after it first saw it, else something
// mounted just now would pass for a folder: that is not the next list, which
// may be under way, but the one after it.
func (fs *folders) check(f *folder, mounts []mount, lists uint64) {
	path, info := locate(f.named)
	on := holding(mounts, path)
	same := f.info != nil && info != nil && f.state.path == path && f.state.on == on.id && os.SameFile(f.info, info)
	if f.doubt == 0 {
		f.doubt = lists + 2
	}
	switch {
	case same || f.info == nil && info == nil:
		f.doubt = 0
		return
	case lists < f.doubt:
		signal(fs.relist)
		return
	}
	f.doubt = 0
	f.info = info
	fs.live.watch(f.state.path, nil)
	fs.idents++
	// Who visited since the mount was told may have read before this look:
	// hence another gen.
	f.state = folderState{path: path, on: on.id, ident: fs.idents, gen: f.state.gen + 1}
	f.quiet = on.medium.Removable || on.medium.Loop
	f.told, f.next, f.since, f.due = nil, nil, time.Time{}, time.Time{}
	if info != nil {
		f.told = fs.look(f)
	}
}

// locate resolves the links of a folder's path. The info is nil when there is
// no such folder.
func locate(named string) (string, os.FileInfo) {
	path, err := filepath.EvalSymlinks(named)
	if err != nil {
		path = named // Windows cannot resolve every kind of volume
	}
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return path, nil
	}
	return path, info
}

// look lists the files of a folder and has the folders in it watched.
func (fs *folders) look(f *folder) files {
	if f.quiet {
		fs.live.watch(f.state.path, nil)
		return nil
	}
	found, dirs := scan(f.state.path)
	fs.live.watch(f.state.path, dirs)
	return found
}

// lookAll is the safety net: it finds changes that nobody told.
func (fs *folders) lookAll() {
	for _, f := range fs.list {
		if f.info != nil && !f.quiet && f.since.IsZero() && !fs.w.isIgnored(f.state.path) {
			fs.compare(f)
		}
	}
}

// compare starts the settling of a folder that is not as it was told.
func (fs *folders) compare(f *folder) {
	if found := fs.look(f); !found.equal(f.told) {
		f.next = found
		f.since = time.Now()
		f.due = f.since.Add(fs.w.settle)
	}
}

// heard notes that something happened to the file of that name.
func (fs *folders) heard(name string) {
	now := time.Now()
	for _, f := range fs.list {
		if f.info == nil || f.quiet || !within(name, f.state.path) || fs.w.isIgnored(f.state.path) {
			continue
		}
		if f.since.IsZero() {
			f.since = now
		}
		f.next = nil // what was seen last is not what will be at rest
		f.due = now.Add(fs.w.settle)
		if last := f.since.Add(patience * fs.w.settle); f.due.After(last) {
			f.due = last
		}
	}
}

// settleDue looks at the folders that were disturbed and had time to rest.
func (fs *folders) settleDue(now time.Time) {
	for _, f := range fs.list {
		if !f.since.IsZero() && !f.due.After(now) {
			fs.settled(f, now)
		}
	}
}

func (fs *folders) settled(f *folder, now time.Time) {
	if fs.w.isIgnored(f.state.path) {
		f.next, f.since, f.due = nil, time.Time{}, time.Time{}
		return // resume looks
	}
	found := fs.look(f)
	impatient := now.Sub(f.since) >= patience*fs.w.settle
	if f.next != nil && !found.equal(f.next) && !impatient {
		f.next = found
		f.due = now.Add(fs.w.settle)
		return
	}
	if !found.equal(f.told) {
		f.told = found
		f.state.gen++
	}
	f.next, f.since, f.due = nil, time.Time{}, time.Time{}
}

// resume ends the time of a visit: its own files become known.
func (fs *folders) resume(f *folder, own []string) {
	if f.info == nil || f.quiet {
		return
	}
	found := fs.look(f)
	f.next, f.since, f.due = nil, time.Time{}, time.Time{}
	if len(own) == 0 {
		f.told = found
		return
	}
	f.told = f.told.with(found, own)
	if !fs.w.isIgnored(f.state.path) {
		fs.compare(f)
	}
}

// untilDue returns the time until a folder may be at rest.
func (fs *folders) untilDue(now time.Time) time.Duration {
	wait := time.Hour
	for _, f := range fs.list {
		if !f.since.IsZero() {
			wait = min(wait, f.due.Sub(now))
		}
	}
	return max(wait, 0)
}
