package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/ssbsync/ssbsync/bundle"
)

// Backup is an opened backup of which every byte was checked.
type Backup struct {
	header   BackupHeader
	database *io.SectionReader // compressed
	blobs    *io.SectionReader // their frames

	blobCount, blobBytes int64
}

// Header returns what the backup says about its store.
func (b *Backup) Header() BackupHeader { return b.header }

// OpenBackup opens a backup. It reads all of it and compares it with the hash
// at its end before it makes anything of it; progress, if set, is called with
// the bytes read so far. Errors wrap ErrNotBackup, ErrNewerBackup or
// ErrBackupDamaged when it is the file that is wrong.
func OpenBackup(r io.ReaderAt, size int64, progress func(read int64)) (*Backup, error) {
	f := backupFile{r: r, end: size - int64(backupEndLen)}
	if err := f.identify(size); err != nil {
		return nil, err
	}
	if err := f.checkSum(progress); err != nil {
		return nil, err
	}
	return f.parse()
}

// WriteDatabase writes the database, a file that Open takes, to w. When it
// returns an error, what was written must not be used.
func (b *Backup) WriteDatabase(w io.Writer) error {
	if _, err := b.database.Seek(0, io.SeekStart); err != nil {
		return err
	}
	z, err := bundle.NewZstdReader(b.database)
	if err != nil {
		return fmt.Errorf("unpacking the backup: %w", err)
	}
	defer z.Close()
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, sum), io.LimitReader(z, b.header.Size+1))
	if err != nil {
		return fmt.Errorf("unpacking the backup: %w", err)
	}
	if n != b.header.Size || !bytes.Equal(sum.Sum(nil), b.header.SHA256[:]) {
		return fmt.Errorf("unpacking the backup: %w: the database is not the one that was written", ErrBackupDamaged)
	}
	return nil
}

// backupFile is a backup of which nothing was checked yet.
type backupFile struct {
	r   io.ReaderAt
	end int64 // where the end frame begins
}

// identify looks at the first bytes, so that something else altogether is
// called by its name.
func (f backupFile) identify(size int64) error {
	b, err := f.read(0, min(size, int64(frameHead+len(backupMagic)+2)))
	if err != nil {
		return err
	}
	magic, rest := skippable(frameHeader, nil)[:4], b[min(len(b), frameHead):]
	switch {
	case !bytes.HasPrefix(b, magic) || !bytes.HasPrefix(rest, []byte(backupMagic)):
		return ErrNotBackup
	case len(rest) == len(backupMagic)+2 && binary.LittleEndian.Uint16(rest[len(backupMagic):]) > versionWithBlobs:
		return ErrNewerBackup
	case f.end < int64(frameHead+backupHeaderLen):
		return fmt.Errorf("%w: %d bytes are too few", ErrBackupDamaged, size)
	}
	return nil
}

// read reads a part of the file.
func (f backupFile) read(at, size int64) ([]byte, error) {
	b := make([]byte, size)
	return b, f.readInto(b, at)
}

func (f backupFile) readInto(b []byte, at int64) error {
	n, err := f.r.ReadAt(b, at)
	switch {
	case n == len(b):
		return nil
	case err == io.EOF:
		return fmt.Errorf("reading the backup: %w: it ends before its time", ErrBackupDamaged)
	}
	return fmt.Errorf("reading the backup: %w", err)
}

// checkSum compares everything before the end frame with the hash in it.
func (f backupFile) checkSum(progress func(int64)) error {
	sum := sha256.New()
	buf := make([]byte, min(1<<20, f.end))
	for at := int64(0); at < f.end; {
		part := buf[:min(int64(len(buf)), f.end-at)]
		if err := f.readInto(part, at); err != nil {
			return err
		}
		sum.Write(part)
		at += int64(len(part))
		if progress != nil {
			progress(at)
		}
	}
	end, err := f.read(f.end, int64(backupEndLen))
	if err == nil && !bytes.Equal(end, skippable(frameEnd, sum.Sum(nil))) {
		err = ErrBackupDamaged
	}
	return err
}

// parse reads the header, after its bytes were found to be what was written,
// and where the parts are.
func (f backupFile) parse() (*Backup, error) {
	length := int64(backupHeaderLen)
	b, err := f.read(int64(frameHead), length)
	if err == nil && binary.LittleEndian.Uint16(b[len(backupMagic):]) == versionWithBlobs {
		length += packedLen
		b, err = f.read(int64(frameHead), length)
	}
	if err != nil {
		return nil, err
	}
	h, err := parseBackupHeader(b)
	if err != nil {
		return nil, err
	}
	at := int64(frameHead) + length
	whole, err := f.read(0, at)
	if err == nil && !bytes.Equal(whole, h.frame()) {
		err = fmt.Errorf("%w: its header is another", ErrBackupDamaged)
	}
	if err != nil {
		return nil, err
	}
	end := f.end
	if h.Packed > 0 {
		end = at + h.Packed
	}
	if end > f.end {
		return nil, fmt.Errorf("%w: the database is larger than the file", ErrBackupDamaged)
	}
	backup := &Backup{header: h, database: io.NewSectionReader(f.r, at, end-at), blobs: io.NewSectionReader(f.r, end, f.end-end)}
	return backup, backup.countBlobs()
}

// parseBackupHeader reads the fields; whether they are written as they should
// be is for the caller to see.
func parseBackupHeader(b []byte) (h BackupHeader, err error) {
	b = b[len(backupMagic)+2:]
	b = b[copy(h.Identity[:], b):]
	b = b[copy(h.Network[:], b):]
	b = b[copy(h.Store[:], b):]
	number := func() int64 {
		n := binary.LittleEndian.Uint64(b)
		b = b[8:]
		if n >= maxBackupNumber {
			err = fmt.Errorf("%w: a number in the header is out of range", ErrBackupDamaged)
		}
		return int64(n)
	}
	h.Created, h.Messages, h.Own, h.Size = number(), uint64(number()), number(), number()
	b = b[copy(h.SHA256[:], b):]
	if len(b) > 0 {
		h.Packed = number()
	}
	return h, err
}
