package stick

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/ssbsync/ssbsync/store/durable"
)

// maxAside bounds the names tried for what is in the way.
const maxAside = 100

// aside gives what lies under a name of ours, and is not what it should be,
// another name in its folder, which nobody takes for one of ours: a bundle has
// the same name at every visit, so that whatever holds it would be in the way for
// ever. Nothing is removed: it is not ours.
//
// Another node in the same folder may have done the same since we looked, and put
// there what belongs there: then that gets its name back, and nothing was moved.
// Nor may what it moved be written over.
func aside(root *os.Root, name string, belongs func(fs.FileMode) bool) (moved string, err error) {
	for i := range maxAside {
		other := fmt.Sprintf("%s.odd%d", name, i+1)
		if _, err := root.Lstat(other); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		switch err := durable.Rename(root, name, other, false); {
		case errors.Is(err, fs.ErrExist):
			continue
		case errors.Is(err, fs.ErrNotExist):
			return "", nil
		case err != nil:
			return "", fmt.Errorf("%s is in the way: %w", name, err)
		}
		if info, err := root.Lstat(other); err != nil || !belongs(info.Mode()) {
			return other, nil
		}
		return putBack(root, other, name)
	}
	return "", fmt.Errorf("%s is in the way", name)
}

// putBack undoes aside. Where the name was taken again meanwhile, what is there now
// stays, and the other one is reported as moved.
func putBack(root *os.Root, other, name string) (moved string, err error) {
	err = durable.Rename(root, other, name, false)
	if errors.Is(err, fs.ErrExist) {
		return other, nil
	}
	return "", err
}

// clearFile moves aside what has the name of a file to be written and is none, and
// returns its new name.
func clearFile(root *os.Root, name string) (moved string, err error) {
	if info, err := root.Lstat(name); err != nil || info.Mode().IsRegular() {
		return "", nil
	}
	return aside(root, name, fs.FileMode.IsRegular)
}

// clearDir is makeDir that moves aside what is no directory, and returns its new
// name.
func clearDir(root *os.Root, name string) (moved string, err error) {
	if info, err := root.Lstat(name); err == nil && !info.IsDir() {
		if moved, err = aside(root, name, fs.FileMode.IsDir); err != nil {
			return "", err
		}
	}
	return moved, makeDir(root, name)
}
