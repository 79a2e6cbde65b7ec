package stick

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/ssbsync/ssbsync/store/durable"
)

// entry is a file found on a medium.
type entry struct {
	name string // of a bundle without suffix, of other files as it is
	path string
	size int64
}

// listing is what lies on a medium, by name and kind only.
type listing struct {
	bundles []entry // by name
	haves   []haveFile
	parts   []entry
	skipped []Skip // ours by name, but not what they should be
	deaf    bool   // haves may lie there that are not listed
	room    int    // directory entries that may still be looked at
}

// list reads the directories of the medium. It opens no file.
func (s *Stick) list() (*listing, error) {
	l := &listing{room: cmp.Or(s.maxFiles, MaxFiles)}
	parts := []func(*os.Root) error{l.bundleDirs, l.haveFiles, l.partFiles}
	if s.loose {
		parts = []func(*os.Root) error{l.looseBundles}
	}
	for _, read := range parts {
		if err := read(s.root); err != nil {
			return nil, fmt.Errorf("reading the stick: %w", err)
		}
	}
	for _, entries := range [][]entry{l.bundles, l.parts} {
		slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.path, b.path) })
	}
	return l, nil
}

func (l *listing) bundleDirs(root *os.Root) error {
	var shards []string
	err := l.walk(root, bundlesDir, func(e fs.DirEntry) {
		if isShard(e.Name()) {
			shards = append(shards, e.Name())
		}
	})
	for _, shard := range shards {
		if err != nil {
			return err
		}
		dir := bundlesDir + "/" + shard
		err = l.walk(root, dir, func(e fs.DirEntry) {
			if name, ok := parseBundleFile(shard, e.Name()); ok {
				l.addBundle(root, name, dir+"/"+e.Name())
			}
		})
	}
	return err
}

// addBundle takes a file in, unless it is not a plain file of allowed size.
func (l *listing) addBundle(root *os.Root, name, path string) {
	size, err := regularSize(root, path)
	switch {
	case err != nil:
		l.skip(path, err.Error())
	case size > MaxBundleSize:
		l.skip(path, fmt.Sprintf("%d bytes, more than %d", size, MaxBundleSize))
	default:
		l.bundles = append(l.bundles, entry{name, path, size})
	}
}

// looseBundles takes every *.ssb.zst directly in the folder.
func (l *listing) looseBundles(root *os.Root) error {
	return l.walk(root, ".", func(e fs.DirEntry) {
		if strings.HasSuffix(e.Name(), bundleSuffix) {
			l.addBundle(root, "", e.Name())
		}
	})
}

func (l *listing) haveFiles(root *os.Root) error {
	return l.walk(root, haveDir, func(e fs.DirEntry) {
		if f, ok := parseHaveFile(e.Name()); ok {
			l.haves = append(l.haves, f)
		}
	})
}

func (l *listing) partFiles(root *os.Root) error {
	return l.walk(root, tmpDir, func(e fs.DirEntry) {
		path := tmpDir + "/" + e.Name()
		if _, ok := parsePartFile(e.Name()); !ok {
			return
		}
		if size, err := regularSize(root, path); err == nil {
			l.parts = append(l.parts, entry{e.Name(), path, size})
		}
	})
}

// walk calls each for the entries of a directory. A directory that is not
// there is empty; one that cannot be read, or is something else that was put
// there to confuse us, is noted and keeps nobody from the others. The number of
// entries is bounded over all directories.
func (l *listing) walk(root *os.Root, dir string, each func(fs.DirEntry)) error {
	f, err := durable.OpenDir(root, dir)
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, fs.ErrPermission) && (dir == bundlesDir || dir == "."):
		return err // no bundle at all can be read: that is no detail
	default:
		l.deaf = l.deaf || dir == haveDir
		l.skip(dir, underlying(err).Error())
		return nil
	}
	defer f.Close()
	for {
		batch, err := f.ReadDir(1000)
		if l.room -= len(batch); l.room < 0 {
			return ErrTooManyFiles
		}
		for _, e := range batch {
			each(e)
		}
		if errors.Is(err, io.EOF) || err == nil && len(batch) == 0 {
			return nil
		}
		if err != nil {
			l.deaf = l.deaf || dir == haveDir
			l.skip(dir, "read only in part: "+underlying(err).Error())
			return nil
		}
	}
}

func (l *listing) skip(name, reason string) {
	if len(l.skipped) < maxSkipped {
		l.skipped = append(l.skipped, Skip{name, reason})
	}
}

// wantDir returns nil when name is a directory and no link to one.
func wantDir(root *os.Root, name string) error {
	info, err := root.Lstat(name)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", name, underlying(err))
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory", name)
	}
	return nil
}

// makeDir makes a directory where there is none, and makes sure that it is on
// the medium: what lies in a directory that is not there after a pulled plug is
// lost with it, however well it was synced.
func makeDir(root *os.Root, name string) error {
	err := root.Mkdir(name, 0o777)
	if errors.Is(err, fs.ErrExist) {
		return wantDir(root, name)
	}
	if err != nil {
		return err
	}
	if err := durable.SyncDir(root, path.Dir(name)); err != nil {
		_ = root.Remove(name) // the next one tries again
		return err
	}
	return nil
}

// regularSize returns the size of a plain file.
func regularSize(root *os.Root, name string) (int64, error) {
	info, err := root.Lstat(name)
	switch {
	case err != nil:
		return 0, underlying(err)
	case !info.Mode().IsRegular():
		return 0, durable.ErrNotRegular
	}
	return info.Size(), nil
}

// isFile reports whether a plain file has a name.
func isFile(root *os.Root, name string) bool {
	_, err := regularSize(root, name)
	return err == nil
}

// underlying takes the path off an error that will name it itself.
func underlying(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
