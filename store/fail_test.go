package store_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/store"
)

// TestFailedNotApplied makes a commit fail before anything of it counts: the
// store goes on as if nothing had happened.
func TestFailedNotApplied(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path, store.Options{})
	f := feed(t, 30, author(1))
	mustAppend(t, s, store.Stored, f[:10]...)
	changed := s.Changed(10)
	restore := s.FailCommits(false)
	for i, err := range everyWrite(s, f[10:20]) {
		isErr(t, i, err, store.ErrInjected)
		if err == nil {
			t.Errorf("write %d did not fail", i)
		}
	}
	select {
	case <-changed:
		t.Error("a failed append woke a listener")
	default:
	}
	if s.Last() != 10 {
		t.Errorf("last is %d", s.Last())
	}
	restore()
	readFeed(t, s, f[:10])
	mustAppend(t, s, store.Stored, f[10:]...)
	s.Close()
	s = open(t, path, store.Options{})
	readFeed(t, s, f)
	checkWaiting(t, s, 0, 0)
}

// everyWrite writes in every way there is and returns the errors.
func everyWrite(s *store.Store, next []*message.Message) []error {
	_, err1 := s.Append(next)
	_, err2 := s.AddWaiting(next[3:], store.WaitingLimits{})
	return []error{err1, err2, s.Table("t").Put([]byte("k"), nil), s.SetCursor("c", 1), s.RenewID()}
}

// TestFailedButApplied makes a commit fail after it took place: the store takes
// nothing more until it is opened again, and then it has everything.
func TestFailedButApplied(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path, store.Options{})
	f := feed(t, 30, author(1))
	mustAppend(t, s, store.Stored, f[:10]...)
	restore := s.FailCommits(true)
	_, err := s.Append(f[10:20])
	isErr(t, 0, err, store.ErrBroken)
	isErr(t, 1, err, store.ErrInjected)
	restore()
	if s.Last() != 10 {
		t.Errorf("last is %d: announced what may not be there", s.Last())
	}
	for i, err := range everyWrite(s, f[10:20]) {
		isErr(t, i+2, err, store.ErrBroken)
	}
	s.Close()
	s = open(t, path, store.Options{})
	readFeed(t, s, f[:20])
	mustAppend(t, s, store.Stored, f[20:]...)
}

// TestFull fills a store that may not grow: what does not fit is refused as a
// whole, and the store stays usable.
func TestFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path, store.Options{MaxSize: 256 << 10})
	f := feed(t, 900, author(1))
	stored := 0
	var err error
	for err == nil && stored < len(f) {
		if _, err = s.Append(f[stored : stored+100]); err == nil {
			stored += 100
		}
	}
	if err == nil || stored == 0 {
		t.Fatalf("%d messages stored, %v", stored, err)
	}
	_, err = s.Append(f[stored : stored+100])
	if err == nil {
		t.Error("fits at the second attempt")
	}
	if s.Last() != uint64(stored) {
		t.Errorf("last is %d, want %d", s.Last(), stored)
	}
	readFeed(t, s, f[:stored])
	s.Close()
	s = open(t, path, store.Options{})
	readFeed(t, s, f[:stored])
	mustAppend(t, s, store.Stored, f[stored:]...)
	t.Logf("%d messages fit", stored)
}

// TestPanicInUpdate leaves the store usable.
func TestPanicInUpdate(t *testing.T) {
	s := temp(t)
	err := s.Table("t").Update(func(tx *store.TableTx) error {
		if err := tx.Put([]byte("k"), nil); err != nil {
			return err
		}
		panic("oh")
	})
	isErr(t, 0, err, store.ErrDamaged)
	_, err = s.Table("t").Get([]byte("k"))
	isErr(t, 1, err, store.ErrNotFound)
	mustAppend(t, s, store.Stored, feed(t, 1, author(1))...)
}

// TestCheckFinds damages a store in many ways and expects Check to notice.
func TestCheckFinds(t *testing.T) {
	first := func(b *bolt.Bucket) (k, v []byte) {
		k, v = b.Cursor().First()
		return bytes.Clone(k), bytes.Clone(v)
	}
	flip := func(name string, at int) func(func(string) *bolt.Bucket) error {
		return func(bucket func(string) *bolt.Bucket) error {
			k, v := first(bucket(name))
			v[(at+len(v))%len(v)] ^= 1
			return bucket(name).Put(k, v)
		}
	}
	remove := func(name string) func(func(string) *bolt.Bucket) error {
		return func(bucket func(string) *bolt.Bucket) error {
			k, _ := first(bucket(name))
			return bucket(name).Delete(k)
		}
	}
	damages := map[string]func(func(string) *bolt.Bucket) error{}
	for _, name := range []string{"messages", "feeds", "numbers", "sequences", "ids", "forks", "waiting", "queues"} {
		damages["remove from "+name] = remove(name)
		for _, at := range []int{0, 5, -1} {
			damages[fmt.Sprintf("flip %d in %s", at, name)] = flip(name, at)
		}
	}
	delete(damages, "remove from forks") // evidence that is not there is no contradiction
	damages["account"] = func(bucket func(string) *bolt.Bucket) error {
		return bucket("meta").Put([]byte("waiting"), make([]byte, 16))
	}
	damages["order"] = func(bucket func(string) *bolt.Bucket) error {
		_, v := first(bucket("messages"))
		return bucket("messages").Put([]byte{0, 0, 0, 0, 0, 0, 0, 99}, v)
	}
	for name, damage := range damages {
		if !damaged(t, damage) {
			t.Errorf("%s: not noticed", name)
		}
	}
	t.Logf("%d kinds of damage", len(damages))
}

// damaged makes a store, damages it and reports whether Check finds problems.
func damaged(t *testing.T, damage func(func(string) *bolt.Bucket) error) bool {
	t.Helper()
	s, err := store.Open(filepath.Join(t.TempDir(), "store.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a, b := feed(t, 5, author(1)), feed(t, 3, author(2))
	mustAppend(t, s, store.Stored, append(a[:4:4], b...)...)
	mustAppend(t, s, store.Forked, chain(t, author(2), message.Head{}, 1, "branch")...)
	wait(t, s, store.WaitingLimits{}, feed(t, 4, author(3))[2:]...)
	if report, err := s.Check(t.Context(), store.CheckOptions{}); err != nil || !report.OK() {
		t.Fatalf("before the damage: %+v, %v", report.Problems, err)
	}
	if err := s.Tamper(damage); err != nil {
		t.Fatal(err)
	}
	report, err := s.Check(t.Context(), store.CheckOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return !report.OK()
}

// TestRottenBits flips bits anywhere in the file. Whatever happens, the
// program lives, and no message comes out changed.
func TestRottenBits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path, store.Options{})
	f := feed(t, 120, author(1))
	for i := range 6 {
		mustAppend(t, s, store.Stored, f[i*20:i*20+20]...)
	}
	s.Close()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	used := len(bytes.TrimRight(data, "\x00"))
	rounds, noticed := rottenRounds, 0
	for n := range rounds {
		rotten := bytes.Clone(data)
		at := n * 40_503 % used
		rotten[at] ^= 1 << (n % 8)
		if survive(t, rotten, f) {
			noticed++
		}
	}
	t.Logf("%d flipped bits in %d bytes, %d noticed", rounds, used, noticed)
	if noticed == 0 {
		t.Error("no damage was noticed")
	}
}

// survive opens and reads a damaged store and reports whether it was noticed.
func survive(t *testing.T, data []byte, f []*message.Message) (noticed bool) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rotten.db")
	defer os.Remove(path) // there are many, of a megabyte each
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(path, store.Options{})
	if err != nil {
		return true
	}
	defer s.Close()
	for _, m := range f {
		rec, err := s.Get(m.Feed(), m.Seq())
		if err != nil {
			noticed = true
			continue
		}
		matches(t, rec, m)
	}
	report, err := s.Check(background, store.CheckOptions{})
	return noticed || err != nil || !report.OK()
}
