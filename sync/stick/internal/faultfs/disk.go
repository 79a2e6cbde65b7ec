//go:build linux && ci

// Package faultfs is a file system for tests that behaves like a bad stick: it
// keeps its content in memory, knows what of it has reached the medium, and
// fails, fills up or loses its plug whenever a test says so.
//
// What a program may rely on is what POSIX says and no more. A write reaches
// the medium by fsync of the file, a name by fsync of its folder. Whatever else
// was done may or may not be there after the plug was pulled, each page of 4 KiB
// and each name for itself, in any order. The kernel does not hand syncfs to
// file systems in user space, so that one does nothing here.
package faultfs

import (
	"bytes"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
)

const pageLen = 4096

// Kind names an operation.
type Kind string

// The operations that a Hook is asked about.
const (
	Create   Kind = "create"
	Mkdir    Kind = "mkdir"
	Write    Kind = "write"
	Fsync    Kind = "fsync"
	FsyncDir Kind = "fsyncdir"
	Rename   Kind = "rename"
	Unlink   Kind = "unlink"
	Open     Kind = "open"
	Read     Kind = "read"
	OpenDir  Kind = "opendir"
	ReadDir  Kind = "readdir"
	Lookup   Kind = "lookup"
	StatFs   Kind = "statfs"
)

// Op is an operation that is about to happen.
type Op struct {
	Kind Kind
	Path string // of a rename the old name
	N    int    // its number among those of its kind since the hook was set, from 1
	All  int    // its number among all since then, from 1; lookups do not count
}

// Outcome says what becomes of an operation. The zero value lets it happen.
type Outcome struct {
	Err     syscall.Errno // what the program is told
	Done    bool          // in spite of the error it happened
	Pull    bool          // the plug is pulled before it, or after it if Done
	Corrupt bool          // of a write: the medium keeps other bytes
}

// Hook decides about an operation. It is called with the disk locked.
type Hook func(Op) Outcome

// Disk is a medium. It is safe for concurrent use.
type Disk struct {
	mu     sync.Mutex
	root   *inode
	nodes  map[uint64]*inode // by number, since the mount
	last   uint64
	hook   Hook
	counts map[Kind]int
	all    int
	pulled bool

	fat  bool  // no case in names, no links, no rename flags
	size int64 // bytes; 0: no bound
}

// inode is a file or a folder: as programs see it and as the medium has it.
type inode struct {
	id     uint64
	folder bool

	data  []byte
	disk  []byte
	dirty map[int]bool // pages written since the last fsync

	names  map[string]name
	synced map[string]name
	past   map[string][]name // what a name stood for since the last fsync
}

// name is an entry of a folder; a nil node means that there is none.
type name struct {
	shown string
	node  *inode
}

// New returns an empty disk of size bytes, 0 for no bound. A FAT disk does not
// tell names apart by case, and knows neither links nor renaming with flags.
func New(size int64, fat bool) *Disk {
	d := &Disk{size: size, fat: fat}
	d.root = d.newNode(true)
	d.reset()
	return d
}

func (d *Disk) newNode(folder bool) *inode {
	d.last++
	n := &inode{id: d.last, folder: folder}
	if folder {
		n.names, n.synced, n.past = map[string]name{}, map[string]name{}, map[string][]name{}
	} else {
		n.dirty = map[int]bool{}
	}
	if d.nodes != nil {
		d.nodes[n.id] = n
	}
	return n
}

// reset forgets counts and faults, and numbers what is reachable.
func (d *Disk) reset() {
	d.counts, d.all, d.pulled, d.hook = map[Kind]int{}, 0, false, nil
	d.nodes = map[uint64]*inode{}
	d.root.walk("", func(_ string, n *inode) { d.nodes[n.id] = n })
}

// walk calls each for a node and everything below it, in the order of names.
func (n *inode) walk(at string, each func(path string, n *inode)) {
	each(at, n)
	for _, key := range slices.Sorted(maps.Keys(n.names)) {
		if e := n.names[key]; e.node != nil {
			e.node.walk(path.Join(at, e.shown), each)
		}
	}
}

// Fault sets the hook, nil for none, and counts from 1 again.
func (d *Disk) Fault(h Hook) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hook, d.counts, d.all = h, map[Kind]int{}, 0
}

// Counts returns how many operations of a kind, and of all kinds but lookups,
// there were since the mount or since the hook was set.
func (d *Disk) Counts(k Kind) (kind, all int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.counts[k], d.all
}

// Resize sets the size of the disk in bytes; 0 means no bound.
func (d *Disk) Resize(size int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.size = size
}

// Used returns how many bytes the files take, in whole pages.
func (d *Disk) Used() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.used()
}

func (d *Disk) used() (sum int64) {
	for _, n := range d.unique() {
		sum += pages(len(n.data)) * pageLen
	}
	return sum
}

// unique returns the reachable files, each once.
func (d *Disk) unique() map[uint64]*inode {
	files := make(map[uint64]*inode)
	d.root.walk("", func(_ string, n *inode) {
		if !n.folder {
			files[n.id] = n
		}
	})
	return files
}

func pages(n int) int64 { return (int64(n) + pageLen - 1) / pageLen }

// Files returns the content of every file as programs see it, by path.
func (d *Disk) Files() map[string][]byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	files := make(map[string][]byte)
	d.root.walk("", func(path string, n *inode) {
		if !n.folder {
			files[path] = bytes.Clone(n.data)
		}
	})
	return files
}

// Put places a file that has reached the medium, and the folders above it.
func (d *Disk) Put(file string, data []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	at := d.root
	dir, base := path.Split(file)
	for part := range strings.SplitSeq(strings.Trim(dir, "/"), "/") {
		if part == "" {
			continue
		}
		next := at.names[d.key(part)].node
		if next == nil {
			next = d.newNode(true)
			at.place(d.key(part), name{part, next})
		}
		at = next
	}
	n := d.newNode(false)
	n.data, n.disk = bytes.Clone(data), bytes.Clone(data)
	at.place(d.key(base), name{base, n})
}

// place sets a name as if it had always been there.
func (n *inode) place(key string, e name) { n.names[key], n.synced[key] = e, e }

// Clone returns a disk with the same files, all of which have reached the
// medium.
func (d *Disk) Clone() *Disk {
	c := New(d.size, d.fat)
	for file, data := range d.Files() {
		c.Put(file, data)
	}
	return c
}

// key is what a folder finds a name by.
func (d *Disk) key(shown string) string {
	if d.fat {
		return strings.ToLower(shown)
	}
	return shown
}

// set changes a name in a folder, and remembers what it was.
func (n *inode) set(key string, e name) {
	n.past[key] = append(n.past[key], n.names[key], e)
	if e.node == nil {
		delete(n.names, key)
	} else {
		n.names[key] = e
	}
}

// write changes the content of a file.
func (n *inode) write(data []byte, off int64) {
	end := off + int64(len(data))
	if grow := end - int64(len(n.data)); grow > 0 {
		n.data = append(n.data, make([]byte, grow)...)
	}
	copy(n.data[off:], data)
	for p := off / pageLen; p < pages(int(end)); p++ {
		n.dirty[int(p)] = true
	}
}

// sync brings a file or the names of a folder to the medium.
func (n *inode) sync() {
	if n.folder {
		n.synced, n.past = maps.Clone(n.names), map[string][]name{}
		return
	}
	n.disk, n.dirty = bytes.Clone(n.data), map[int]bool{}
}
