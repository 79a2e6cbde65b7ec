package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// AddBlob adds a blob of so many bytes to a backup, which r gives. When it fails
// the backup is worth nothing.
type AddBlob func(id refs.Blob, size int64, r io.Reader) error

// MaxBackupBlob is the most bytes of a blob that has a place in a backup.
const MaxBackupBlob = math.MaxUint32 - int64(len(refs.Blob{}))

// writeBlob writes the frame of a blob.
func writeBlob(w io.Writer, id refs.Blob, size int64, r io.Reader) error {
	if size < 0 || size > MaxBackupBlob {
		return fmt.Errorf("blob %s has %d bytes", id, size)
	}
	head := binary.LittleEndian.AppendUint32(nil, frameBlob)
	head = binary.LittleEndian.AppendUint32(head, uint32(size)+uint32(len(id)))
	if _, err := w.Write(append(head, id[:]...)); err != nil {
		return err
	}
	n, err := io.Copy(w, io.LimitReader(r, size))
	if err == nil && n != size {
		err = fmt.Errorf("blob %s has %d bytes, not %d", id, n, size)
	}
	return err
}

// Blobs returns how many blobs are in the backup, and their bytes.
func (b *Backup) Blobs() (count, bytes int64) { return b.blobCount, b.blobBytes }

// EachBlob calls fn with the blobs in the backup, until it returns an error.
// Whether one is what its id says is for fn to see.
func (b *Backup) EachBlob(fn func(id refs.Blob, blob *io.SectionReader) error) error {
	var head [frameHead + len(refs.Blob{})]byte
	for at := int64(0); at < b.blobs.Size(); {
		if _, err := b.blobs.ReadAt(head[:], at); err != nil {
			if errors.Is(err, io.EOF) {
				err = fmt.Errorf("%w: a blob is cut short", ErrBackupDamaged)
			}
			return fmt.Errorf("reading the blobs of the backup: %w", err)
		}
		size := int64(binary.LittleEndian.Uint32(head[4:])) - int64(len(refs.Blob{}))
		at += int64(len(head))
		if binary.LittleEndian.Uint32(head[:]) != frameBlob || size < 0 || size > b.blobs.Size()-at {
			return fmt.Errorf("reading the blobs of the backup: %w: no blob is at byte %d of them", ErrBackupDamaged, at)
		}
		if err := fn(refs.Blob(head[frameHead:]), io.NewSectionReader(b.blobs, at, size)); err != nil {
			return err
		}
		at += size
	}
	return nil
}

// countBlobs counts them, and sees whether their frames are whole.
func (b *Backup) countBlobs() error {
	return b.EachBlob(func(_ refs.Blob, blob *io.SectionReader) error {
		b.blobCount++
		b.blobBytes += blob.Size()
		return nil
	})
}
