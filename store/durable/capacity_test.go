package durable_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/ssbsync/ssbsync/store/durable"
)

const (
	mebibyte    = 1 << 20
	fakeFileLen = 2 * mebibyte
)

// A fakeStick claims more than it holds. Files lie one behind the other on it,
// each in fakeFileLen bytes; what happens to bytes beyond the real size is its
// kind of fraud.
type fakeStick struct {
	claims, real int64
	beyond       string // wrap, zeros, noise, or the errors: read, write, sync

	data    []byte
	sizes   map[int]int64
	removed int
	extra   int64 // of what it claims, taken by the file system itself
	cached  bool  // the cache cannot be dropped
	gone    bool  // pulled: everything fails
}

func newFakeStick(claims, real int64, beyond string) *fakeStick {
	return &fakeStick{claims: claims, real: real, beyond: beyond, data: make([]byte, real), sizes: map[int]int64{}}
}

func (s *fakeStick) Free() (uint64, uint64, error) {
	return uint64(s.claims + s.extra), uint64(s.claims + s.extra + mebibyte), nil
}

func (s *fakeStick) Create(index int) (durable.MediumFile, error) {
	s.sizes[index] = 0
	return &fakeFile{s, index}, nil
}

func (s *fakeStick) Open(index int) (durable.MediumFile, error) {
	if _, ok := s.sizes[index]; !ok {
		return nil, fs.ErrNotExist
	}
	return &fakeFile{s, index}, nil
}

func (s *fakeStick) Remove(index int) error {
	s.removed++
	delete(s.sizes, index)
	return nil
}

type fakeFile struct {
	s     *fakeStick
	index int
}

func (f *fakeFile) Write(p []byte) (n int, err error) {
	for n < len(p) {
		at := int64(f.index)*fakeFileLen + f.s.sizes[f.index]
		piece := p[n:min(len(p), n+mebibyte/16)]
		switch {
		case f.s.gone || at >= f.s.real && f.s.beyond == "write":
			return n, syscall.EIO
		case at >= f.s.claims:
			return n, syscall.ENOSPC
		case at < f.s.real:
			piece = piece[:copy(f.s.data[at:], piece)]
		case f.s.beyond == "wrap":
			piece = piece[:copy(f.s.data[at%f.s.real:], piece)]
		}
		n += len(piece)
		f.s.sizes[f.index] += int64(len(piece))
	}
	return n, nil
}

func (f *fakeFile) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		at := int64(f.index)*fakeFileLen + off + int64(n)
		left := min(int64(len(p)-n), f.s.sizes[f.index]-off-int64(n), mebibyte/16)
		switch {
		case f.s.gone:
			return n, syscall.EIO
		case left <= 0:
			return n, io.EOF
		case at < f.s.real:
			left = int64(copy(p[n:n+int(left)], f.s.data[at:]))
		case f.s.beyond == "wrap":
			left = int64(copy(p[n:n+int(left)], f.s.data[at%f.s.real:]))
		case f.s.beyond == "zeros":
			clear(p[n : n+int(left)])
		case f.s.beyond == "noise":
			copy(p[n:n+int(left)], bytes.Repeat([]byte("noise"), int(left)/5+1))
		default:
			return n, syscall.EIO
		}
		n += int(left)
	}
	return n, nil
}

func (f *fakeFile) Sync() error {
	if end := int64(f.index)*fakeFileLen + f.s.sizes[f.index]; f.s.beyond == "sync" && end > f.s.real {
		return syscall.EIO
	}
	return nil
}

func (f *fakeFile) Close() error    { return nil }
func (f *fakeFile) DropCache() bool { return !f.s.cached }

// TestCapacityOfFakes knows every kind of fraud, and how much is real.
func TestCapacityOfFakes(t *testing.T) {
	const claims, real = 21 * mebibyte, 15 * mebibyte / 2
	for _, c := range []struct {
		beyond string
		lost   func(durable.CapacityReport) int64 // where the loss must show
	}{
		{"wrap", func(r durable.CapacityReport) int64 { return r.Elsewhere }},
		{"zeros", func(r durable.CapacityReport) int64 { return r.Zero }},
		{"noise", func(r durable.CapacityReport) int64 { return r.Damaged }},
		{"read", func(r durable.CapacityReport) int64 { return r.Unreadable }},
		{"write", nil},
		{"sync", nil},
	} {
		stick := newFakeStick(claims, real, c.beyond)
		r, err := durable.CheckCapacityOf(t.Context(), stick, fakeFileLen, durable.CapacityOptions{})
		if err != nil {
			t.Fatalf("%s: %v", c.beyond, err)
		}
		t.Logf("%s: wrote %d of %d claimed, %d of %d are real", c.beyond, r.Written, r.Claimed, r.Good, real)
		addsUp(t, r)
		switch {
		case r.OK() || r.Complete:
			t.Errorf("%s: passed: %+v", c.beyond, r)
		case r.Good > real || r.Good < real-fakeFileLen:
			t.Errorf("%s: %d bytes are real, not %d", c.beyond, real, r.Good)
		case r.Written > real+2*fakeFileLen:
			t.Errorf("%s: went on writing up to %d", c.beyond, r.Written)
		case c.lost != nil && (c.lost(r) == 0 || c.lost(r) != r.Written-r.Good):
			t.Errorf("%s: the loss was taken for another: %+v", c.beyond, r)
		case c.lost == nil && !errors.Is(r.Failed, syscall.EIO):
			t.Errorf("%s: the error is %v", c.beyond, r.Failed)
		case len(stick.sizes) > 0 || stick.removed == 0:
			t.Errorf("%s: files were left", c.beyond)
		}
	}
}

func addsUp(t *testing.T, r durable.CapacityReport) {
	t.Helper()
	if r.Good+r.Zero+r.Elsewhere+r.Damaged+r.Unreadable != r.Written {
		t.Errorf("the parts do not add up: %+v", r)
	}
}

// TestCapacityOfHonest fills an honest stick up to the margin, and reports
// what it does.
func TestCapacityOfHonest(t *testing.T) {
	const claims = 20*mebibyte + 12345
	for _, cached := range []bool{false, true} {
		stick := newFakeStick(claims, claims, "")
		stick.cached = cached
		var steps []durable.CapacityProgress
		r, err := durable.CheckCapacityOf(t.Context(), stick, fakeFileLen, durable.CapacityOptions{
			Progress: func(p durable.CapacityProgress) { steps = append(steps, p) }})
		if err != nil {
			t.Fatal(err)
		}
		addsUp(t, r)
		if !r.OK() || !r.Complete || r.Verified == cached || r.Claimed != claims || r.Size != claims+mebibyte {
			t.Errorf("cached %v: %+v", cached, r)
		}
		if r.Written > claims-mebibyte || r.Written <= claims-mebibyte-4096 {
			t.Errorf("wrote %d of %d", r.Written, claims)
		}
		if r.WriteRate() <= 0 || r.ReadRate() <= 0 {
			t.Errorf("the rates are %v and %v", r.WriteRate(), r.ReadRate())
		}
		last := steps[len(steps)-1]
		if !last.Reading || last.Done != r.Written || last.Total != r.Written || !slices.IsSortedFunc(steps, inOrder) {
			t.Errorf("the progress was %v", steps)
		}
	}
}

func inOrder(a, b durable.CapacityProgress) int {
	if a.Reading != b.Reading {
		return map[bool]int{false: -1, true: 1}[a.Reading]
	}
	return int(a.Done - b.Done)
}

// TestCapacityFull is about a file system that needs more for itself than the
// margin: full is no failure.
func TestCapacityFull(t *testing.T) {
	stick := newFakeStick(18*mebibyte, 18*mebibyte, "")
	stick.extra = 3 * mebibyte
	r, err := durable.CheckCapacityOf(t.Context(), stick, fakeFileLen, durable.CapacityOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !r.OK() || !r.Complete || r.Written != 18*mebibyte || r.Claimed != 21*mebibyte {
		t.Errorf("%+v", r)
	}
}

// TestCapacityLimit writes no more than was allowed, and claims no more for it.
func TestCapacityLimit(t *testing.T) {
	stick := newFakeStick(20*mebibyte, 20*mebibyte, "")
	r, err := durable.CheckCapacityOf(t.Context(), stick, fakeFileLen, durable.CapacityOptions{Limit: 5*mebibyte + 1})
	if err != nil {
		t.Fatal(err)
	}
	if !r.OK() || r.Complete || r.Written != 5*mebibyte {
		t.Errorf("%+v", r)
	}
}

// TestCapacityGone is about a stick that is pulled: that is an error, and no
// verdict on the stick.
func TestCapacityGone(t *testing.T) {
	stick := newFakeStick(20*mebibyte, 20*mebibyte, "")
	_, err := durable.CheckCapacityOf(t.Context(), stick, fakeFileLen, durable.CapacityOptions{
		Progress: func(p durable.CapacityProgress) { stick.gone = stick.gone || p.Done > 6*mebibyte }})
	if err == nil || !strings.Contains(err.Error(), "nothing could be read back") {
		t.Errorf("the error is %v", err)
	}
}

// TestCapacityCancelled ends in the middle of each pass, and removes its files
// and the folder it made.
func TestCapacityCancelled(t *testing.T) {
	for _, reading := range []bool{false, true} {
		dir := t.TempDir()
		root := openRoot(t, dir)
		ctx, cancel := context.WithCancel(t.Context())
		_, err := durable.CheckCapacity(ctx, root, "ssbsync/tmp/test", durable.CapacityOptions{
			Limit: 24 * mebibyte,
			Progress: func(p durable.CapacityProgress) {
				if p.Reading == reading {
					cancel()
				}
			}})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("reading %v: the error is %v", reading, err)
		}
		entries, err := os.ReadDir(filepath.Join(dir, "ssbsync", "tmp"))
		if err != nil || len(entries) > 0 {
			t.Errorf("left %v, %v", entries, err)
		}
	}
}

// TestCapacityOfFolder tests some of a real file system. What a killed test
// left is removed, and nothing else.
func TestCapacityOfFolder(t *testing.T) {
	dir := t.TempDir()
	root := openRoot(t, dir)
	old := filepath.Join(dir, "capacity-0123456789abcdef-00001.part")
	other := filepath.Join(dir, "capacity-of-my-boat.part")
	for _, name := range []string{old, other} {
		if err := os.WriteFile(name, []byte("left"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, err := durable.CheckCapacity(t.Context(), root, ".", durable.CapacityOptions{Limit: 9 * mebibyte})
	if err != nil {
		t.Fatal(err)
	}
	addsUp(t, r)
	if !r.OK() || r.Complete || r.Written != 9*mebibyte || r.Claimed == 0 || r.Size < r.Claimed {
		t.Errorf("%+v", r)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != filepath.Base(other) {
		t.Errorf("left %v, %v", entries, err)
	}
	t.Logf("wrote %.0f MB/s, read %.0f MB/s, verified %v", r.WriteRate()/1e6, r.ReadRate()/1e6, r.Verified)
}

// TestCapacityLeftovers: what a killed test left goes, with its folder, and
// nothing else; not while a test is under way.
func TestCapacityLeftovers(t *testing.T) {
	const dir = durable.CapacityDir
	root := openRoot(t, t.TempDir())
	if err := durable.CleanCapacity(root, dir); err != nil {
		t.Errorf("nothing there: %v", err)
	}
	ours, theirs := dir+"/capacity-0123456789abcdef-00001.part", dir+"/capacity-0123456789abcdef-00002.part"
	left := func(name string) bool { _, err := root.Lstat(name); return err == nil }
	if err := errors.Join(root.MkdirAll(theirs, 0o755), root.WriteFile(ours, []byte("left"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := durable.CleanCapacity(root, dir); err != nil || left(ours) || !left(theirs) {
		t.Errorf("%v: ours is there: %v, theirs: %v", err, left(ours), left(theirs))
	}
	if err := errors.Join(root.Remove(theirs), root.WriteFile(ours, []byte("left"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := durable.CleanCapacity(root, dir); err != nil || left(dir) {
		t.Errorf("%v: the folder is there: %v", err, left(dir))
	}
	if err := root.Mkdir(dir, 0o755); err != nil { // by a test that was killed before it wrote
		t.Fatal(err)
	}
	r, err := durable.CheckCapacity(t.Context(), root, dir, durable.CapacityOptions{Limit: 9 * mebibyte, Progress: func(durable.CapacityProgress) {
		if err := durable.CleanCapacity(root, dir); err != nil {
			t.Error(err)
		}
		if _, err := durable.CheckCapacity(t.Context(), root, dir, durable.CapacityOptions{Limit: 1}); runtime.GOOS != "windows" && err == nil {
			t.Error("two tests at a time")
		}
	}})
	if err != nil || !r.OK() || left(dir) {
		t.Errorf("%v %+v: the folder is there: %v", err, r, left(dir))
	}
}

// TestCapacityNowhere is about folders that cannot be filled.
func TestCapacityNowhere(t *testing.T) {
	dir := t.TempDir()
	root := openRoot(t, dir)
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"file", "../outside", "file/below"} {
		if _, err := durable.CheckCapacity(t.Context(), root, name, durable.CapacityOptions{Limit: mebibyte}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func openRoot(t *testing.T, dir string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}
