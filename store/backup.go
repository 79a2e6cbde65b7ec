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
}

// Snapshot writes a consistent copy of the store, compressed with zstd, to w,
// and returns what the header of a backup says of it: all but Network and
// Created. Readers and writers go on, but the file grows meanwhile by what is
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

// The frames of a backup: two skippable ones, the database between them.
// Integers are little endian. See spec/backup.md.
//
//	header    magic, u16 version, 32 identity, 32 network, 16 store id,
//	          u64 created, messages, own sequence, size, 32 SHA-256 of the database
//	end       32 SHA-256 of all that precedes this frame
const (
	backupMagic   = "ssbsync backup"
	backupVersion = 1

	frameHeader = 0x184D2A54
	frameEnd    = 0x184D2A56

	frameHead       = 8 // magic number and length of a skippable frame
	backupHeaderLen = len(backupMagic) + 2 + 32 + 32 + 16 + 4*8 + 32
	backupEndLen    = frameHead + sha256.Size
	maxBackupNumber = 1 << 50
)

// WriteBackup writes a backup: the header, the database as Snapshot wrote it,
// the end.
func WriteBackup(dst io.Writer, h BackupHeader, database io.Reader) error {
	sum := sha256.New()
	w := io.MultiWriter(dst, sum)
	if _, err := w.Write(h.frame()); err != nil {
		return fmt.Errorf("writing a backup: %w", err)
	}
	if _, err := io.Copy(w, database); err != nil {
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
	b = binary.LittleEndian.AppendUint16(b, backupVersion)
	b = append(b, h.Identity[:]...)
	b = append(b, h.Network[:]...)
	b = append(b, h.Store[:]...)
	for _, n := range []uint64{uint64(h.Created), h.Messages, uint64(h.Own), uint64(h.Size)} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	return skippable(frameHeader, append(b, h.SHA256[:]...))
}

// skippable returns a skippable frame.
func skippable(magic uint32, content []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, magic)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(content)))
	return append(b, content...)
}
