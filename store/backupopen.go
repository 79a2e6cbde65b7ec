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
	parts    BackupParts
	database *io.SectionReader // compressed
}

// Header returns what the backup says about its store.
func (b *Backup) Header() BackupHeader { return b.header }

// Parts returns what it holds besides the store.
func (b *Backup) Parts() BackupParts { return b.parts }

// OpenBackup opens a backup. It reads all of it and compares it with the hash
// at its end before it makes anything of it; progress, if set, is called with
// the bytes read so far. Errors wrap ErrNotBackup, ErrNewerBackup or
// ErrBackupDamaged when it is the file that is wrong.
func OpenBackup(r io.ReaderAt, size int64, progress func(read int64)) (*Backup, error) {
	p := &backupParser{r: r, end: size - int64(backupEndLen)}
	if err := p.identify(size); err != nil {
		return nil, err
	}
	if err := p.checkSum(progress); err != nil {
		return nil, err
	}
	return p.parse()
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

// backupParser reads the frames of a backup from front to back.
type backupParser struct {
	r   io.ReaderAt
	at  int64
	end int64 // of what may be read: the end frame begins there
}

// identify looks at the first bytes, so that something else altogether is
// called by its name.
func (p *backupParser) identify(size int64) error {
	var b [frameHead + len(backupMagic) + 2]byte
	if n, err := p.r.ReadAt(b[:], 0); n < len(b) {
		if err == io.EOF {
			return fmt.Errorf("%w: %d bytes are too few", ErrNotBackup, size)
		}
		return fmt.Errorf("reading the backup: %w", err)
	}
	switch {
	case binary.LittleEndian.Uint32(b[:]) != frameHeader || string(b[frameHead:frameHead+len(backupMagic)]) != backupMagic:
		return ErrNotBackup
	case binary.LittleEndian.Uint16(b[len(b)-2:]) > backupVersion:
		return ErrNewerBackup
	case p.end < int64(frameHead+backupHeaderLen):
		return fmt.Errorf("%w: %d bytes are too few", ErrBackupDamaged, size)
	}
	return nil
}

// checkSum compares everything before the end frame with the hash in it.
func (p *backupParser) checkSum(progress func(int64)) error {
	sum := sha256.New()
	buf := make([]byte, min(1<<20, p.end))
	for at := int64(0); at < p.end; {
		part := buf[:min(int64(len(buf)), p.end-at)]
		if n, err := p.r.ReadAt(part, at); n < len(part) {
			return fmt.Errorf("reading the backup: %w", noEOF(err))
		}
		sum.Write(part)
		at += int64(len(part))
		if progress != nil {
			progress(at)
		}
	}
	end := make([]byte, backupEndLen)
	if n, err := p.r.ReadAt(end, p.end); n < len(end) {
		return fmt.Errorf("reading the backup: %w", noEOF(err))
	}
	if !bytes.Equal(end, appendFrame(nil, frameEnd, sum.Sum(nil))) {
		return ErrBackupDamaged
	}
	return nil
}

// parse reads the frames, after their bytes were found to be what was written.
func (p *backupParser) parse() (b *Backup, err error) {
	b = &Backup{}
	header, err := p.frame(frameHeader, backupHeaderLen)
	if err != nil {
		return nil, err
	}
	if b.header, err = parseBackupHeader(header); err != nil {
		return nil, err
	}
	if b.parts.Settings, err = p.frame(frameSettings, MaxBackupSettings); err != nil {
		return nil, err
	}
	if b.parts.Sealed, err = p.frame(frameSealed, MaxBackupSealed); err != nil {
		return nil, err
	}
	if magic, err := p.magic(); err != nil || magic != frameZstd {
		return nil, fmt.Errorf("%w: no database in it", ErrBackupDamaged)
	}
	b.database = io.NewSectionReader(p.r, p.at, p.end-p.at)
	return b, nil
}

// magic returns the magic number of the frame that comes next.
func (p *backupParser) magic() (uint32, error) {
	var b [4]byte
	if p.at+4 > p.end {
		return 0, ErrBackupDamaged
	}
	if n, err := p.r.ReadAt(b[:], p.at); n < len(b) {
		return 0, fmt.Errorf("reading the backup: %w", noEOF(err))
	}
	return binary.LittleEndian.Uint32(b[:]), nil
}

// frame returns the content of the next frame if it is of a kind, else nil.
func (p *backupParser) frame(kind uint32, most int) ([]byte, error) {
	if magic, err := p.magic(); err != nil || magic != kind {
		return nil, err
	}
	var b [4]byte
	if n, err := p.r.ReadAt(b[:], p.at+4); n < len(b) {
		return nil, fmt.Errorf("reading the backup: %w", noEOF(err))
	}
	size := int64(binary.LittleEndian.Uint32(b[:]))
	if size == 0 || size > int64(most) || p.at+frameHead+size > p.end {
		return nil, fmt.Errorf("%w: frame %#x of %d bytes", ErrBackupDamaged, kind, size)
	}
	content := make([]byte, size)
	if n, err := p.r.ReadAt(content, p.at+frameHead); n < len(content) {
		return nil, fmt.Errorf("reading the backup: %w", noEOF(err))
	}
	p.at += frameHead + size
	return content, nil
}

func parseBackupHeader(b []byte) (h BackupHeader, err error) {
	if len(b) != backupHeaderLen || binary.LittleEndian.Uint16(b[len(backupMagic):]) != backupVersion {
		return h, fmt.Errorf("%w: header of %d bytes", ErrBackupDamaged, len(b))
	}
	b = b[len(backupMagic)+2:]
	b = b[copy(h.Identity[:], b):]
	b = b[copy(h.Network[:], b):]
	b = b[copy(h.Store[:], b):]
	number := func() int64 {
		n := int64(binary.LittleEndian.Uint64(b))
		b = b[8:]
		if n < 0 || n > maxBackupSize {
			err = fmt.Errorf("%w: a number in the header is out of range", ErrBackupDamaged)
		}
		return n
	}
	h.Created, h.Messages, h.Own, h.Size = number(), uint64(number()), number(), number()
	copy(h.SHA256[:], b)
	return h, err
}

// noEOF makes the end of a file where more was expected an error of its own.
func noEOF(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("%w: it ends before its time", ErrBackupDamaged)
	}
	return err
}
