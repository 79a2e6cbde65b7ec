package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/store/durable"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// bundleTask is what inspect, verify and cat do with one bundle.
type bundleTask func(name string, r *bundle.Reader) error

// eachBundle opens every bundle that the arguments name: files, "-" for
// standard input, sticks and folders. It needs neither node nor home. A bundle
// that cannot be opened is reported and does not keep the others out: the
// error is errPartly then, if others could be read.
func (p *program) eachBundle(sources []string, task bundleTask) error {
	var failed []error
	done := 0
	for _, source := range sources {
		n, missed, err := p.eachOf(source, task)
		if err != nil {
			return err
		}
		done += n
		failed = append(failed, missed...)
	}
	return settle(p, failed, done, "none of %d bundles could be read")
}

// eachOf does the task with the bundles of one argument. It returns with how
// many, and why not with others; err ends the command: standard output takes
// nothing more.
func (p *program) eachOf(source string, task bundleTask) (done int, failed []error, err error) {
	names, root, failed := p.bundlesOf(source)
	if root != nil {
		defer root.Close()
	}
	for _, name := range names {
		err := p.openBundle(root, source, name, task)
		if stop := p.stdout.failed(); stop != nil {
			return done, failed, stop
		}
		if err != nil {
			failed = append(failed, err)
		} else {
			done++
		}
	}
	return done, failed, nil
}

// settle prints the failures and chooses the exit code: 3 when some of the work
// was done, and when none was what the failures have in common, or 1. The
// message none says then how many failed.
func settle(p *program, failed []error, done int, none string) error {
	if len(failed) == 0 {
		return nil
	}
	if done == 0 && len(failed) == 1 {
		return failed[0]
	}
	code := exitCode(failed[0])
	for _, err := range failed {
		reportError(p.stderr, err)
		if exitCode(err) != code {
			code = exitFailed
		}
	}
	if done > 0 {
		return errPartly
	}
	return &codedError{code: code, err: fmt.Errorf(none, len(failed))}
}

// bundlesOf lists the bundles of one argument, as names in root; root is nil
// for standard input. It returns what was found besides the errors.
func (p *program) bundlesOf(source string) (names []string, root *os.Root, failed []error) {
	if source == "-" {
		return []string{"-"}, nil, nil
	}
	info, err := os.Stat(source)
	if err != nil {
		return nil, nil, []error{err}
	}
	if !info.IsDir() {
		if root, err = os.OpenRoot(filepath.Dir(source)); err != nil {
			return nil, nil, []error{err}
		}
		return []string{filepath.Base(source)}, root, nil
	}
	if root, err = os.OpenRoot(source); err != nil {
		return nil, nil, []error{err}
	}
	names, failed = findBundles(root)
	for i, err := range failed {
		failed[i] = fmt.Errorf("%s: %w", pathText(source), err)
	}
	if len(names)+len(failed) == 0 {
		failed = []error{fmt.Errorf("%s holds no bundles", pathText(source))}
	}
	return names, root, failed
}

// findBundles lists the bundles of a folder: those of a stick's layout, and
// loose ones at its top. A folder that cannot be read does not keep the others
// out.
func findBundles(root *os.Root) ([]string, []error) {
	l := bundleList{root: root, room: stick.MaxFiles}
	l.add(".")
	for _, shard := range l.entries("ssbsync/bundles") {
		if shard.IsDir() {
			l.add("ssbsync/bundles/" + shard.Name())
		}
	}
	if l.room < 0 {
		return nil, []error{stick.ErrTooManyFiles}
	}
	return l.names, l.failed
}

// bundleList collects the names of bundles.
type bundleList struct {
	root   *os.Root
	room   int // directory entries that may still be looked at; below 0 it ends
	names  []string
	failed []error // a folder each
}

// add takes the bundles of one folder.
func (l *bundleList) add(dir string) {
	for _, e := range l.entries(dir) {
		if isBundleName(e.Name()) {
			l.names = append(l.names, path.Join(dir, e.Name()))
		}
	}
}

// entries lists a folder; one that is not there is empty.
func (l *bundleList) entries(dir string) []fs.DirEntry {
	if l.room < 0 {
		return nil
	}
	info, err := l.root.Lstat(dir)
	if err == nil && !info.IsDir() {
		return nil // opening a pipe would wait for ever
	}
	var entries []fs.DirEntry
	if err == nil {
		entries, err = fs.ReadDir(l.root.FS(), dir)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.failed = append(l.failed, err)
	}
	l.room -= len(entries)
	return entries
}

// openBundle opens one bundle and hands it to the task.
func (p *program) openBundle(root *os.Root, source, name string, task bundleTask) error {
	label := source
	if info, err := os.Stat(source); err == nil && info.IsDir() {
		label = filepath.Join(source, filepath.FromSlash(name))
	}
	file, err := p.bundleFile(root, name)
	if err != nil {
		return fmt.Errorf("%s: %w", pathText(label), err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("%s: %w", pathText(label), err)
	}
	r, err := bundle.Open(file, info.Size(), bundle.Limits{})
	if err != nil {
		return fmt.Errorf("%s: %w", pathText(label), err)
	}
	if err := task(label, r); err != nil {
		return fmt.Errorf("%s: %w", pathText(label), err)
	}
	return nil
}

// readable says which codec this version lacks for the messages of a bundle.
func readable(r *bundle.Reader) error {
	if r.Readable() {
		return nil
	}
	return withHint(fmt.Errorf("codec %q is not known to this version", r.Manifest().Codec),
		"a newer ssbsync may read it; ssbsync inspect says what is in it")
}

// bundleFile opens a bundle; standard input is kept in a file that has no
// name any more.
func (p *program) bundleFile(root *os.Root, name string) (*os.File, error) {
	if root != nil {
		file, _, err := durable.OpenRegular(root, name, stick.MaxBundleSize)
		return file, err
	}
	file, err := os.CreateTemp("", "ssbsync-*.tmp")
	if err != nil {
		return nil, err
	}
	os.Remove(file.Name()) // where that is impossible the system cleans up
	if _, err := bundle.Spool(file, p.stdin, bundle.Limits{}); err != nil {
		file.Close()
		return nil, fmt.Errorf("reading standard input: %w", err)
	}
	_, err = file.Seek(0, io.SeekStart)
	return file, err
}

// isBundleName reports whether a path names a single bundle.
func isBundleName(path string) bool { return strings.HasSuffix(path, bundleSuffix) }
