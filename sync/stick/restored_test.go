package stick_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// TestRestored is a store that the user put back from a backup, and says so: it
// has a new id and a locked feed before it meets any stick.
func TestRestored(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.post(1, 10)
	a.visit(m)
	backup := a.copyStore()
	a.post(1, 5)
	a.visit(m)
	b.visit(m)
	id := a.store.ID()
	a.stop()

	copied, err := store.Open(backup, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time is a backup of the restored store, restored
		if err := stick.Restored(copied, feed(1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := copied.Close(); err != nil {
		t.Fatal(err)
	}
	old := openNode(t, backup, 1, a.policy)
	if s := old.status(); !s.Locked || s.Reason != stick.LockRestored || old.store.ID() == id {
		t.Errorf("restored as store %x: %+v", old.store.ID(), s)
	}
	if err := old.peer.Guard.Check(); !errors.Is(err, stick.ErrLocked) || !strings.Contains(err.Error(), "restored from a backup") {
		t.Errorf("publishing: %v", err)
	}
	rep := old.visit(m)
	old.wantHead(1, 15)
	if rep.Import.New != 5 || strings.Contains(strings.Join(rep.Import.Warnings, " "), "another store") {
		t.Errorf("the visit: %+v", rep.Import)
	}
	if s := old.status(); s.Seen != 15 || !strings.Contains(s.Why(), "turned up") {
		t.Errorf("after its own messages came: %+v: %s", s, s.Why())
	}
	if err := errors.Join(old.peer.Guard.RecoverDone(), old.peer.Guard.Check()); err != nil {
		t.Error(err)
	}

	// For b the store that is gone counts no more.
	old.post(1, 1)
	old.visit(m)
	b.visit(m)
	b.wantHead(1, 16)
	listed := 0
	for _, name := range m.files(".have") {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if h, err := stick.ParseHave(content); err == nil && h.Store == old.store.ID() {
			t.Logf("%s replaces %d stores", name, len(h.Replaces))
			listed = len(h.Replaces)
		}
	}
	if listed != 2 {
		t.Errorf("the new store replaces %d others", listed)
	}
}

// TestMovedIdentity: the lock of an identity that went elsewhere says so, and
// outlives a reopening.
func TestMovedIdentity(t *testing.T) {
	a := newNode(t, 1)
	if err := a.peer.Guard.Lock(stick.LockMoved); err != nil {
		t.Fatal(err)
	}
	again := stick.NewGuard(a.store, feed(1))
	if err := again.Check(); !errors.Is(err, stick.ErrLocked) || !strings.Contains(err.Error(), "moved elsewhere") {
		t.Errorf("publishing: %v", err)
	}
	if err := errors.Join(again.RecoverDone(), again.Check()); err != nil {
		t.Error(err)
	}
}
