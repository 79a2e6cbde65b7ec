//go:build linux && ci

package faultfs

import (
	"maps"
	"path"
	"slices"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// server answers the kernel for one mount of a disk.
type server struct {
	fuse.RawFileSystem // what is not here is not supported
	disk               *Disk
}

// ask counts an operation and asks the hook about it. It calls do, unless the
// operation is not to happen, and returns what the program is told.
func (d *Disk) ask(k Kind, at string, do func(Outcome) syscall.Errno) fuse.Status {
	d.counts[k]++
	if k != Lookup {
		d.all++
	}
	if d.pulled {
		return fuse.EIO
	}
	var out Outcome
	if d.hook != nil {
		out = d.hook(Op{k, at, d.counts[k], d.all})
	}
	if out.Pull {
		if out.Done {
			do(out)
		}
		d.pulled = true
		return fuse.EIO
	}
	if out.Err != 0 && !out.Done {
		return fuse.Status(out.Err)
	}
	if err := do(out); out.Err == 0 {
		return fuse.Status(err)
	}
	return fuse.Status(out.Err)
}

// pathOf returns the path of a node, for hooks and messages.
func (d *Disk) pathOf(n *inode) (found string) {
	d.root.walk("", func(at string, x *inode) {
		if x == n {
			found = at
		}
	})
	return found
}

func (n *inode) attr(out *fuse.Attr) {
	out.Ino, out.Nlink = n.id, 1
	out.Mode = syscall.S_IFREG | 0o777
	if n.folder {
		out.Mode = syscall.S_IFDIR | 0o777
	}
	out.Size, out.Blocks, out.Blksize = uint64(len(n.data)), uint64(pages(len(n.data))*8), pageLen
}

func (n *inode) entry(out *fuse.EntryOut) {
	out.NodeId, out.Generation = n.id, 1
	n.attr(&out.Attr)
}

// Init implements fuse.RawFileSystem.
func (s *server) Init(*fuse.Server) {}

// String implements fuse.RawFileSystem.
func (s *server) String() string { return "faultfs" }

// Lookup implements fuse.RawFileSystem.
func (s *server) Lookup(_ <-chan struct{}, h *fuse.InHeader, file string, out *fuse.EntryOut) fuse.Status {
	d := s.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	dir := d.nodes[h.NodeId]
	if dir == nil || !dir.folder {
		return fuse.ENOENT
	}
	return d.ask(Lookup, path.Join(d.pathOf(dir), file), func(Outcome) syscall.Errno {
		e := dir.names[d.key(file)]
		if e.node == nil {
			return syscall.ENOENT
		}
		e.node.entry(out)
		return 0
	})
}

// GetAttr implements fuse.RawFileSystem.
func (s *server) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	d := s.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.nodes[in.NodeId]
	if n == nil || d.pulled {
		return fuse.EIO
	}
	n.attr(&out.Attr)
	return fuse.OK
}

// SetAttr implements fuse.RawFileSystem: a file can be cut, the rest is taken
// without a word, as FAT does.
func (s *server) SetAttr(_ <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	d := s.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.nodes[in.NodeId]
	if n == nil || d.pulled {
		return fuse.EIO
	}
	if in.Valid&fuse.FATTR_SIZE != 0 && !n.folder {
		size := int(in.Size)
		n.write(nil, int64(size))
		n.data = n.data[:size]
		n.dirty[size/pageLen] = true
	}
	n.attr(&out.Attr)
	return fuse.OK
}

// create makes a file or a folder.
func (s *server) create(k Kind, dirID uint64, file string, out *fuse.EntryOut) fuse.Status {
	d := s.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	dir := d.nodes[dirID]
	if dir == nil {
		return fuse.ENOENT
	}
	return d.ask(k, path.Join(d.pathOf(dir), file), func(Outcome) syscall.Errno {
		if dir.names[d.key(file)].node != nil {
			return syscall.EEXIST
		}
		if d.size > 0 && d.used() >= d.size {
			return syscall.ENOSPC
		}
		n := d.newNode(k == Mkdir)
		dir.set(d.key(file), name{file, n})
		n.entry(out)
		return 0
	})
}

// Create implements fuse.RawFileSystem.
func (s *server) Create(_ <-chan struct{}, in *fuse.CreateIn, file string, out *fuse.CreateOut) fuse.Status {
	return s.create(Create, in.NodeId, file, &out.EntryOut)
}

// Mkdir implements fuse.RawFileSystem.
func (s *server) Mkdir(_ <-chan struct{}, in *fuse.MkdirIn, file string, out *fuse.EntryOut) fuse.Status {
	return s.create(Mkdir, in.NodeId, file, out)
}

// Unlink implements fuse.RawFileSystem.
func (s *server) Unlink(_ <-chan struct{}, h *fuse.InHeader, file string) fuse.Status {
	return s.remove(h.NodeId, file, false)
}

// Rmdir implements fuse.RawFileSystem.
func (s *server) Rmdir(_ <-chan struct{}, h *fuse.InHeader, file string) fuse.Status {
	return s.remove(h.NodeId, file, true)
}

func (s *server) remove(dirID uint64, file string, folder bool) fuse.Status {
	d := s.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	dir := d.nodes[dirID]
	if dir == nil {
		return fuse.ENOENT
	}
	return d.ask(Unlink, path.Join(d.pathOf(dir), file), func(Outcome) syscall.Errno {
		n := dir.names[d.key(file)].node
		switch {
		case n == nil:
			return syscall.ENOENT
		case !folder && n.folder:
			return syscall.EISDIR
		case folder && !n.folder:
			return syscall.ENOTDIR
		case len(n.names) > 0:
			return syscall.ENOTEMPTY
		}
		dir.set(d.key(file), name{})
		return 0
	})
}

// Rename implements fuse.RawFileSystem.
func (s *server) Rename(_ <-chan struct{}, in *fuse.RenameIn, from, to string) fuse.Status {
	d := s.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	old, dir := d.nodes[in.NodeId], d.nodes[in.Newdir]
	if old == nil || dir == nil {
		return fuse.ENOENT
	}
	if d.fat && in.Flags != 0 {
		return fuse.EINVAL
	}
	return d.ask(Rename, path.Join(d.pathOf(old), from), func(Outcome) syscall.Errno {
		n := old.names[d.key(from)].node
		if n == nil {
			return syscall.ENOENT
		}
		if other := dir.names[d.key(to)].node; other != nil && other.folder != n.folder {
			return syscall.EISDIR
		}
		old.set(d.key(from), name{})
		dir.set(d.key(to), name{to, n})
		return 0
	})
}

// Link implements fuse.RawFileSystem.
func (s *server) Link(_ <-chan struct{}, in *fuse.LinkIn, file string, out *fuse.EntryOut) fuse.Status {
	return fuse.EPERM
}

// Open implements fuse.RawFileSystem.
func (s *server) Open(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	return s.node(Open, in.NodeId, func(*inode, Outcome) syscall.Errno { return 0 })
}

// OpenDir implements fuse.RawFileSystem.
func (s *server) OpenDir(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	return s.node(OpenDir, in.NodeId, func(*inode, Outcome) syscall.Errno { return 0 })
}

// node is an operation on one node.
func (s *server) node(k Kind, id uint64, do func(*inode, Outcome) syscall.Errno) fuse.Status {
	d := s.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.nodes[id]
	if n == nil {
		return fuse.ENOENT
	}
	return d.ask(k, d.pathOf(n), func(o Outcome) syscall.Errno { return do(n, o) })
}

// Read implements fuse.RawFileSystem.
func (s *server) Read(_ <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	n := 0
	status := s.node(Read, in.NodeId, func(f *inode, _ Outcome) syscall.Errno {
		if in.Offset < uint64(len(f.data)) {
			n = copy(buf, f.data[in.Offset:])
		}
		return 0
	})
	if status != fuse.OK {
		return nil, status
	}
	return fuse.ReadResultData(buf[:n]), status
}

// Write implements fuse.RawFileSystem.
func (s *server) Write(_ <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	written := 0
	status := s.node(Write, in.NodeId, func(f *inode, o Outcome) syscall.Errno {
		d := s.disk
		more := pages(max(len(f.data), int(in.Offset)+len(data))) - pages(len(f.data))
		if d.size > 0 && d.used()+more*pageLen > d.size {
			return syscall.ENOSPC
		}
		if o.Corrupt {
			data = slices.Clone(data)
			data[len(data)/2] ^= 0x10
		}
		f.write(data, int64(in.Offset))
		written = len(data)
		return 0
	})
	return uint32(written), status
}

// Flush implements fuse.RawFileSystem.
func (s *server) Flush(<-chan struct{}, *fuse.FlushIn) fuse.Status { return fuse.OK }

// Fsync implements fuse.RawFileSystem.
func (s *server) Fsync(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	return s.sync(Fsync, in.NodeId)
}

// FsyncDir implements fuse.RawFileSystem.
func (s *server) FsyncDir(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	return s.sync(FsyncDir, in.NodeId)
}

func (s *server) sync(k Kind, id uint64) fuse.Status {
	return s.node(k, id, func(n *inode, _ Outcome) syscall.Errno {
		n.sync()
		return 0
	})
}

// ReadDir implements fuse.RawFileSystem.
func (s *server) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, list *fuse.DirEntryList) fuse.Status {
	return s.node(ReadDir, in.NodeId, func(dir *inode, _ Outcome) syscall.Errno {
		keys := slices.Sorted(maps.Keys(dir.names))
		for i := int(in.Offset); i < len(keys); i++ {
			e := dir.names[keys[i]]
			mode := uint32(syscall.S_IFREG)
			if e.node.folder {
				mode = syscall.S_IFDIR
			}
			if !list.AddDirEntry(fuse.DirEntry{Name: e.shown, Mode: mode, Ino: e.node.id, Off: uint64(i + 1)}) {
				break
			}
		}
		return 0
	})
}

// StatFs implements fuse.RawFileSystem.
func (s *server) StatFs(_ <-chan struct{}, h *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	return s.node(StatFs, h.NodeId, func(*inode, Outcome) syscall.Errno {
		d := s.disk
		size := d.size
		if size == 0 {
			size = 1 << 40
		}
		free := max(0, size-d.used()) / pageLen
		out.Bsize, out.Frsize, out.NameLen = pageLen, pageLen, 255
		out.Blocks, out.Bfree, out.Bavail = uint64(size/pageLen), uint64(free), uint64(free)
		return 0
	})
}
