package blobs

import (
	"encoding/hex"
	"errors"
	"io/fs"
	"iter"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store/durable"
)

// pathOf is where a blob lies. It is made from 32 bytes, whatever they are, so
// that no id can lead anywhere else.
func pathOf(id refs.Blob) string {
	digits := hexOf(id)
	return hashDir + "/" + digits[:2] + "/" + digits[2:]
}

func hexOf(id refs.Blob) string { return hex.EncodeToString(id[:]) }

// idOf returns the blob that a file in the folder dir of sha256/ is named
// after, and whether the name is that of a blob.
func idOf(dir, name string) (id refs.Blob, ok bool) {
	if len(dir) != 2 || len(name) != 2*len(id)-2 {
		return id, false
	}
	raw, err := hex.DecodeString(dir + name)
	if err != nil {
		return id, false
	}
	id = refs.Blob(raw)
	return id, pathOf(id) == hashDir+"/"+dir+"/"+name
}

// All lists the blobs by id. What else lies in the folder is passed over. After
// an error it ends.
func (s *Store) All() iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		for file, err := range s.named() {
			if err == nil && !isBlob(file.id, file.FileInfo) {
				continue
			}
			if err != nil {
				yield(Info{}, err)
				return
			}
			if !yield(infoOf(file.id, file.FileInfo), nil) {
				return
			}
		}
	}
}

// Hollow lists the blobs of which only an empty file is here, which [Store.All]
// passes over: what a power cut leaves of what was written without care. After an
// error it ends.
func (s *Store) Hollow() iter.Seq2[refs.Blob, error] {
	return func(yield func(refs.Blob, error) bool) {
		for file, err := range s.named() {
			if err == nil && isBlob(file.id, file.FileInfo) {
				continue
			}
			if !yield(file.id, err) || err != nil {
				return
			}
		}
	}
}

// namedFile is a regular file that is named after a blob.
type namedFile struct {
	id refs.Blob
	fs.FileInfo
}

// named lists them, by id. After an error it ends.
func (s *Store) named() iter.Seq2[namedFile, error] {
	return func(yield func(namedFile, error) bool) {
		dirs, err := s.list(hashDir)
		if err != nil {
			yield(namedFile{}, err)
			return
		}
		for _, dir := range dirs {
			if !s.namedIn(dir.Name(), yield) {
				return
			}
		}
	}
}

// namedIn lists one of the folders of sha256/ and reports whether to go on.
func (s *Store) namedIn(dir string, yield func(namedFile, error) bool) bool {
	if len(dir) != 2 {
		return true
	}
	entries, err := s.list(hashDir + "/" + dir)
	if err != nil {
		yield(namedFile{}, err)
		return false
	}
	for _, entry := range entries {
		id, ok := idOf(dir, entry.Name())
		if !ok || !entry.Type().IsRegular() {
			continue
		}
		file, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			yield(namedFile{}, err)
			return false
		}
		if !yield(namedFile{id, file}, nil) {
			return false
		}
	}
	return true
}

// list reads a folder; what is none has no entries.
func (s *Store) list(dir string) ([]fs.DirEntry, error) {
	f, err := durable.OpenDir(s.root, dir)
	if err != nil {
		if info, statErr := s.root.Lstat(dir); statErr != nil || !info.IsDir() {
			return nil, nil
		}
		return nil, err
	}
	defer f.Close()
	return sortedEntries(f)
}
