package stick_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// status returns the state of the own-feed guard.
func (nd *node) status() stick.GuardStatus {
	nd.t.Helper()
	s, err := nd.peer.Guard.Status()
	if err != nil {
		nd.t.Fatal(err)
	}
	return s
}

// copyStore returns a copy of the node's store file, as a backup would have.
func (nd *node) copyStore() string {
	nd.t.Helper()
	path := filepath.Join(nd.t.TempDir(), "copy.db")
	f, err := os.Create(path)
	if err != nil {
		nd.t.Fatal(err)
	}
	defer f.Close()
	if _, err := nd.store.WriteTo(f); err != nil {
		nd.t.Fatal(err)
	}
	return path
}

func TestRestoredStore(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.post(1, 10)
	a.visit(m)
	backup := a.copyStore()
	a.post(1, 5)
	a.visit(m)
	b.visit(m)
	id := a.store.ID()
	a.stop()

	// The restored store gets its own later messages back before it may
	// publish, and goes on under a new id.
	old := openNode(t, backup, 1, a.policy)
	if old.store.ID() != id || old.peer.Guard.Check() != nil {
		t.Fatal("the copy is not the store it was made of")
	}
	rep := old.visit(m)
	old.wantHead(1, 15)
	if rep.Import.New != 5 || len(rep.Import.Warnings) == 0 || old.store.ID() == id {
		t.Errorf("visit of the restored store: %+v", rep.Import)
	}
	if err := old.peer.Guard.Check(); !errors.Is(err, stick.ErrLocked) {
		t.Errorf("publishing after the restore: %v", err)
	}
	if s := old.status(); !s.Locked || s.Seen != 15 || len(s.Asked) != 1 {
		t.Errorf("guard: %+v", s)
	}
	t.Log(rep.Import.Warnings)
	if err := old.peer.Guard.RecoverDone(); err != nil {
		t.Fatal(err)
	}
	if rep := old.visit(m); old.peer.Guard.Check() != nil || len(rep.Import.Warnings) != 0 {
		t.Errorf("after recovery: %v %v", old.status(), rep.Import.Warnings)
	}

	// For b there is one store of a, not two.
	old.post(1, 1)
	old.visit(m)
	if rep := b.visit(m); rep.Import.New != 1 || len(rep.Import.Warnings) != 0 {
		t.Errorf("b after the restore: %+v", rep.Import)
	}
}

// TestRestoredWithoutTheMessages: the stick has only the have of the lost
// state. It is signed by our own key: proof enough.
func TestRestoredWithoutTheMessages(t *testing.T) {
	a, m := newNode(t, 1), newMedium(t)
	a.post(1, 10)
	backup := a.copyStore()
	a.post(1, 5)
	a.visit(m)
	a.stop()
	for _, name := range m.files(".zst") {
		os.Remove(name)
	}
	old := openNode(t, backup, 1, a.policy)
	old.visit(m)
	if s := old.status(); !s.Locked || s.Claimed != 15 {
		t.Errorf("guard: %+v", s)
	}
	if err := old.peer.Guard.RecoverDone(); err != nil {
		t.Fatal(err)
	}
	old.visit(m)
	if s := old.status(); s.Locked {
		t.Errorf("what was recovered from locks again: %+v", s)
	}
}

func TestIdentityInTwoStores(t *testing.T) {
	a, twin, m := newNode(t, 1), newNode(t, 1), newMedium(t)
	a.post(1, 3)
	a.visit(m)
	rep := twin.visit(m)
	if len(rep.Import.Warnings) == 0 || !strings.Contains(rep.Import.Warnings[0], "another store") {
		t.Errorf("warnings: %q", rep.Import.Warnings)
	}
	if s := twin.status(); !s.Locked {
		t.Errorf("twin may publish: %+v", s)
	}
	twin.wantHead(1, 3)
	if rep := a.visit(m); len(rep.Import.Warnings) == 0 {
		t.Error("no warning for the first store")
	}
}

// TestCopyAndOriginal: after a store was copied both live on, for themselves and
// for everybody else, and get along without new names from then on.
func TestCopyAndOriginal(t *testing.T) {
	for name, restore := range map[string]bool{"restored": true, "copied": false} {
		t.Run(name, func(t *testing.T) {
			a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
			a.post(1, 10)
			a.visit(m)
			b.visit(m)
			file := a.copyStore()
			if restore {
				copied, err := store.Open(file, store.Options{})
				if err != nil {
					t.Fatal(err)
				}
				if err := errors.Join(stick.Restored(copied, feed(1)), copied.Close()); err != nil {
					t.Fatal(err)
				}
			}
			twin := openNode(t, file, 1, a.policy)
			warned := ""
			for range 2 {
				twin.post(21, 1)
				twin.visit(m)
				a.post(11, 1)
				warned += strings.Join(a.visit(m).Import.Warnings, "\n")
			}
			if !strings.Contains(warned, "it continues as another store") {
				t.Errorf("warnings: %q", warned)
			}
			twin.visit(m) // where neither was restored by hand
			ids := [][16]byte{a.store.ID(), twin.store.ID()}
			for range 3 {
				b.post(2, 1)
				for _, nd := range []*node{b, twin, a} {
					nd.visit(m)
				}
			}
			if a.store.ID() != ids[0] || twin.store.ID() != ids[1] || ids[0] == ids[1] {
				t.Errorf("%x, then %x and %x", ids, a.store.ID(), twin.store.ID())
			}
			s, err := b.peer.Survey(t.Context(), m.open())
			if err != nil {
				t.Fatal(err)
			}
			found := make(map[[16]byte]bool)
			for _, v := range s.Visitors {
				found[v.Store] = true
			}
			if !found[ids[0]] || !found[ids[1]] {
				t.Errorf("b sees %+v", s.Visitors)
			}
		})
	}
}

// TestFormerSelf: what a store said under a former id, on a stick that it had not
// visited since, is nobody else who comes by: it releases nothing.
func TestFormerSelf(t *testing.T) {
	a, m, alone := newNode(t, 1), newMedium(t), newMedium(t)
	a.post(1, 10)
	a.post(11, 300)
	a.visit(alone)
	former := a.store.ID()
	a.part(m)
	a.post(12, 1)
	a.visit(alone)
	s, err := a.peer.Survey(t.Context(), alone.open())
	if err != nil || len(s.Visitors) != 1 || s.Visitors[0].Store == former {
		t.Errorf("%v: visitors %+v", err, s.Visitors)
	}
	alone.fill(a)
	a.post(1, 1)
	if rep := a.visit(alone); rep.Export.Removed != 0 {
		t.Errorf("%+v", rep.Export)
	}
	b := newNode(t, 2)
	b.visit(alone)
	b.wantHead(11, 300)
}

// part makes a store another one: a copy of it took another id on a medium that
// both visit. It returns the copy.
func (nd *node) part(m *medium) (twin *node) {
	nd.t.Helper()
	id := nd.store.ID()
	nd.visit(m)
	twin = openNode(nd.t, nd.copyStore(), 1, nd.policy)
	nd.post(41, 1)
	nd.visit(m)
	twin.visit(m)
	nd.visit(m)
	if nd.store.ID() == id || twin.store.ID() == id {
		nd.t.Fatalf("the stores are %x and %x, one was %x", nd.store.ID(), twin.store.ID(), id)
	}
	return twin
}

// TestCopyStaysVisible: for each other, a copy and its original remain two stores
// when both have parted from the id they shared.
func TestCopyStaysVisible(t *testing.T) {
	a, m := newNode(t, 1), newMedium(t)
	twin := a.part(m)
	for range 2 {
		twin.visit(m)
		a.visit(m)
	}
	for nd, other := range map[*node]*node{a: twin, twin: a} {
		s, err := nd.peer.Survey(t.Context(), m.open())
		if err != nil || len(s.Visitors) != 2 {
			t.Errorf("%v: visitors %+v", err, s.Visitors)
		}
		other.post(42, 5)
		if rep := other.visit(m); rep.Export.Messages != 5 {
			t.Errorf("for the other one: %+v", rep.Export)
		}
		nd.visit(m)
		nd.wantHead(42, other.head(42))
	}
}

// TestFormerSelfIsProof: a have that a restored store left elsewhere before, under
// the id it had then, proves still what was published.
func TestFormerSelfIsProof(t *testing.T) {
	a, m, other := newNode(t, 1), newMedium(t), newMedium(t)
	a.post(1, 10)
	backup := a.copyStore()
	a.visit(m)
	a.post(1, 5)
	a.visit(other)
	a.stop()
	for _, name := range other.files(".zst") {
		os.Remove(name)
	}
	old := openNode(t, backup, 1, a.policy)
	old.visit(m)
	if err := old.peer.Guard.RecoverDone(); err != nil {
		t.Fatal(err)
	}
	old.visit(other)
	if s := old.status(); !s.Locked || s.Signed != 15 {
		t.Errorf("guard: %+v", s)
	}
}

// TestPreviewKeepsTheStore: who only looks says that a store is to become another
// one, and leaves it the one it is; a have that proves our feed to be behind locks
// all the same.
func TestPreviewKeepsTheStore(t *testing.T) {
	dry := stick.ExportOptions{DryRun: true}
	for name, look := range map[string]func(nd *node, m *medium) ([]string, error){
		"survey": func(nd *node, m *medium) ([]string, error) {
			s, err := nd.peer.Survey(t.Context(), m.open())
			return s.Warnings, err
		},
		"dry visit": func(nd *node, m *medium) ([]string, error) {
			rep, err := nd.peer.Visit(t.Context(), m.open(), stick.VisitOptions{Export: dry})
			return rep.Import.Warnings, err
		},
		"dry export": func(nd *node, m *medium) ([]string, error) {
			rep, err := nd.peer.Export(t.Context(), m.open(), dry)
			return rep.Warnings, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			keeps := func(nd *node, m *medium) {
				t.Helper()
				id := nd.store.ID()
				for range 2 {
					warnings, err := look(nd, m)
					if err != nil || nd.store.ID() != id || !strings.Contains(strings.Join(warnings, "\n"), "after the next visit here it is another store") {
						t.Errorf("%v: now %x, was %x: %q", err, nd.store.ID(), id, warnings)
					}
				}
				if nd.visit(m); nd.store.ID() == id {
					t.Error("the visit did not make it another store")
				}
			}
			a, m := newNode(t, 1), newMedium(t)
			a.visit(m)
			twin := openNode(t, a.copyStore(), 1, a.policy)
			a.post(1, 1)
			a.visit(m)
			keeps(twin, m)
			if s := twin.status(); !s.Locked {
				t.Errorf("guard: %+v", s)
			}
			keeps(a, m)
		})
	}
}

// TestClaimOfAStranger: anybody can claim to hold more of our feed than we
// do.
func TestClaimOfAStranger(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	b.post(1, 20) // the test knows the key of a
	if _, err := b.peer.Export(t.Context(), m.open(), stick.ExportOptions{MaxSize: 1}); err != nil {
		t.Fatal(err)
	}
	a.post(1, 2)
	rep := a.visit(m)
	if len(rep.Import.Warnings) != 1 || a.peer.Guard.Check() != nil {
		t.Errorf("%q %+v", rep.Import.Warnings, a.status())
	}
	if s := a.status(); s.Claimed != 20 || s.Locked {
		t.Errorf("guard: %+v", s)
	}
}

// TestClaimBeforeRecovery: what strangers claim must not keep a later proof
// from locking, after the user has recovered from something else.
func TestClaimBeforeRecovery(t *testing.T) {
	a := newNode(t, 1)
	guard := a.peer.Guard
	if err := errors.Join(guard.Claim(1<<50, false), guard.Claim(7, true), guard.RecoverDone()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(guard.Claim(1<<50, false), guard.Claim(7, true), guard.Check()); err != nil {
		t.Errorf("after recovery: %v %+v", err, a.status())
	}
	if err := guard.Claim(8, true); err != nil {
		t.Fatal(err)
	}
	if err := guard.Check(); !errors.Is(err, stick.ErrLocked) {
		t.Errorf("a have signed by our own key: %v %+v", err, a.status())
	}
}

// TestVisitOfALiar: a have with the highest visit number there is leaves room
// for ours, which says it to everybody and is not written again.
func TestVisitOfALiar(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.post(11, 10)
	st := m.open()
	liar := &stick.Have{Network: network, Stick: st.ID(), Identity: feed(66), Store: stick.ID{66}, Counter: 1, Visit: 1<<53 - 1, Reads: stick.OurFormats(), WantAll: true}
	m.write(stick.HaveName(liar.Store, liar.Counter), stick.EncodeHave(liar, pair(66)))
	a.visit(m)
	m.unchanged(func() { a.visit(m) })
	if rep := b.visit(m); rep.Import.New != 10 {
		t.Errorf("%+v", rep.Import)
	}
	b.post(12, 10)
	b.visit(m)
	if rep := a.visit(m); rep.Import.New != 10 {
		t.Errorf("%+v", rep.Import)
	}
}

func TestClonedStick(t *testing.T) {
	a, b, c, m := newNode(t, 1), newNode(t, 2), newNode(t, 3), newMedium(t)
	a.post(1, 10)
	a.visit(m)
	b.visit(m)
	clone := m.copyTo(t.TempDir())
	b.post(2, 4)
	a.post(1, 1)
	b.visit(m)
	b.visit(m)
	a.visit(m)
	a.visit(m)
	id := a.store.ID()
	// The clone has older counters of everybody.
	for _, nd := range []*node{a, c, b, a, c, b} {
		if rep := nd.visit(clone); len(rep.Import.Warnings) != 0 {
			t.Errorf("warnings: %q", rep.Import.Warnings)
		}
	}
	if a.store.ID() != id {
		t.Error("a clone made a store renew its id")
	}
	for _, nd := range []*node{a, b, c} {
		nd.wantHead(1, 11)
		nd.wantHead(2, 4)
		nd.visit(m)
	}
	for _, st := range []*medium{m, clone} {
		for _, nd := range []*node{a, b, c, a, b, c} {
			nd.visit(st)
		}
		st.unchanged(func() { a.visit(st); b.visit(st); c.visit(st) })
	}
}

// TestOwnFork: two own messages of one sequence raise the alarm that nothing
// lifts.
func TestOwnFork(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.post(1, 3)
	b.write(1, 3, "the other branch")
	b.visit(m)
	rep := a.visit(m)
	if s := a.status(); !s.Forked || a.peer.Guard.Check() == nil || rep.Import.Forked != 1 {
		t.Errorf("%+v %+v", s, rep.Import)
	}
	t.Logf("warnings %v", rep.Import.Warnings)
	a.wantHead(1, 3)
	for range 2 {
		a.visit(m)
		b.visit(m)
	}
	m.unchanged(func() { a.visit(m); b.visit(m); a.visit(m) })
}

// TestOwnBranchThatDoesNotAttach: the message after our head, signed by our
// key, follows another branch. It is no evidence of a fork yet, but proof that
// we published elsewhere.
func TestOwnBranchThatDoesNotAttach(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.post(1, 3)
	b.write(1, 4, "the other branch")
	m.open()
	m.put(pack(t, 2, network, b.records(1, 4, 4)))
	rep := a.visit(m)
	if s := a.status(); !s.Locked || s.Seen != 4 || rep.Import.Rejected != 1 {
		t.Errorf("%+v %+v", s, rep.Import)
	}
	a.wantHead(1, 3)
}

// TestHavesOfStrangers floods a medium with haves: what they make us remember
// is bounded, and nobody who is trusted is overlooked.
func TestHavesOfStrangers(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.post(11, 30)
	st := m.open()
	b.visit(m)
	for i := range byte(200) {
		h := &stick.Have{Network: network, Stick: st.ID(), Identity: feed(100), Store: stick.ID{0xff, i}, Counter: 1, Visit: 1 << 50, WantAll: true, Reads: stick.OurFormats()}
		m.write(stick.HaveName(h.Store, 1), stick.EncodeHave(h, pair(100)))
	}
	// A stranger speaks for the store of b.
	h := &stick.Have{Network: network, Stick: st.ID(), Identity: feed(100), Store: b.store.ID(), Counter: 99, Visit: 2, Reads: stick.OurFormats(),
		Holdings: []stick.Holding{{Feed: feed(11), Seq: 30}}}
	m.write(stick.HaveName(h.Store, 99), stick.EncodeHave(h, pair(100)))
	if rep := a.visit(m); rep.Export.Messages != 30 {
		t.Errorf("export: %+v", rep.Export)
	}
	b.visit(m)
	b.wantHead(11, 30)
	a.visit(m)
	b.visit(m)
	m.unchanged(func() { a.visit(m); b.visit(m) })
	if newest := a.visit(m); newest.Have {
		t.Error("a has wrote again")
	}
}

// TestReaderOfAnotherCodec: for a store that cannot read what we write nothing
// is written, not everything at each visit.
func TestReaderOfAnotherCodec(t *testing.T) {
	a, m := newNode(t, 1), newMedium(t)
	a.post(11, 30)
	st := m.open()
	h := &stick.Have{Network: network, Stick: st.ID(), Identity: feed(2), Store: stick.ID{1}, Counter: 1, Visit: 1, WantAll: true, Reads: []string{"bundle-9"}}
	m.write(stick.HaveName(h.Store, 1), stick.EncodeHave(h, pair(2)))
	a.export(m, stick.ExportOptions{})
	if rep := a.visit(m); rep.Export.Messages != 0 {
		t.Errorf("second visit: %+v", rep.Export)
	}
}
