package store_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
)

// backup returns a backup of a store.
func backup(t testing.TB, s *store.Store) ([]byte, store.BackupHeader) {
	t.Helper()
	var database, file bytes.Buffer
	h, err := s.Snapshot(author(1).Feed(), &database)
	if err != nil {
		t.Fatal(err)
	}
	h.Network, h.Created = [32]byte{7}, 1_700_000_000_000
	if err := store.WriteBackup(&file, h, &database, nil); err != nil {
		t.Fatal(err)
	}
	return file.Bytes(), h
}

func openBackup(t testing.TB, file []byte) *store.Backup {
	t.Helper()
	b, err := store.OpenBackup(bytes.NewReader(file), int64(len(file)), nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// restore unpacks a backup and opens what is in it.
func restore(t testing.TB, b *store.Backup) *store.Store {
	t.Helper()
	path := filepath.Join(t.TempDir(), "restored.db")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.WriteDatabase(f), f.Close()); err != nil {
		t.Fatal(err)
	}
	return open(t, path, store.Options{})
}

// TestBackup backs up and restores; what comes back is what was there.
func TestBackup(t *testing.T) {
	s := temp(t)
	mustAppend(t, s, store.Stored, interleave(feed(t, 40, author(1)), feed(t, 25, author(2)))...)
	file, wrote := backup(t, s)
	b := openBackup(t, file)
	if h := b.Header(); h != wrote || h.Messages != 65 || h.Own != 40 || h.Store != s.ID() || h.Identity != author(1).Feed() {
		t.Errorf("the header is %+v", h)
	}
	for range 2 { // also a second time
		if r := restore(t, b); r.ID() != s.ID() || r.Last() != 65 {
			t.Errorf("restored %d messages of store %x", r.Last(), r.ID())
		}
	}
	t.Logf("%d bytes of %d", len(file), wrote.Size)
}

// TestBackupOfEmpty is about a store that holds nothing.
func TestBackupOfEmpty(t *testing.T) {
	file, h := backup(t, temp(t))
	if h.Messages != 0 || h.Own != 0 || h.Size == 0 {
		t.Errorf("the header is %+v", h)
	}
	if r := restore(t, openBackup(t, file)); r.Last() != 0 {
		t.Errorf("restored %d messages", r.Last())
	}
}

// TestBackupWhileWriting takes snapshots while thousands of messages are
// written: each is one moment of the store, whole.
func TestBackupWhileWriting(t *testing.T) {
	s := temp(t)
	stop, done := make(chan struct{}), sync.WaitGroup{}
	started := make(chan struct{})
	done.Go(func() {
		head := message.Head{}
		for round := 0; ; round++ {
			msgs := chain(t, author(1), head, 100, "busy")
			mustAppend(t, s, store.Stored, msgs...)
			last := msgs[len(msgs)-1]
			head = message.Head{Feed: last.Feed(), Seq: last.Seq(), ID: last.ID()}
			if round == 0 {
				close(started)
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	<-started
	var counts []uint64
	for range 8 {
		file, h := backup(t, s)
		r := restore(t, openBackup(t, file)) // which checks it when the test ends
		if r.Last() != h.Messages || h.Own != int64(h.Messages) || h.Messages%100 != 0 || h.Messages == 0 {
			t.Errorf("restored %d messages, the header is %+v", r.Last(), h)
		}
		counts = append(counts, h.Messages)
	}
	close(stop)
	done.Wait()
	t.Logf("snapshots of %v of %d messages", counts, s.Last())
}

// TestBackupDamaged cuts a backup at many lengths and flips bits of it at many
// positions: it is refused before anything of it is used.
func TestBackupDamaged(t *testing.T) {
	s := temp(t)
	mustAppend(t, s, store.Stored, feed(t, 50, author(1))...)
	file, _ := backup(t, s)
	refused := func(what string, at int, bad []byte) {
		t.Helper()
		_, err := store.OpenBackup(bytes.NewReader(bad), int64(len(bad)), nil)
		if !errors.Is(err, store.ErrBackupDamaged) && !errors.Is(err, store.ErrNotBackup) && !errors.Is(err, store.ErrNewerBackup) {
			t.Errorf("%s %d of %d: %v", what, at, len(file), err)
		}
	}
	tried := 0
	for _, at := range spots(len(file)) {
		refused("cut at", at, file[:at])
		bad := bytes.Clone(file)
		bad[at] ^= 1 << (at % 8)
		refused("flipped", at, bad)
		tried++
	}
	refused("with more behind it", 1, append(bytes.Clone(file), 0))
	refused("twice", 2, append(bytes.Clone(file), file...))
	t.Logf("%d positions of %d bytes", tried, len(file))
}

// spots are the first and the last positions and as many in between.
func spots(size int) (at []int) {
	random := rand.New(rand.NewPCG(1, 2))
	for i := range min(backupSpots, size/2) {
		at = append(at, i, size-1-i, random.IntN(size))
	}
	return at
}

// TestBackupOfLiar is about backups whose hash is right and whose content is
// not what it says.
func TestBackupOfLiar(t *testing.T) {
	s := temp(t)
	mustAppend(t, s, store.Stored, feed(t, 5, author(1))...)
	var database bytes.Buffer
	h, err := s.Snapshot(author(1).Feed(), &database)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*store.BackupHeader){
		"smaller":      func(h *store.BackupHeader) { h.Size-- },
		"larger":       func(h *store.BackupHeader) { h.Size++ },
		"another hash": func(h *store.BackupHeader) { h.SHA256[0] ^= 1 },
	} {
		lie := h
		change(&lie)
		var file bytes.Buffer
		if err := store.WriteBackup(&file, lie, bytes.NewReader(database.Bytes()), nil); err != nil {
			t.Fatal(err)
		}
		if err := openBackup(t, file.Bytes()).WriteDatabase(io.Discard); !errors.Is(err, store.ErrBackupDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// sealed completes the front and the database of a backup with its end.
func sealed(body []byte) []byte {
	sum := sha256.Sum256(body)
	file := binary.LittleEndian.AppendUint32(bytes.Clone(body), 0x184D2A56)
	file = binary.LittleEndian.AppendUint32(file, 32)
	return append(file, sum[:]...)
}

// FuzzBackup opens anything whose hash is right. What it takes for a backup,
// it writes again with the same bytes, and unpacks within the size it names.
func FuzzBackup(f *testing.F) {
	s := temp(f)
	file, _ := backup(f, s)
	f.Add(file[:len(file)-40])
	withBlobs, _ := backupWithBlobs(f, s, blobsOf("", "one", "another"))
	f.Add(withBlobs[:len(withBlobs)-40])
	f.Add([]byte("ssbsync backup"))
	f.Fuzz(func(t *testing.T, body []byte) {
		file := sealed(body)
		b, err := store.OpenBackup(bytes.NewReader(file), int64(len(file)), nil)
		if err != nil {
			return
		}
		var again bytes.Buffer
		start := 8 + 160
		var blobs func(store.AddBlob) error
		if b.Header().Packed > 0 {
			start += 8
			blobs = func(add store.AddBlob) error {
				return b.EachBlob(func(id refs.Blob, r *io.SectionReader) error { return add(id, r.Size(), r) })
			}
		}
		database := bytes.NewReader(body[start : start+int(store.DatabaseLen(b))])
		if err := store.WriteBackup(&again, b.Header(), database, blobs); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again.Bytes(), file) {
			t.Fatalf("%x was written again as %x", file, again.Bytes())
		}
		if b.Header().Size <= 1<<20 {
			// Most are not whole; none may do more than fail.
			_ = b.WriteDatabase(io.Discard)
		}
	})
}
