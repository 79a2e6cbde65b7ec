package store_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/store/durable"
)

// wasteful makes a store with something of every kind in it, and that much
// rubbish, which was deleted.
func wasteful(t testing.TB, path string, rubbish int) {
	t.Helper()
	s, err := store.Open(path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, store.Stored, interleave(feed(t, 130, author(1)), feed(t, 20, author(2)))...)
	mustAppend(t, s, store.Forked, chain(t, author(2), message.Head{}, 1, "branch")...)
	late := feed(t, 40, author(3))
	if _, err := s.AddWaiting(late[10:], store.WaitingLimits{Total: 10_000}); err != nil {
		t.Fatal(err)
	}
	if err := s.SetCursor("test", 99); err != nil {
		t.Fatal(err)
	}
	table := s.Table("rubbish")
	err = table.Update(func(tx *store.TableTx) error {
		for i := 0; rubbish > i*1000; i++ {
			if err := tx.Put(fmt.Appendf(nil, "%07d", i), make([]byte, 990)); err != nil {
				return err
			}
		}
		return tx.Table("kept").Put([]byte("empty"), nil)
	})
	if err == nil {
		err = table.Clear()
	}
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
}

// content returns a hash of every row of a store.
func content(t testing.TB, s *store.Store) string {
	t.Helper()
	sum := sha256.New()
	rows := 0
	err := s.Dump(func(path string, key, value []byte) {
		rows++
		fmt.Fprintf(sum, "%s %d %d %s%s\n", path, len(key), len(value), key, value)
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d rows %x", rows, sum.Sum(nil))
}

// contentOf opens a store, checks it, and returns the hash of its rows.
func contentOf(t testing.TB, path string) string {
	t.Helper()
	s, err := store.Open(path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer closeChecked(t, s)
	if left, _ := filepath.Glob(path + "?*"); len(left) > 0 {
		t.Errorf("left beside the store: %q", left)
	}
	return content(t, s)
}

func TestCompact(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	wasteful(t, path, 3<<20)
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	s := open(t, path, store.Options{})
	before, id := content(t, s), s.ID()
	length, unused, err := s.Space()
	if err != nil || unused < 3<<20 || length < unused {
		t.Fatalf("%d of %d bytes unused, %v", unused, length, err)
	}
	var phases []store.CompactPhase
	report, err := s.Compact(background, store.CompactOptions{Progress: func(p store.CompactPhase, done, total int64) {
		if phases = append(phases, p); done > total {
			t.Errorf("%s: %d of %d", p, done, total)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if report.After != size(t, path) || report.After > report.Before-unused+64<<10 {
		t.Errorf("%+v, the file has %d, %d were unused", report, size(t, path), unused)
	}
	want := []store.CompactPhase{store.CompactChecking, store.CompactCopying, store.CompactComparing}
	if got := slices.Compact(phases); !slices.Equal(got, want) {
		t.Errorf("phases %q", got)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if content(t, s) != before || s.ID() != id {
		t.Error("content changed")
	}
	mustAppend(t, s, store.Stored, feed(t, 5, author(4))...)
	before = content(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if after := contentOf(t, path); after != before {
		t.Errorf("content after the next start: %s, was %s", after, before)
	}
}

// TestCompactGainsNothing leaves a file alone that would not get smaller.
func TestCompactGainsNothing(t *testing.T) {
	s := temp(t)
	var last store.CompactReport
	for range 3 {
		report, err := s.Compact(background, store.CompactOptions{})
		if err != nil || report.After > report.Before {
			t.Fatalf("%+v, %v", report, err)
		}
		last = report
	}
	if last.After != last.Before || last.After != size(t, s.Path()) {
		t.Errorf("%+v", last)
	}
}

// TestCompactLink compacts a store that a link leads to: the link stays.
func TestCompactLink(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "store.db")
	wasteful(t, filepath.Join(dir, "elsewhere.db"), 2<<20)
	if err := os.Symlink("elsewhere.db", path); err != nil {
		t.Fatal(err)
	}
	s := open(t, path, store.Options{})
	if r, err := s.Compact(background, store.CompactOptions{}); err != nil || r.After >= r.Before {
		t.Fatal(r, err)
	}
	if to, err := os.Readlink(path); err != nil || to != "elsewhere.db" {
		t.Errorf("link to %q, %v", to, err)
	}
	other := filepath.Join(dir, "other.db")
	if err := os.Symlink("missing.db", other); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(other, store.Options{}); err == nil || !strings.Contains(err.Error(), "link to nothing") {
		t.Errorf("opening a link to nothing: %v", err)
	}
}

// TestCompactBesideOthers compacts again and again while messages come in and
// are read: none is lost, and nobody notices.
func TestCompactBesideOthers(t *testing.T) {
	s := temp(t)
	msgs := interleave(feed(t, 60, author(1)), feed(t, 60, author(2)))
	ctx, stop := context.WithTimeout(background, 4*time.Minute)
	defer stop()
	var group sync.WaitGroup
	var read atomic.Uint64
	group.Go(func() { // a live stream
		for read.Load() < uint64(len(msgs)) {
			if err := s.Wait(ctx, read.Load()); err != nil {
				t.Error(err)
				return
			}
			page, err := s.LogPage(read.Load(), 0, 7, false)
			if err != nil {
				t.Error(err)
				return
			}
			for _, rec := range page {
				matches(t, rec, msgs[rec.Rx-1])
				read.Store(rec.Rx)
			}
		}
	})
	var written atomic.Bool
	group.Go(func() {
		defer written.Store(true)
		for rest := msgs; len(rest) > 0; rest = rest[10:] {
			mustAppend(t, s, store.Stored, rest[:10]...)
		}
	})
	rounds := 0
	for ; !written.Load() || rounds < 3; rounds++ {
		if _, err := s.Compact(ctx, store.CompactOptions{}); err != nil {
			t.Error(err)
			break
		}
	}
	group.Wait()
	t.Logf("compacted %d times", rounds)
}

// TestCompactAwaited has somebody else wait for the store that is compacted.
func TestCompactAwaited(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	wasteful(t, path, 2<<20)
	s, err := store.Open(path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	opened := make(chan error)
	var other *store.Store
	s.OnCompactStep(func(step string) error {
		if step == "rename" {
			go func() {
				var err error
				other, err = store.Open(path, store.Options{Timeout: 2 * time.Minute})
				opened <- err
			}()
		}
		return nil
	})
	if _, err := s.Compact(background, store.CompactOptions{}); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, store.Stored, feed(t, 1, author(9))...)
	want := content(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-opened; err != nil {
		t.Fatal(err)
	}
	defer closeChecked(t, other)
	if got := content(t, other); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// compactSteps returns the steps of compacting a store, in their order.
func compactSteps(t *testing.T, rubbish int) (steps []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "store.db")
	wasteful(t, path, rubbish)
	s := open(t, path, store.Options{})
	s.OnCompactStep(func(step string) error {
		steps = append(steps, step)
		return nil
	})
	if _, err := s.Compact(background, store.CompactOptions{}); err != nil {
		t.Fatal(err)
	}
	if len(steps) < 8 {
		t.Fatalf("steps: %q", steps)
	}
	return steps
}

// TestCompactFails fails every step, by a full disk and by an end of patience:
// the store stays what it was, and usable.
func TestCompactFails(t *testing.T) {
	dir := t.TempDir()
	for n, step := range compactSteps(t, 1<<20) {
		for _, cause := range []error{syscall.ENOSPC, context.Canceled} {
			if cause == context.Canceled && n%3 != 1 {
				continue // all steps end alike
			}
			path := filepath.Join(dir, fmt.Sprint(n, cause))
			wasteful(t, path, 1<<20)
			s, err := store.Open(path, store.Options{})
			if err != nil {
				t.Fatal(err)
			}
			before := content(t, s)
			ctx, cancel := context.WithCancel(background)
			s.OnCompactStep(func(now string) error {
				if now != step {
					return nil
				}
				cancel()
				return cause
			})
			if _, err = s.Compact(ctx, store.CompactOptions{}); !errors.Is(err, cause) {
				t.Errorf("%s: %v", step, err)
			}
			if broken := step == "syncdir"; errors.Is(err, store.ErrBroken) != broken {
				t.Errorf("%s: %v", step, err)
			} else if !broken {
				mustAppend(t, s, store.Stored, feed(t, 1, author(9))...)
				before = content(t, s)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if _, err := os.Lstat(path + ".compact"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: a copy is left: %v", step, err)
			}
			if after := contentOf(t, path); after != before {
				t.Errorf("%s: content %s, was %s", step, after, before)
			}
		}
	}
}

// TestCompactNoRoom asks for the room first.
func TestCompactNoRoom(t *testing.T) {
	s := temp(t)
	s.OnCompactStep(func(step string) error {
		if step == "create" {
			t.Error("began to write")
		}
		return nil
	})
	_, err := s.Compact(background, store.CompactOptions{Reserve: 1 << 60})
	if !durable.IsFull(err) {
		t.Error(err)
	}
}

// TestCompactReplacedFile touches nothing when somebody has put another file in
// the place of the store.
func TestCompactReplacedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s, err := store.Open(path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Compact(background, store.CompactOptions{}); err == nil {
		t.Error("compacted")
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "mine" {
		t.Errorf("%q, %v", b, err)
	}
}

// TestCompactPowerCut ends the world between the steps, with what was not yet
// synced lost or half there: the store opens, with everything in it.
func TestCompactPowerCut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	wasteful(t, path, 200<<10)
	want := contentOf(t, path)
	s, err := store.Open(path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var worlds []map[string][]byte // what is on the medium, by the end of the name
	synced, old := false, mustRead(t, path)
	s.OnCompactStep(func(step string) error {
		made, err := os.ReadFile(path + ".compact")
		now := map[string][]byte{"": mustRead(t, path)}
		if err == nil {
			now[".compact"] = made
		}
		worlds = append(worlds, now)
		switch synced = synced || step == "reopen"; {
		case step == "syncdir":
			worlds = append(worlds,
				map[string][]byte{"": old, ".compact": now[""]},
				map[string][]byte{".compact": now[""]})
		case !synced && len(made) > 0:
			worlds = append(worlds,
				map[string][]byte{"": old, ".compact": nil},
				map[string][]byte{"": old, ".compact": made[:len(made)/2]},
				map[string][]byte{"": old, ".compact": slices.Concat(made[:len(made)/2], make([]byte, len(made)/2))})
		}
		return nil
	})
	if _, err := s.Compact(background, store.CompactOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for n, world := range worlds {
		after := filepath.Join(t.TempDir(), "store.db")
		for end, data := range world {
			if err := os.WriteFile(after+end, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := contentOf(t, after); got != want {
			t.Errorf("world %d: %s, want %s", n, got, want)
		}
	}
	t.Logf("%d power cuts", len(worlds))
}

func mustRead(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
