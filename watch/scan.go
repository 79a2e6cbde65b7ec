package watch

import (
	"crypto/sha256"
	"encoding/binary"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
)

// What a folder is looked through for. A stick holds at most 100,000 files,
// in folders two levels below ssbsync/, and nobody reads what is in tmp/ or
// begins with a dot.
const (
	subfolder  = "ssbsync"
	ignoredDir = "tmp"
	maxDepth   = 2
	maxFiles   = 100_000
	maxDirs    = 1_200 // bundles/ has 1,024 at most
	dirBatch   = 1_024
)

// files is what a folder holds: the hash of each name to the hash of size and
// time. Hashes keep 100,000 files in a few megabytes; that two of them collide
// delays a visit, nothing more.
type files map[uint64]uint64

func (f files) equal(g files) bool { return maps.Equal(f, g) }

// with returns f with the named files as they are in now.
func (f files) with(now files, names []string) files {
	merged := maps.Clone(f)
	if merged == nil {
		merged = files{}
	}
	for _, name := range names {
		key := hash([]byte(name))
		if sig, there := now[key]; there {
			merged[key] = sig
		} else {
			delete(merged, key)
		}
	}
	return merged
}

// scan lists the files below root/ssbsync, and the folders in which they are,
// within the limits above. What cannot be read is not there. No file is opened
// and no link is followed.
func scan(root string) (files, []string) {
	s := scanner{root: root, found: files{}}
	s.dir(subfolder, 0)
	return s.found, s.dirs
}

type scanner struct {
	root  string
	found files
	dirs  []string
}

// dir adds what is in the folder of that name, relative to the root.
func (s *scanner) dir(name string, depth int) {
	path := filepath.Join(s.root, filepath.FromSlash(name))
	d, err := openDir(path)
	if err != nil || len(s.dirs) == maxDirs {
		if err == nil {
			d.Close()
		}
		return
	}
	s.dirs = append(s.dirs, path)
	var inner []string
	for {
		batch, err := d.ReadDir(dirBatch)
		inner = append(inner, s.entries(name, batch)...)
		if err != nil || len(s.found) >= maxFiles || len(inner) > maxDirs {
			break
		}
	}
	d.Close()
	if depth < maxDepth {
		for _, sub := range inner {
			s.dir(sub, depth+1)
		}
	}
}

// entries adds the files and returns the folders of one batch.
func (s *scanner) entries(dir string, batch []fs.DirEntry) (inner []string) {
	for _, e := range batch {
		name := dir + "/" + e.Name()
		switch {
		case strings.HasPrefix(e.Name(), "."), name == subfolder+"/"+ignoredDir:
		case e.IsDir():
			inner = append(inner, name)
		case e.Type().IsRegular() && len(s.found) < maxFiles:
			if info, err := e.Info(); err == nil {
				s.found[hash([]byte(name))] = signature(info)
			}
		}
	}
	return inner
}

func signature(info os.FileInfo) uint64 {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:8], uint64(info.Size()))
	binary.LittleEndian.PutUint64(b[8:], uint64(info.ModTime().UnixNano()))
	return hash(b[:])
}

func hash(b []byte) uint64 {
	sum := sha256.Sum256(b)
	return binary.LittleEndian.Uint64(sum[:8])
}
