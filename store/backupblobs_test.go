package store_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
)

// blobsOf makes blobs of texts.
func blobsOf(texts ...string) (list [][]byte) {
	for _, text := range texts {
		list = append(list, []byte(text))
	}
	return list
}

// backupWithBlobs returns a backup of a store with blobs.
func backupWithBlobs(t testing.TB, s *store.Store, list [][]byte) ([]byte, store.BackupHeader) {
	t.Helper()
	var database, file bytes.Buffer
	h, err := s.Snapshot(author(1).Feed(), &database)
	if err != nil {
		t.Fatal(err)
	}
	h.Packed = int64(database.Len())
	err = store.WriteBackup(&file, h, &database, func(add store.AddBlob) error {
		for _, data := range list {
			if err := add(refs.SumBlob(data), int64(len(data)), bytes.NewReader(data)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return file.Bytes(), h
}

// TestBackupBlobs: blobs come back as they were, of any size, and without them a
// backup is what it always was.
func TestBackupBlobs(t *testing.T) {
	s := temp(t)
	mustAppend(t, s, store.Stored, feed(t, 5, author(1))...)
	list := append(blobsOf("", "one", strings.Repeat("x", 1<<20)), make([]byte, 65536))
	file, wrote := backupWithBlobs(t, s, list)
	b := openBackup(t, file)
	if count, size := b.Blobs(); b.Header() != wrote || count != int64(len(list)) || size != 3+1<<20+65536 {
		t.Errorf("%d blobs of %d bytes, header %+v", count, size, b.Header())
	}
	at := 0
	err := b.EachBlob(func(id refs.Blob, blob *io.SectionReader) error {
		data, err := io.ReadAll(blob)
		if id != refs.SumBlob(list[at]) || !bytes.Equal(data, list[at]) {
			t.Errorf("blob %d is %s of %d bytes", at, id, len(data))
		}
		at++
		return err
	})
	if err != nil || at != len(list) {
		t.Errorf("%d blobs: %v", at, err)
	}
	if r := restore(t, b); r.Last() != 5 {
		t.Errorf("restored %d messages", r.Last())
	}
	plain, _ := backup(t, s)
	if count, _ := openBackup(t, plain).Blobs(); count != 0 || plain[8+14] != 1 || file[8+14] != 2 {
		t.Errorf("%d blobs in a backup without; versions %d and %d", count, plain[8+14], file[8+14])
	}
}

// TestBackupBlobsCut is about blobs that are not what was said while they are
// written, and about frames that say something else than the truth under a hash
// that is right.
func TestBackupBlobsCut(t *testing.T) {
	s := temp(t)
	var database bytes.Buffer
	h, err := s.Snapshot(author(1).Feed(), &database)
	if err != nil {
		t.Fatal(err)
	}
	h.Packed = int64(database.Len())
	for name, blobs := range map[string]func(store.AddBlob) error{
		"too short": func(add store.AddBlob) error { return add(refs.Blob{1}, 4, strings.NewReader("abc")) },
		"too large": func(add store.AddBlob) error {
			return add(refs.Blob{1}, store.MaxBackupBlob+1, strings.NewReader("abc"))
		},
		"failing": func(store.AddBlob) error { return io.ErrClosedPipe },
	} {
		if err := store.WriteBackup(io.Discard, h, bytes.NewReader(database.Bytes()), blobs); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	file, _ := backupWithBlobs(t, s, blobsOf("one", "two"))
	body := file[:len(file)-40]
	frames := 8 + 168 + int(h.Packed)
	for name, change := range map[string]func([]byte) []byte{
		"another magic":    func(b []byte) []byte { b[frames]++; return b },
		"too long":         func(b []byte) []byte { binary.LittleEndian.PutUint32(b[frames+4:], 1<<31); return b },
		"shorter than id":  func(b []byte) []byte { binary.LittleEndian.PutUint32(b[frames+4:], 31); return b },
		"cut":              func(b []byte) []byte { return b[:len(b)-1] },
		"cut in its head":  func(b []byte) []byte { return b[:frames+43+20] },
		"database too big": func(b []byte) []byte { binary.LittleEndian.PutUint64(b[8+160:], 1<<40); return b },
	} {
		bad := sealed(change(bytes.Clone(body)))
		if _, err := store.OpenBackup(bytes.NewReader(bad), int64(len(bad)), nil); !errors.Is(err, store.ErrBackupDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
