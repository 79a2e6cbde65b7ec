package durable

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
)

// A medium is what CheckCapacity fills: numbered files on something that
// claims to have room.
type medium interface {
	Free() (free, total uint64, err error)
	Create(index int) (mediumFile, error)
	Open(index int) (mediumFile, error)
	Remove(index int) error
}

type mediumFile interface {
	io.Writer
	io.ReaderAt
	io.Closer
	Sync() error
	DropCache() bool
}

// A folderMedium is a folder below a root.
type folderMedium struct {
	root  *os.Root
	dir   string
	run   string // of the names, random
	fresh bool   // the folder was made for the test
}

var capacityName = regexp.MustCompile(`^capacity-[0-9a-f]{16}-[0-9]{5,}\.part$`)

func openMedium(root *os.Root, dir string) (*folderMedium, error) {
	var random [8]byte
	rand.Read(random[:])
	m := &folderMedium{root: root, dir: dir, run: hex.EncodeToString(random[:])}
	if _, err := root.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		m.fresh = true
	}
	if err := root.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return m, m.removeOld()
}

// removeOld removes what a test that was killed has left.
func (m *folderMedium) removeOld() error {
	f, err := OpenDir(m.root, m.dir)
	if err != nil {
		return err
	}
	defer f.Close()
	var old []string
	for err == nil {
		var names []string
		names, err = f.Readdirnames(1024)
		for _, name := range names {
			if capacityName.MatchString(name) {
				old = append(old, path.Join(m.dir, name))
			}
		}
	}
	for _, name := range old {
		if err := m.root.Remove(name); err != nil {
			return fmt.Errorf("removing what an earlier test left: %w", err)
		}
	}
	if err != io.EOF {
		return err
	}
	return nil
}

func (m *folderMedium) name(index int) string {
	return path.Join(m.dir, fmt.Sprintf("capacity-%s-%05d.part", m.run, index))
}

// Free implements medium.
func (m *folderMedium) Free() (free, total uint64, err error) { return FreeSpace(m.root.Name()) }

// Create implements medium.
func (m *folderMedium) Create(index int) (mediumFile, error) {
	f, err := m.root.OpenFile(m.name(index), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return folderFile{f}, nil
}

// Open implements medium.
func (m *folderMedium) Open(index int) (mediumFile, error) {
	f, _, err := OpenRegular(m.root, m.name(index), -1)
	if err != nil {
		return nil, err
	}
	return folderFile{f}, nil
}

// Remove implements medium.
func (m *folderMedium) Remove(index int) error {
	err := m.root.Remove(m.name(index))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// close removes the folder, if it was made for the test and nothing is in it.
func (m *folderMedium) close() {
	if m.fresh {
		m.root.Remove(m.dir)
	}
}

type folderFile struct{ *os.File }

// DropCache implements mediumFile.
func (f folderFile) DropCache() bool { return DropCache(f.File) }
