package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/store/durable"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// backupFile is an opened backup, every byte of which was checked.
type backupFile struct {
	*store.Backup
	file     *os.File
	size     int64
	identity identity // empty unless it is encrypted
}

// openBackup opens a backup and checks all of it. passphrase is asked for one
// when the file is encrypted.
func (p *program) openBackup(path string, passphrase func() (string, error)) (*backupFile, error) {
	f, size, err := openPlain(path)
	if err != nil {
		return nil, err
	}
	b := &backupFile{file: f, size: size}
	if err := p.check(b, passphrase); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return b, nil
}

// openPlain opens a regular file that the user names, which may be a link.
func openPlain(path string) (*os.File, int64, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, 0, err
	}
	root, err := os.OpenRoot(filepath.Dir(real))
	if err != nil {
		return nil, 0, err
	}
	defer root.Close()
	f, info, err := durable.OpenRegular(root, filepath.Base(real), -1)
	if err != nil {
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// check decrypts and opens what is in the file.
func (p *program) check(b *backupFile, passphrase func() (string, error)) (err error) {
	var r io.ReaderAt = b.file
	at, size := int64(0), b.size
	if b.encrypted() {
		secret, err := passphrase()
		if err != nil {
			return err
		}
		if r, size, err = decrypt(r, size, secret); err != nil {
			return err
		}
		if b.identity, at, err = parseIdentity(r); err != nil {
			return err
		}
	}
	bar := p.newProgress()
	defer bar.end()
	b.Backup, err = store.OpenBackup(io.NewSectionReader(r, at, size-at), size-at, func(read int64) {
		bar.update(stick.Progress{Phase: stick.Checking, Bytes: read, TotalBytes: size - at})
	})
	return err
}

// encrypted reports whether a file is an age file.
func (b *backupFile) encrypted() bool {
	var magic [len(ageMagic)]byte
	n, _ := b.file.ReadAt(magic[:], 0)
	return string(magic[:n]) == ageMagic
}

// Close closes the file.
func (b *backupFile) Close() error { return b.file.Close() }
