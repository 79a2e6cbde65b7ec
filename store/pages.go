package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"

	bolt "go.etcd.io/bbolt"
)

// What of bbolt's file format is needed to follow its pages, in the byte order
// of the machine:
//
//	every page   u64 number, u16 kind, u16 count, u32 pages that follow it
//	meta, 0 & 1  u32 magic, version, page size, flags; u64 root page, u64
//	             sequence, u64 freelist page, u64 pages in use, u64
//	             transaction, u64 FNV-1a of the 56 bytes before
//	branch       count × u32 position, u32 length of a key, u64 page below
//	leaf         count × u32 flags (1: a bucket), u32 position, u32 length of
//	             a key, u32 length of the value behind it
//	freelist     count × u64 page; count 0xffff: the first is the count
//
// Positions count from the start of their own entry. The value of a bucket is
// u64 root page, u64 sequence; for a small one the root is 0 and a leaf page
// follows.
const (
	pageHeader   = 16
	kindBranch   = 0x01
	kindLeaf     = 0x02
	kindFreelist = 0x10

	metaRoot, metaFreelist, metaPages, metaTx, metaSum, metaLen = 16, 32, 40, 48, 56, 64

	noFreelist   = 1<<64 - 1
	maxDepth     = 64
	entryLen     = 16 // of a branch and of a leaf
	isBucket     = 1
	bucketValue  = 16
	maxBucketLen = 1<<16 + pageSize // name and, if small, page of a bucket
)

// pageTree follows the pages of a database from its roots. bbolt trusts what
// it finds there: if a rotten bit makes a page its own ancestor, a cursor
// descends for ever and takes all memory on its way. Hence this look at the
// structure before bbolt opens the file for good. Every page may have one
// parent, or be free. Leaves are not read, only the few pages above them, and
// those that hold buckets: small buckets are pages in a page, which bbolt may
// copy to the heap, and there a rotten position makes a pointer that the
// garbage collector ends the program for.
//
// A thorough look reads the leaves as well. It takes the place of bbolt's own
// check, which is made for a bug in bbolt, not for a bad disk: a rotten page
// sends it out of the file or lets it take all memory.
type pageTree struct {
	file     io.ReaderAt
	pageSize int64
	pages    uint64   // pages in use
	seen     []uint64 // one bit a page
	thorough bool     // read all leaves, and miss no page
}

// checkPages checks the structure of the database as of the transaction txid.
// tx is any that sees it.
func checkPages(file io.ReaderAt, tx *bolt.Tx, txid uint64, thorough bool) error {
	t := &pageTree{file: file, pageSize: int64(tx.DB().Info().PageSize), thorough: thorough}
	meta, err := t.meta(txid)
	if err != nil {
		return err
	}
	t.pages = binary.NativeEndian.Uint64(meta[metaPages:])
	if size := tx.Size(); t.pages > uint64(size/t.pageSize) {
		return fmt.Errorf("%w: %d pages in a file of %d bytes", ErrDamaged, t.pages, size)
	}
	t.seen = make([]uint64, t.pages/64+1)
	if err := t.freelist(binary.NativeEndian.Uint64(meta[metaFreelist:])); err != nil {
		return err
	}
	if err := t.tree(binary.NativeEndian.Uint64(meta[metaRoot:]), true); err != nil {
		return err
	}
	return t.complete()
}

// complete makes sure that no page was lost.
func (t *pageTree) complete() error {
	for page := uint64(2); t.thorough && page < t.pages; page++ {
		if t.seen[page/64]&(1<<(page%64)) == 0 {
			return fmt.Errorf("%w: page %d is neither used nor free", ErrDamaged, page)
		}
	}
	return nil
}

// meta returns the meta page of a transaction, which is one of the first two.
func (t *pageTree) meta(txid uint64) ([]byte, error) {
	for page := range int64(2) {
		meta, err := t.read(page*t.pageSize+pageHeader, metaLen)
		if err != nil {
			return nil, err
		}
		sum := fnv.New64a()
		sum.Write(meta[:metaSum])
		if binary.NativeEndian.Uint64(meta[metaTx:]) == txid && binary.NativeEndian.Uint64(meta[metaSum:]) == sum.Sum64() {
			return meta, nil
		}
	}
	return nil, fmt.Errorf("%w: no meta page of transaction %d", ErrDamaged, txid)
}

// read reads a part of the file.
func (t *pageTree) read(at, n int64) ([]byte, error) {
	b := make([]byte, n)
	if _, err := t.file.ReadAt(b, at); err != nil {
		return nil, fmt.Errorf("reading %d bytes at %d: %w", n, at, err)
	}
	return b, nil
}

// mark notes that something refers to a page.
func (t *pageTree) mark(page uint64) error {
	if page < 2 || page >= t.pages {
		return fmt.Errorf("%w: reference to page %d of %d", ErrDamaged, page, t.pages)
	}
	if t.seen[page/64]&(1<<(page%64)) != 0 {
		return fmt.Errorf("%w: two references to page %d", ErrDamaged, page)
	}
	t.seen[page/64] |= 1 << (page % 64)
	return nil
}

// pageHead is the head of a page.
type pageHead struct {
	kind, count uint16
	at, room    int64 // where the body begins, and its length
}

// head reads the head of a page that was marked. In a thorough look it marks
// the pages that belong to it.
func (t *pageTree) head(page uint64) (h pageHead, err error) {
	b, err := t.read(int64(page)*t.pageSize, pageHeader)
	if err != nil {
		return h, err
	}
	more := uint64(binary.NativeEndian.Uint32(b[12:]))
	if binary.NativeEndian.Uint64(b) != page || page+more >= t.pages {
		return h, fmt.Errorf("%w: head of page %d", ErrDamaged, page)
	}
	for n := uint64(1); t.thorough && n <= more; n++ {
		if err := t.mark(page + n); err != nil {
			return h, err
		}
	}
	h.kind, h.count = binary.NativeEndian.Uint16(b[8:]), binary.NativeEndian.Uint16(b[10:])
	h.at, h.room = int64(page)*t.pageSize+pageHeader, int64(more+1)*t.pageSize-pageHeader
	return h, nil
}

// entries reads the table at the start of a branch or leaf page.
func (t *pageTree) entries(page uint64, h pageHead, kind uint16) ([]byte, error) {
	n := int64(h.count) * entryLen
	if h.kind != kind || n > h.room {
		return nil, fmt.Errorf("%w: page %d is of another kind or has too many entries", ErrDamaged, page)
	}
	return t.read(h.at, n)
}

// freelist marks the free pages.
func (t *pageTree) freelist(page uint64) error {
	if page == noFreelist {
		return nil
	}
	if err := t.mark(page); err != nil {
		return err
	}
	at, count, err := t.freeCount(page)
	if err != nil {
		return err
	}
	list, err := t.read(at, int64(count)*8)
	for ; err == nil && len(list) > 0; list = list[8:] {
		err = t.mark(binary.NativeEndian.Uint64(list))
	}
	return err
}

// freeCount returns where the list of free pages begins, and how many they are.
func (t *pageTree) freeCount(page uint64) (at int64, count uint64, err error) {
	h, err := t.head(page)
	if err != nil {
		return 0, 0, err
	}
	count = uint64(h.count)
	if count == 0xffff {
		b, err := t.read(h.at, 8)
		if err != nil {
			return 0, 0, err
		}
		h.at, h.room, count = h.at+8, h.room-8, binary.NativeEndian.Uint64(b)
	}
	if h.kind != kindFreelist || count > uint64(h.room/8) || count > t.pages {
		return 0, 0, fmt.Errorf("%w: list of %d free pages", ErrDamaged, count)
	}
	return h.at, count, nil
}

// tree follows one tree, and the trees of the buckets in its leaves if it has
// any. All leaves of a bbolt tree lie at the same depth, so that the first page
// of a level tells what all of them are.
func (t *pageTree) tree(root uint64, buckets bool) error {
	if err := t.mark(root); err != nil {
		return err
	}
	level := []uint64{root}
	for range maxDepth {
		kind, err := t.read(int64(level[0])*t.pageSize+8, 2)
		switch {
		case err != nil:
			return err
		case binary.NativeEndian.Uint16(kind) == kindLeaf:
			return t.leaves(level, buckets)
		}
		var below []uint64
		for _, page := range level {
			if below, err = t.branch(below, page); err != nil {
				return err
			}
		}
		level = below
	}
	return fmt.Errorf("%w: pages below page %d have no end", ErrDamaged, root)
}

// branch marks the pages below a branch page and appends them to below.
func (t *pageTree) branch(below []uint64, page uint64) ([]uint64, error) {
	h, err := t.head(page)
	if err != nil {
		return nil, err
	}
	entries, err := t.entries(page, h, kindBranch)
	if err != nil {
		return nil, err
	}
	if len(entries) == 0 {
		return nil, fmt.Errorf("%w: page %d has no page below", ErrDamaged, page)
	}
	for at := 0; at < len(entries); at += entryLen {
		e := entries[at : at+entryLen]
		end := int64(at) + int64(binary.NativeEndian.Uint32(e)) + int64(binary.NativeEndian.Uint32(e[4:]))
		if end > h.room {
			return nil, fmt.Errorf("%w: a key of page %d", ErrDamaged, page)
		}
		child := binary.NativeEndian.Uint64(e[8:])
		if err := t.mark(child); err != nil {
			return nil, err
		}
		below = append(below, child)
	}
	return below, nil
}

// leaves looks at leaf pages, if need be, and follows the buckets in them.
func (t *pageTree) leaves(pages []uint64, buckets bool) error {
	if !buckets && !t.thorough {
		return nil
	}
	for _, page := range pages {
		h, err := t.head(page)
		if err != nil {
			return err
		}
		entries, err := t.entries(page, h, kindLeaf)
		if err != nil {
			return err
		}
		follow := noBucket
		if buckets {
			follow = func(key, value, end int64) error { return t.bucketAt(h.at, key, value, end) }
		}
		if err := eachEntry(entries, h.room, follow); err != nil {
			return fmt.Errorf("page %d: %w", page, err)
		}
	}
	return nil
}

// eachEntry makes sure that the entries of a leaf page lie within its room, and
// calls bucket with the places of those that are buckets.
func eachEntry(entries []byte, room int64, bucket func(key, value, end int64) error) error {
	for at := 0; at < len(entries); at += entryLen {
		e := entries[at : at+entryLen]
		key := int64(at) + int64(binary.NativeEndian.Uint32(e[4:]))
		value := key + int64(binary.NativeEndian.Uint32(e[8:]))
		end := value + int64(binary.NativeEndian.Uint32(e[12:]))
		if end > room {
			return fmt.Errorf("%w: entry %d reaches out of its page", ErrDamaged, at/entryLen)
		}
		if binary.NativeEndian.Uint32(e) != isBucket {
			continue
		}
		if err := bucket(key, value, end); err != nil {
			return err
		}
	}
	return nil
}

// noBucket is for pages that cannot have buckets in them.
func noBucket(_, _, _ int64) error {
	return fmt.Errorf("%w: a bucket where there cannot be one", ErrDamaged)
}

// bucketAt follows the bucket at a place of a leaf page's body.
func (t *pageTree) bucketAt(body, key, value, end int64) error {
	if end-key > maxBucketLen || end-value < bucketValue {
		return fmt.Errorf("%w: a bucket of %d bytes", ErrDamaged, end-key)
	}
	entry, err := t.read(body+key, end-key)
	if err != nil {
		return err
	}
	return t.bucket(entry[:value-key], entry[value-key:])
}

// bucket follows one bucket. Only the one of the tables has buckets in it.
func (t *pageTree) bucket(name, value []byte) error {
	if len(value) < bucketValue {
		return fmt.Errorf("%w: bucket %.40q", ErrDamaged, name)
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		return t.tree(root, bytes.Equal(name, bucketTables))
	}
	page := value[bucketValue:]
	if len(page) < pageHeader || binary.NativeEndian.Uint64(page) != 0 || binary.NativeEndian.Uint16(page[8:]) != kindLeaf {
		return fmt.Errorf("%w: page of bucket %.40q", ErrDamaged, name)
	}
	n, room := int(binary.NativeEndian.Uint16(page[10:]))*entryLen, page[pageHeader:]
	if n > len(room) {
		return fmt.Errorf("%w: %d bytes of entries in bucket %.40q", ErrDamaged, n, name)
	}
	if err := eachEntry(room[:n], int64(len(room)), noBucket); err != nil {
		return fmt.Errorf("bucket %.40q: %w", name, err)
	}
	return nil
}
