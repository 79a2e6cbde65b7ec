package store

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"

	bolt "go.etcd.io/bbolt"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// BackupSuffix is how the names of backups end.
const BackupSuffix = ".ssb-backup"

var (
	// ErrNotBackup says that a file is no backup at all.
	ErrNotBackup = errors.New("not a backup")

	// ErrNewerBackup says that a backup was made by a newer version of the
	// program.
	ErrNewerBackup = errors.New("backup was made by a newer version of this program")

	// ErrBackupDamaged says that a backup is cut short or was changed. None
	// of it may be used.
	ErrBackupDamaged = errors.New("backup is cut short or damaged")
)

// BackupHeader is what a backup says about its store. Created is only for
// showing.
type BackupHeader struct {
	Identity refs.Feed // whose home it was
	Network  [32]byte  // as in bundles
	Store    [16]byte  // id of the store
	Created  int64     // milliseconds since 1970
	Messages uint64
	Own      int64    // sequence of the identity's own feed
	Size     int64    // of the database, in bytes
	SHA256   [32]byte // of the database

	// Packed is the compressed size of the database in a backup with blobs, in
	// bytes; 0 in one without.
	Packed int64
}

// Snapshot writes a consistent copy of the store, compressed with zstd, to w,
// and returns what the header of a backup says of it: all but Network, Created
// and Packed. Readers and writers go on, but the file grows meanwhile by what is
// written: w must not wait for anybody.
func (s *Store) Snapshot(own refs.Feed, w io.Writer) (h BackupHeader, err error) {
	sum := sha256.New()
	err = s.view(func(tx *bolt.Tx) (err error) {
		key, _ := tx.Bucket(bucketMessages).Cursor().Last()
		h = BackupHeader{Identity: own, Messages: parseRxKey(key)}
		copy(h.Store[:], tx.Bucket(bucketMeta).Get(keyStoreID))
		if head := tx.Bucket(bucketFeeds).Get(own[:]); head != nil {
			f, err := parseFeedHead(own[:], head)
			if err != nil {
				return err
			}
			h.Own = f.seq
		}
		h.Size, err = compress(w, tx, sum)
		return err
	})
	if err != nil {
		return BackupHeader{}, fmt.Errorf("copying the store: %w", err)
	}
	sum.Sum(h.SHA256[:0])
	return h, nil
}

// compress writes the database of a transaction to w, its hash to sum.
func compress(w io.Writer, tx *bolt.Tx, sum hash.Hash) (size int64, err error) {
	z, err := bundle.NewZstdWriter(w)
	if err != nil {
		return 0, err
	}
	size, err = tx.WriteTo(io.MultiWriter(z, sum))
	return size, errors.Join(err, z.Close())
}

// The frames of a backup: skippable ones around the database. Integers are
// little endian. See spec/backup.md.
//
//	header    magic, u16 version, 32 identity, 32 network, 16 store id,
//	          u64 created, messages, own sequence, size, 32 SHA-256 of the database,
//	          in version 2 u64 packed
//	(the database)
//	blob      32 id, the bytes; any number of them, in version 2
//	end       32 SHA-256 of all that precedes this frame
const (
	backupMagic      = "ssbsync backup"
	backupVersion    = 1
	versionWithBlobs = 2

	frameHeader = 0x184D2A54
	frameEnd    = 0x184D2A56
	frameBlob   = 0x184D2A57

	frameHead       = 8 // magic number and length of a skippable frame
	backupHeaderLen = len(backupMagic) + 2 + 32 + 32 + 16 + 4*8 + 32
	packedLen       = 8 // what the header of version 2 has more
	backupEndLen    = frameHead + sha256.Size
	maxBackupNumber = 1 << 50
)

// WriteBackup writes a backup: the header, the database as Snapshot wrote it,
// the blobs that blobs adds, the end. Blobs is nil if there shall be none; with
// blobs, h.Packed is to be the size of the database.
func WriteBackup(dst io.Writer, h BackupHeader, database io.Reader, blobs func(AddBlob) error) error {
	sum := sha256.New()
	w := io.MultiWriter(dst, sum)
	if _, err := w.Write(h.frame()); err != nil {
		return fmt.Errorf("writing a backup: %w", err)
	}
	n, err := io.Copy(w, database)
	if err == nil && blobs != nil && n != h.Packed {
		err = fmt.Errorf("the database has %d bytes, not %d", n, h.Packed)
	}
	if err == nil && blobs != nil {
		err = blobs(func(id refs.Blob, size int64, r io.Reader) error { return writeBlob(w, id, size, r) })
	}
	if err != nil {
		return fmt.Errorf("writing a backup: %w", err)
	}
	if _, err := dst.Write(skippable(frameEnd, sum.Sum(nil))); err != nil {
		return fmt.Errorf("writing a backup: %w", err)
	}
	return nil
}

// frame returns the header as it stands in a backup.
func (h BackupHeader) frame() []byte {
	b := append([]byte(nil), backupMagic...)
	version := uint16(backupVersion)
	if h.Packed > 0 {
		version = versionWithBlobs
	}
	b = binary.LittleEndian.AppendUint16(b, version)
	b = append(b, h.Identity[:]...)
	b = append(b, h.Network[:]...)
	b = append(b, h.Store[:]...)
	for _, n := range []uint64{uint64(h.Created), h.Messages, uint64(h.Own), uint64(h.Size)} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	b = append(b, h.SHA256[:]...)
	if h.Packed > 0 {
		b = binary.LittleEndian.AppendUint64(b, uint64(h.Packed))
	}
	return skippable(frameHeader, b)
}

// skippable returns a skippable frame.
func skippable(magic uint32, content []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, magic)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(content)))
	return append(b, content...)
}
