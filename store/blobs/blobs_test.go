package blobs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store/blobs"
)

func open(t testing.TB, dir string, c blobs.Config) *blobs.Store {
	t.Helper()
	s, err := blobs.Open(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func put(t testing.TB, s *blobs.Store, data []byte) refs.Blob {
	t.Helper()
	info, err := s.PutBytes(data, refs.Blob{})
	if err != nil {
		t.Fatal(err)
	}
	if info.ID != refs.SumBlob(data) || info.Size != int64(len(data)) {
		t.Fatalf("stored %d bytes as %+v", len(data), info)
	}
	return info.ID
}

// files lists what lies in the folder, folders apart.
func files(t testing.TB, dir string) (names []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// check holds what must be true of a folder at rest: every file is the blob it
// is named after, nothing is in tmp, and what is counted is there.
func check(t testing.TB, dir string, s *blobs.Store) {
	t.Helper()
	var count, size int64
	for info, err := range s.All() {
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Verify(info.ID); err != nil {
			t.Error(err)
		}
		count++
		size += info.Size
	}
	if n := len(files(t, dir)); int64(n) != count {
		t.Errorf("%d files and %d blobs", n, count)
	}
	if c, b, err := s.Usage(); err != nil || c != count || b != size {
		t.Errorf("counted %d blobs of %d bytes (%v), there are %d of %d", c, b, err, count, size)
	}
}

// TestLayout compares with a folder that npm ssb-blobs 1.2.2 made.
func TestLayout(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, blobs.Config{})
	put(t, s, []byte("hello world"))
	put(t, s, bytes.Repeat([]byte{7}, 200_000))
	put(t, s, nil)
	want := []string{
		"sha256/8c/fcba83dcfc81a193bb4e52fd3161efb513906f52cbbe2328fac5f1a79c2b6e",
		"sha256/b9/4d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9",
		"sha256/e3/b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	}
	if got := files(t, dir); !slices.Equal(got, want) {
		t.Errorf("the folder holds %q", got)
	}
	check(t, dir, s)
}

func TestReading(t *testing.T) {
	s := open(t, t.TempDir(), blobs.Config{})
	for _, size := range []int{0, 1, 65_535, 65_536, 65_537, 1 << 20, blobs.DefaultMax} {
		data := random(size, uint64(size))
		id := put(t, s, data)
		if n, err := s.Size(id); err != nil || n != int64(size) || !s.Has(id) {
			t.Errorf("%d bytes: size %d, %v", size, n, err)
		}
		if got, err := s.ReadAll(id, 0); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes: read %d, %v", size, len(got), err)
		}
		f, err := s.Open(id)
		if err != nil {
			t.Fatal(err)
		}
		if size <= 1 {
			if err := iotest.TestReader(f, data); err != nil {
				t.Errorf("%d bytes: %v", size, err)
			}
		} else if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes: %v", size, err)
		}
		if f.Size() != int64(size) {
			t.Errorf("%d bytes: file of %d", size, f.Size())
		}
		f.Close()
	}
}

func TestMissing(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, blobs.Config{})
	id := refs.SumBlob([]byte("not here"))
	_, sizeErr := s.Size(id)
	_, openErr := s.Open(id)
	_, readErr := s.ReadAll(id, 0)
	for _, err := range []error{sizeErr, openErr, readErr, s.Verify(id), s.Remove(id)} {
		if !errors.Is(err, blobs.ErrNotFound) || !strings.Contains(err.Error(), id.String()) {
			t.Errorf("of what is not there: %v", err)
		}
	}
	if s.Has(id) {
		t.Error("has what is not there")
	}
	none := refs.SumBlob(nil)
	if n, err := s.Size(none); n != 0 || err != nil || !s.Has(none) || s.Remove(none) != nil {
		t.Errorf("the empty blob: size %d, %v", n, err)
	}
	if got, err := s.ReadAll(none, 0); len(got) != 0 || err != nil {
		t.Errorf("the empty blob: %q, %v", got, err)
	}
}

func TestWrongHash(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, blobs.Config{})
	want := refs.SumBlob([]byte("promised"))
	var mismatch *blobs.MismatchError
	_, err := s.Put(strings.NewReader("delivered"), want)
	if !errors.As(err, &mismatch) || mismatch.Got != refs.SumBlob([]byte("delivered")) {
		t.Errorf("another blob than promised: %v", err)
	}
	if _, err := s.PutBytes([]byte("delivered"), want); !errors.As(err, &mismatch) {
		t.Errorf("another blob than promised, in memory: %v", err)
	}
	if names := files(t, dir); len(names) != 0 {
		t.Errorf("left behind: %q", names)
	}
	if s.Last() != 0 {
		t.Error("it was announced")
	}
}

func TestLimits(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, blobs.Config{Max: 1000})
	put(t, s, random(1000, 1))
	_, err := s.PutBytes(random(1001, 2), refs.Blob{})
	if !errors.Is(err, blobs.ErrTooLarge) {
		t.Errorf("1,001 of 1,000 bytes: %v", err)
	}
	endless := &counter{r: rand.NewChaCha8([32]byte{})}
	if _, err := s.Put(endless, refs.Blob{}); !errors.Is(err, blobs.ErrTooLarge) || endless.n > 100_000 {
		t.Errorf("endless: %v after %d bytes", err, endless.n)
	}
	if _, err := s.ReadAll(refs.SumBlob(random(1000, 1)), 999); !errors.Is(err, blobs.ErrTooLarge) {
		t.Errorf("reading 1,000 of at most 999 bytes: %v", err)
	}
	w, err := s.NewWriter(1 << 40)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(random(1001, 3)); !errors.Is(err, blobs.ErrTooLarge) {
		t.Errorf("a writer with a limit beyond the maximum: %v", err)
	}
	w.Close()
	if n := len(files(t, dir)); n != 1 {
		t.Errorf("%d files", n)
	}
}

func TestInterrupted(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, blobs.Config{})
	cut := iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("a blob that is cut off")))
	if _, err := s.Put(cut, refs.Blob{}); !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("a source that fails: %v", err)
	}
	w, err := s.NewWriter(0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(w, "dropped")
	w.Close()
	w.Close()
	if names := files(t, dir); len(names) != 0 {
		t.Errorf("left behind: %q", names)
	}
}

// TestFailedSteps fails each step of a write, as a full or broken disk does,
// and stops there for ever, as a kill does.
func TestFailedSteps(t *testing.T) {
	data := []byte("all or nothing")
	for _, step := range []string{"create", "write", "sync", "rename", "syncdir"} {
		dir := t.TempDir()
		s := open(t, dir, blobs.Config{})
		if _, _, err := s.Usage(); err != nil {
			t.Fatal(err)
		}
		broken := errors.New("broken")
		s.Fail(func(at string) error {
			if at == step {
				return broken
			}
			return nil
		})
		if _, err := s.PutBytes(data, refs.Blob{}); !errors.Is(err, broken) {
			t.Errorf("%s fails: %v", step, err)
		}
		applied := step == "syncdir" // whether it was, nobody knows
		if s.Has(refs.SumBlob(data)) != applied || s.Last() != 0 {
			t.Errorf("%s fails: stored or announced", step)
		}
		check(t, dir, s)
		s.Fail(nil)
		put(t, s, data)
		check(t, dir, s)

		dir = t.TempDir()
		s = open(t, dir, blobs.Config{})
		killed := make(chan struct{})
		s.Fail(func(at string) error {
			if at == step {
				close(killed)
				select {} // what is done stays done, and no more comes
			}
			return nil
		})
		go s.PutBytes(data, refs.Blob{})
		<-killed
		again := open(t, dir, blobs.Config{})
		if again.Has(refs.SumBlob(data)) != applied {
			t.Errorf("killed at %s: stored", step)
		}
		check(t, dir, again)
	}
}

func TestRotten(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, blobs.Config{})
	data := random(5000, 1)
	id := put(t, s, data)
	file := filepath.Join(dir, files(t, dir)[0])
	for _, content := range [][]byte{data[:4999], append(bytes.Clone(data), 0), append([]byte{data[0] ^ 1}, data[1:]...)} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.ReadAll(id, 0); !errors.Is(err, blobs.ErrDamaged) {
			t.Errorf("%d bytes: %v", len(content), err)
		}
		if err := s.Verify(id); !errors.Is(err, blobs.ErrDamaged) {
			t.Errorf("%d bytes: %v", len(content), err)
		}
		put(t, s, data) // heals
		check(t, dir, open(t, dir, blobs.Config{}))
	}
}

// TestEmptyFile: what multiblob leaves after a power cut is no blob.
func TestEmptyFile(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, blobs.Config{})
	data := []byte("lost in a power cut")
	id := put(t, s, data)
	if err := os.Truncate(filepath.Join(dir, files(t, dir)[0]), 0); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, blobs.Config{})
	if _, err := s.Open(id); !errors.Is(err, blobs.ErrNotFound) || s.Has(id) {
		t.Errorf("an empty file is a blob: %v", err)
	}
	for info, err := range s.All() {
		t.Errorf("listed: %+v, %v", info, err)
	}
	put(t, s, data)
	check(t, dir, s)
}

// TestStrangeFiles has in the folder what does not belong there.
func TestStrangeFiles(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, blobs.Config{})
	id := put(t, s, []byte("the only one"))
	s.Close()
	hash := fmt.Sprintf("%x", id[:])
	outside := filepath.Join(t.TempDir(), "secret")
	write(t, outside)
	for _, name := range []string{
		"tmp/1795357550552-0", "tmp/deep/er", "sha256/readme", "sha256/b9/short", "sha256/B9/4d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9",
		"sha256/b9/4D27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9", "blake2s/b9/4d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9",
		"sha256/" + hash[:2] + "/" + hash[2:] + ".part", "sha256/zz/4d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9",
	} {
		write(t, filepath.Join(dir, filepath.FromSlash(name)))
	}
	other := refs.SumBlob([]byte("a folder"))
	if err := os.MkdirAll(filepath.Join(dir, "sha256", fmt.Sprintf("%x", other[:1]), fmt.Sprintf("%x", other[1:])), 0o700); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, blobs.Config{})
	var ids []refs.Blob
	for info, err := range s.All() {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, info.ID)
	}
	if !slices.Equal(ids, []refs.Blob{id}) {
		t.Errorf("listed %v", ids)
	}
	if s.Has(other) {
		t.Error("a folder is a blob")
	}
	for _, name := range files(t, dir) {
		if strings.HasPrefix(name, "tmp/") {
			t.Errorf("%s is still there", name)
		}
	}
}

func write(t *testing.T, name string) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(name), 0o700)
	if err == nil {
		err = os.WriteFile(name, []byte("strange"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestAdditions follows what is stored.
func TestAdditions(t *testing.T) {
	s := open(t, t.TempDir(), blobs.Config{Now: func() time.Time { return time.UnixMilli(1_700_000_000_000) }})
	ctx, stop := context.WithCancel(context.Background())
	if err := waitBriefly(s, 0); !errors.Is(err, errEnough) {
		t.Errorf("nothing was added: %v", err)
	}
	id := put(t, s, []byte("one"))
	if err := s.WaitAdded(ctx, 0); err != nil {
		t.Fatal(err)
	}
	list, last, missed := s.Added(0, 100)
	if len(list) != 1 || list[0] != (blobs.Info{ID: id, Size: 3, Time: 1_700_000_000_000}) || last != 1 || missed {
		t.Errorf("added %+v, %d, %v", list, last, missed)
	}
	woken := make(chan error, 1)
	go func() { woken <- s.WaitAdded(ctx, last) }()
	put(t, s, []byte("one"))
	if err := <-woken; err != nil || s.Last() != 2 {
		t.Errorf("stored again: %v, %d", err, s.Last())
	}
	stop()
	if err := s.WaitAdded(ctx, 2); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}

var errEnough = errors.New("enough")

// waitBriefly waits with a context that has ended.
func waitBriefly(s *blobs.Store, after uint64) error {
	ctx, stop := context.WithCancelCause(context.Background())
	stop(errEnough)
	return s.WaitAdded(ctx, after)
}

func TestManyAdditions(t *testing.T) {
	const most = 16
	s := open(t, t.TempDir(), blobs.Config{})
	s.Remember(most)
	for i := range most + 10 {
		put(t, s, fmt.Append(nil, i))
	}
	list, last, missed := s.Added(5, 1<<20)
	if len(list) != most || last != most+10 || !missed {
		t.Errorf("%d, up to %d, missed: %v", len(list), last, missed)
	}
	list, last, missed = s.Added(20, 3)
	if len(list) != 3 || last != 23 || missed || list[0].ID != refs.SumBlob([]byte("20")) {
		t.Errorf("%+v, up to %d, missed: %v", list, last, missed)
	}
}

// TestTogether has many write, read and remove the same few blobs.
func TestTogether(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, blobs.Config{})
	if _, _, err := s.Usage(); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := range 24 {
				data := random(1000, uint64(i%6))
				id := refs.SumBlob(data)
				switch (i + worker) % 3 {
				case 0:
					if err := s.Remove(id); err != nil && !errors.Is(err, blobs.ErrNotFound) {
						t.Error(err)
					}
				case 1:
					if got, err := s.ReadAll(id, 0); err == nil && !bytes.Equal(got, data) || err != nil && !errors.Is(err, blobs.ErrNotFound) {
						t.Errorf("read %d bytes, %v", len(got), err)
					}
				default:
					if _, err := s.PutBytes(data, id); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	group.Wait()
	check(t, dir, s)
}

// FuzzName: names of files are foreign. What is taken for a blob lies where
// that blob belongs.
func FuzzName(f *testing.F) {
	f.Add("b9", "4d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9")
	f.Add("B9", "4d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9")
	f.Add("..", "/../../../../../../../../../../../../../../../../etc/passwd\x00\x00\x00")
	f.Add("e3", "")
	f.Fuzz(func(t *testing.T, dir, name string) {
		id, ok := blobs.IDOf(dir, name)
		if ok && fmt.Sprintf("%x", id[:]) != dir+name {
			t.Errorf("%q and %q are %s", dir, name, id)
		}
	})
}

func random(size int, seed uint64) []byte {
	data := make([]byte, size)
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	rand.NewChaCha8(key).Read(data)
	return data
}

type counter struct {
	r io.Reader
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

func BenchmarkPut(b *testing.B) {
	for _, size := range []int{1 << 10, 100 << 10, 5 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			s := open(b, b.TempDir(), blobs.Config{})
			data := random(size, 1)
			b.SetBytes(int64(size))
			for i := 0; b.Loop(); i++ {
				data[0], data[1], data[2] = byte(i), byte(i>>8), byte(i>>16)
				put(b, s, data)
			}
		})
	}
}

func BenchmarkHas(b *testing.B) {
	s := open(b, b.TempDir(), blobs.Config{})
	id := put(b, s, []byte("here"))
	for i := 0; b.Loop(); i++ {
		if i%2 == 0 {
			id[5]++
		}
		s.Has(id)
	}
}

func BenchmarkReadAll(b *testing.B) {
	s := open(b, b.TempDir(), blobs.Config{})
	id := put(b, s, random(1<<20, 1))
	b.SetBytes(1 << 20)
	for b.Loop() {
		if _, err := s.ReadAll(id, 0); err != nil {
			b.Fatal(err)
		}
	}
}
