package watch

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/fsnotify/fsnotify"
)

// deep is false where every file in a watched folder costs a descriptor
// (kqueue); there only the folders that hold few files are watched.
const deep = runtime.GOOS == "linux" || runtime.GOOS == "windows"

// A notifier hears of changes in plain folders. Where the system has no more
// watches to give it hears less, or nothing: then the rescan has to do. It
// belongs to one goroutine.
type notifier struct {
	live    *fsnotify.Watcher // nil: the system gives none
	watched map[string][]string
}

func newNotifier() *notifier {
	live, err := fsnotify.NewWatcher()
	if err != nil {
		live = nil
	}
	return &notifier{live: live, watched: map[string][]string{}}
}

func (n *notifier) close() {
	if n.live != nil {
		n.live.Close()
	}
}

// events is what was heard; nil when nothing can be heard.
func (n *notifier) events() <-chan fsnotify.Event {
	if n.live == nil {
		return nil
	}
	return n.live.Events
}

// errors says that something was not heard, most often because too much
// happened at once.
func (n *notifier) errors() <-chan error {
	if n.live == nil {
		return nil
	}
	return n.live.Errors
}

// relevant reports whether an event may mean changed files, and has folders
// that were just made watched, so that what happens in them is heard too.
func (n *notifier) relevant(e fsnotify.Event) bool {
	if e.Op == fsnotify.Chmod {
		return false
	}
	if deep && e.Has(fsnotify.Create) && filepath.Base(e.Name) != ignoredDir {
		if info, err := os.Lstat(e.Name); err == nil && info.IsDir() {
			_ = n.live.Add(e.Name) // the next look finds what this does not
		}
	}
	return true
}

// watch has dirs, all in the folder at path, watched, and nothing else in it.
func (n *notifier) watch(path string, dirs []string) {
	if n.live == nil {
		return
	}
	if !deep {
		dirs = slices.DeleteFunc(slices.Clone(dirs), func(dir string) bool {
			base := filepath.Base(dir)
			return base != subfolder && base != "have"
		})
	}
	wanted := make(map[string]bool, len(dirs))
	for _, dir := range dirs {
		wanted[dir] = true
	}
	for _, old := range n.watched[path] {
		if !wanted[old] {
			_ = n.live.Remove(old) // gone already, as a rule
		}
	}
	for _, dir := range dirs {
		// Again also for those watched before: the folder may be a new one.
		if err := n.live.Add(dir); err != nil {
			break
		}
	}
	if len(dirs) == 0 {
		delete(n.watched, path)
	} else {
		n.watched[path] = dirs
	}
}
