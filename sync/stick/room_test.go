package stick_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// TestOwnDiskFull: a visit below the reserve of our own disk takes nothing,
// says so, and still gives what others lack.
func TestOwnDiskFull(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.post(11, 300)
	b.post(12, 30)
	a.visit(m)
	b.full.Store(true)
	rep := b.visit(m)
	if !rep.Import.NoRoom || !rep.Partly() || rep.Import.New != 0 || rep.Import.Left != 300 {
		t.Errorf("import: %+v", rep.Import)
	}
	if w := rep.Import.Warnings; len(w) != 1 || !strings.Contains(w[0], errFull.Error()) {
		t.Errorf("warnings: %q", w)
	}
	if rep.Export.Messages != 30 || !rep.Have {
		t.Errorf("export: %+v", rep.Export)
	}
	b.full.Store(false)
	if rep := b.visit(m); rep.Import.New != 300 || rep.Partly() {
		t.Errorf("with room: %+v", rep.Import)
	}
	a.visit(m)
	a.wantHead(12, 30)
}

// TestGapBecomesAWant: a delta that does not attach says what is missing, waits,
// and is completed by whoever has the rest.
func TestGapBecomesAWant(t *testing.T) {
	a, b, m, other := newNode(t, 1), newNode(t, 2), newMedium(t), newMedium(t)
	b.policy.all = false
	a.post(11, 100)
	other.write("delta.ssb.zst", pack(t, 1, network, a.records(11, 41, 100)))
	rep := b.importAll(other)
	if rep.New != 0 || rep.Waiting != 60 || len(rep.Brought) != 1 || rep.Brought[0] != feed(11) {
		t.Errorf("delta: %+v", rep)
	}
	if len(rep.Hints) != 1 || !strings.Contains(rep.Hints[0], feed(11).String()+" needs 1–40") {
		t.Errorf("hints: %q", rep.Hints)
	}
	b.policy.wanted = append([]refs.Feed{}, rep.Brought...) // as a node does with them
	b.visit(m)
	if rep := a.visit(m); rep.Export.Messages != 100 {
		t.Errorf("what b asks for: %+v", rep.Export)
	}
	if rep := b.visit(m); rep.Import.Messages != 40 || rep.Import.New != 100 {
		t.Errorf("completed: %+v", rep.Import)
	}
	b.wantHead(11, 100)
}

// TestRottenStore: one message that can no longer be read from our own store
// keeps nobody from the others.
func TestRottenStore(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.post(11, 100)
	a.post(12, 20)
	honest := a.records(11, 1, 100)
	a.stop()
	data, err := os.ReadFile(a.path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(data, []byte(`"message 50 of feed 11"`))
	data[at+1] ^= 1
	path := filepath.Join(t.TempDir(), "rotten.db")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	rotten := openNode(t, path, 1, a.policy)
	rotten.rotten = true
	rep := rotten.visit(m)
	if rep.Export.Messages != 119 || len(rep.Export.Skipped) != 1 || !rep.Partly() {
		t.Errorf("export: %+v", rep.Export)
	}
	t.Log(rep.Export.Skipped)
	if rep := b.visit(m); rep.Import.New != 69 || rep.Import.Waiting != 50 {
		t.Errorf("import: %+v", rep.Import)
	}
	// A stranger's copy of what we cannot read is not compared, and no visit
	// fails for it.
	m.put(pack(t, 66, network, honest))
	rotten.visit(m)
}
