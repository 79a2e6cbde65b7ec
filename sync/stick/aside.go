package stick

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// maxAside bounds the names tried for what is in the way.
const maxAside = 100

// aside gives what lies under a name of ours, and is not what it should be,
// another name in its folder, which nobody takes for one of ours: a bundle has
// the same name at every visit, so that whatever holds it would be in the way for
// ever. Nothing is removed: it is not ours.
func aside(root *os.Root, name string) (string, error) {
	for i := range maxAside {
		other := fmt.Sprintf("%s.odd%d", name, i+1)
		if _, err := root.Lstat(other); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := root.Rename(name, other); err != nil {
			return "", fmt.Errorf("%s is in the way: %w", name, underlying(err))
		}
		return other, nil
	}
	return "", fmt.Errorf("%s is in the way", name)
}

// clearFile moves aside what has the name of a file to be written and is none, and
// returns its new name.
func clearFile(root *os.Root, name string) (moved string, err error) {
	if info, err := root.Lstat(name); err != nil || info.Mode().IsRegular() {
		return "", nil
	}
	return aside(root, name)
}

// clearDir is makeDir that moves aside what is no directory, and returns its new
// name.
func clearDir(root *os.Root, name string) (moved string, err error) {
	if info, err := root.Lstat(name); err == nil && !info.IsDir() {
		if moved, err = aside(root, name); err != nil {
			return "", err
		}
	}
	return moved, makeDir(root, name)
}
