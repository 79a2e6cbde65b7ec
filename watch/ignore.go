package watch

import (
	"path/filepath"
	"slices"
)

// A resumption is the end of an Ignore, not yet looked at.
type resumption struct {
	path string
	own  []string
}

// Ignore holds back the changes of the plain folder at path, as it stands in
// Medium.Path, until resume is called: for the time of a visit, whose own
// writing is no news. Folders that appear or vanish are told all the same.
// Ignores of one path may overlap; the last resume counts.
//
// With resume() everything that changed meanwhile is taken as the visit's own
// and not told. With the names of the files that the visit wrote or removed,
// relative to the folder and with slashes (ssbsync/have/….have), what others
// changed meanwhile is still told, after it settled. Calling resume again does
// nothing.
func (w *Watcher) Ignore(path string) (resume func(own ...string)) {
	path = filepath.Clean(path)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ignored[path]++
	done := false
	return func(own ...string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if done {
			return
		}
		done = true
		if w.ignored[path]--; w.ignored[path] == 0 {
			delete(w.ignored, path)
		}
		if w.running {
			w.resumed = append(w.resumed, resumption{path, slices.Clone(own)})
			signal(w.wake)
		}
	}
}

// isIgnored reports whether changes of the folder at path are held back.
func (w *Watcher) isIgnored(path string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ignored[path] > 0
}

// orders returns the folders to watch, and the resumptions since the last
// call.
func (w *Watcher) orders() (named []string, resumed []resumption) {
	w.mu.Lock()
	defer w.mu.Unlock()
	resumed, w.resumed = w.resumed, nil
	return slices.Clone(w.named), resumed
}
