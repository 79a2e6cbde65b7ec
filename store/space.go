package store

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"

	bolt "go.etcd.io/bbolt"
)

// Space returns the size of the file and how many bytes of it hold nothing,
// which Compact gives back, and often more. The store fills them again before
// the file grows.
func (s *Store) Space() (size, unused int64, err error) {
	for range 3 { // the page that says it may be overwritten by the next commit but one
		err = s.viewFile(func(tx *bolt.Tx, file *os.File) (err error) {
			info, err := file.Stat()
			if err != nil {
				return err
			}
			unused, err = spaceOf(file, tx)
			size = info.Size()
			unused += max(0, size-tx.Size())
			return err
		})
		if err == nil {
			break
		}
	}
	if err != nil {
		return 0, 0, fmt.Errorf("counting the free pages of the store: %w", err)
	}
	return size, unused, nil
}

// spaceOf returns how many bytes of the file are free pages as of a transaction.
func spaceOf(file io.ReaderAt, tx *bolt.Tx) (int64, error) {
	t := &pageTree{file: file, pageSize: int64(tx.DB().Info().PageSize)}
	meta, err := t.meta(uint64(tx.ID()))
	if err != nil {
		return 0, err
	}
	t.pages = binary.NativeEndian.Uint64(meta[metaPages:])
	page := binary.NativeEndian.Uint64(meta[metaFreelist:])
	if page == noFreelist {
		return 0, nil
	}
	_, count, err := t.freeCount(page)
	return int64(count) * t.pageSize, err
}
