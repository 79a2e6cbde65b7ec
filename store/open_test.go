package store_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/ssbsync/ssbsync/store"
)

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	f := feed(t, 5, author(1))
	ids := make(map[[16]byte]bool)
	for i, m := range f {
		s := open(t, path, store.Options{})
		if s.Last() != uint64(i) || s.Path() != path {
			t.Errorf("last is %d, want %d", s.Last(), i)
		}
		mustAppend(t, s, store.Stored, m)
		ids[s.ID()] = true
		if i == 2 {
			if err := s.RenewID(); err != nil {
				t.Fatal(err)
			}
			ids[s.ID()] = true
		}
		s.Close()
	}
	if len(ids) != 2 || ids[[16]byte{}] {
		t.Errorf("store ids: %v", ids)
	}
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path, store.Options{})
	_, err := store.Open(path, store.Options{})
	isErr(t, 0, err, store.ErrLocked)
	start := time.Now()
	_, err = store.Open(path, store.Options{Timeout: 100 * time.Millisecond})
	isErr(t, 1, err, store.ErrLocked)
	if time.Since(start) < 50*time.Millisecond {
		t.Error("did not wait")
	}
	time.AfterFunc(50*time.Millisecond, func() { s.Close() })
	open(t, path, store.Options{Timeout: 10 * time.Second})
}

// TestRefusesOthers opens what is no store, and leaves it as it is.
func TestRefusesOthers(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	database := otherDatabase(t)
	for i, c := range []struct {
		name string
		data []byte
	}{
		{"text", []byte("hello\n")},
		{"noise", bytes.Repeat([]byte("noise"), 1<<16)},
		{"empty", nil},
		{"zeros", make([]byte, 1<<16)},
		{"database", database},
		{"cut", database[:5000]},
	} {
		path := write(c.name, c.data)
		_, err := store.Open(path, store.Options{})
		isErr(t, i, err, store.ErrNotStore)
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, c.data) {
			t.Errorf("%s was changed", c.name)
		}
	}
	_, err := store.Open(dir, store.Options{})
	isErr(t, 10, err, store.ErrNotStore)
	_, err = store.Open(filepath.Join(dir, "missing", "store.db"), store.Options{})
	isErr(t, 11, err, fs.ErrNotExist)
}

// otherDatabase returns a bbolt database of somebody else.
func otherDatabase(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "other.db")
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket([]byte("meta"))
		return errors.Join(err, b.Put([]byte("format"), []byte("theirs")))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestNewerFormat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s, err := store.Open(path, store.Options{})
	if err == nil {
		err = errors.Join(s.SetFormat(2), s.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	_, err = store.Open(path, store.Options{})
	isErr(t, 0, err, store.ErrNewer)
}

// TestCreationKilled opens where a process died while it made the store.
func TestCreationKilled(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "store.db")
	s := open(t, whole, store.Options{})
	id := s.ID()
	s.Close()
	data, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, 4096, 8192, 12345, len(data)} {
		path := filepath.Join(t.TempDir(), "store.db")
		if err := os.WriteFile(path+".new", data[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		s := open(t, path, store.Options{})
		if (s.ID() == id) != (n == len(data)) {
			t.Errorf("%d bytes left behind: store id %x", n, s.ID())
		}
		if _, err := os.Stat(path + ".new"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%d bytes left behind: still there, %v", n, err)
		}
		mustAppend(t, s, store.Stored, feed(t, 3, author(1))...)
	}
}

// TestCreationRace makes one store from many places at once.
func TestCreationRace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	var group sync.WaitGroup
	ids := make(chan [16]byte, 8)
	for range cap(ids) {
		group.Go(func() {
			s, err := store.Open(path, store.Options{Timeout: 10 * time.Second})
			if err != nil {
				t.Error(err)
				return
			}
			ids <- s.ID()
			s.Close()
		})
	}
	group.Wait()
	close(ids)
	first := <-ids
	for id := range ids {
		if id != first {
			t.Error("made more than one store")
		}
	}
}

func TestTruncated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path, store.Options{})
	mustAppend(t, s, store.Stored, feed(t, 200, author(1))...)
	s.Close()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(t.TempDir(), "cut.db")
	if err := os.WriteFile(cut, data[:100_000], 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = store.Open(cut, store.Options{})
	isErr(t, 0, err, store.ErrDamaged)
}

func TestWriteTo(t *testing.T) {
	s := temp(t)
	f := feed(t, 50, author(1))
	mustAppend(t, s, store.Stored, f...)
	var copied bytes.Buffer
	n, err := s.WriteTo(&copied)
	if err != nil || n != int64(copied.Len()) {
		t.Fatalf("%d bytes, %v", n, err)
	}
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := os.WriteFile(path, copied.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	c := open(t, path, store.Options{})
	if c.ID() != s.ID() {
		t.Error("the copy has another id")
	}
	readFeed(t, c, f)
}
