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
	root *os.Root
	dir  string
	run  string   // of the names, random
	lock *os.File // the folder, for as long as the test takes; nil where none can be locked
}

// CapacityDir is the folder at the top of a medium in which its capacity is
// tested.
const CapacityDir = "ssbsync-capacity"

var errLocked = errors.New("another test is under way")

var capacityName = regexp.MustCompile(`^capacity-[0-9a-f]{16}-[0-9]{5,}\.part$`)

func openMedium(root *os.Root, dir string) (*folderMedium, error) {
	var random [8]byte
	rand.Read(random[:])
	m := &folderMedium{root: root, dir: dir, run: hex.EncodeToString(random[:])}
	if err := root.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := OpenDir(root, dir)
	if err != nil {
		return nil, err
	}
	if err := m.hold(f); errors.Is(err, errLocked) {
		return nil, err
	}
	if err := m.removeOld(); err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

// hold locks the folder, so that nobody removes the files of a test that is
// under way.
func (m *folderMedium) hold(f *os.File) error {
	if err := lockDir(f); err != nil {
		f.Close()
		return err
	}
	m.lock = f
	return nil
}

// CleanCapacity removes what a CheckCapacity that was killed has left in a
// folder, and the folder, if nothing else is in it. A test that is under way is
// left alone; and so is everything where that cannot be told.
func CleanCapacity(root *os.Root, dir string) error {
	f, err := OpenDir(root, dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	m := &folderMedium{root: root, dir: dir}
	if m.hold(f) != nil {
		return nil
	}
	defer m.close()
	return m.removeOld()
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
		if info, err := m.root.Lstat(name); err != nil || !info.Mode().IsRegular() {
			continue
		}
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

// close removes the folder, if nothing is in it: an earlier test may have made
// it.
func (m *folderMedium) close() {
	m.root.Remove(m.dir)
	if m.lock != nil {
		m.lock.Close()
	}
}

type folderFile struct{ *os.File }

// DropCache implements mediumFile.
func (f folderFile) DropCache() bool { return DropCache(f.File) }
