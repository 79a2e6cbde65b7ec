package stick_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/sync/stick"
)

// TestForgedMarker: a medium pretends to be one that we know, with bundles of
// the names and sizes that lay there, and junk in them. It misleads us until
// somebody finds out, and no longer.
func TestForgedMarker(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.post(11, 100)
	a.visit(m)
	forged := m.copyTo(t.TempDir())
	for _, name := range forged.files(".zst") {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := len(data) / 3; i < 2*len(data)/3; i++ {
			data[i] = 0
		}
		if err := os.WriteFile(name, data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	b.visit(forged)
	if b.head(11) != 0 {
		t.Fatal("the junk holds messages")
	}
	a.visit(forged)
	if rep := b.visit(forged); rep.Import.New != 100 {
		t.Errorf("from the forged medium, after a knows: %+v", rep.Import)
	}
	if rep := a.visit(m); rep.Partly() {
		t.Errorf("the real one: %+v", rep)
	}
	b.visit(m)
	if rep := newNode(t, 3).visit(m); rep.Import.New != 100 || rep.Partly() {
		t.Errorf("a newcomer at the real one: %+v", rep.Import)
	}
}

// TestMarkersThatAreNone: none of these makes a folder a stick, nor is it made
// one over them.
func TestMarkersThatAreNone(t *testing.T) {
	id := strings.Repeat("01", 16)
	good := `{"format":"ssbsync stick v1","stick":"` + id + `","mode":"open"}` + "\n"
	for name, bad := range map[string]string{
		"zero id":      strings.Replace(good, id, strings.Repeat("0", 32), 1),
		"upper case":   strings.Replace(good, id, strings.Repeat("AB", 16), 1),
		"short id":     strings.Replace(good, id, id[2:], 1),
		"other mode":   strings.Replace(good, "open", "mine", 1),
		"twice":        good + good,
		"two ids":      strings.Replace(good, `"mode"`, `"stick":"`+id+`","mode"`, 1),
		"more members": strings.Replace(good, `}`, `,"label":"x","run":"rm"}`, 1),
		"escapes":      strings.Replace(good, `}`, `,"label":"\u001b[2J"}`, 1),
		"long":         strings.Replace(good, `}`, `,"label":"`+strings.Repeat("x", 5000)+`"}`, 1),
		"bidi":         strings.Replace(good, `}`, ",\"label\":\"\u202e\"}", 1),
		"cut":          good[:len(good)-1],
		"empty":        "",
		"huge":         strings.Repeat(" ", 1<<20),
	} {
		m := newMedium(t)
		m.write("ssbsync/stick.json", []byte(bad))
		m.unchanged(func() {
			if st, err := stick.Create(m.root()); err == nil {
				t.Errorf("%s: taken for stick %v", name, st.ID())
			}
		})
	}
}

// have makes a have of the n-th identity.
func (m *medium) have(n byte, store stick.ID, counter, visit uint64, holds ...stick.Holding) *stick.Have {
	m.t.Helper()
	h := &stick.Have{Network: network, Stick: m.open().ID(), Identity: feed(n), Store: store, Counter: counter, Visit: visit,
		WantAll: true, Reads: stick.OurFormats(), Holdings: holds}
	m.write(stick.HaveName(store, counter), stick.EncodeHave(h, pair(n)))
	return h
}

// TestCountersUnderOurName: others sign haves with the id of our store, with
// the highest counter there is. We stay who we are, and are heard.
func TestCountersUnderOurName(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.post(11, 10)
	a.visit(m)
	b.visit(m)
	id := a.store.ID()
	for _, by := range []byte{66, 3} { // a stranger, and somebody whom all trust
		for i := range uint64(20) {
			m.have(by, id, 1<<53-1-i, 1<<53-1)
		}
	}
	rep := a.visit(m)
	if a.store.ID() != id || a.peer.Guard.Check() != nil || len(rep.Import.Warnings) != 0 {
		t.Errorf("a is %x, %v, %q", a.store.ID(), a.status(), rep.Import.Warnings)
	}
	b.post(12, 5)
	b.visit(m)
	if rep := a.visit(m); rep.Import.New != 5 || !rep.Have {
		t.Errorf("a: %+v", rep)
	}
	if rep := b.visit(m); rep.Export.Messages != 0 {
		t.Errorf("b writes again what a acknowledged: %+v", rep.Export)
	}
}

// TestCountersRolledBack puts an older have of b in the place of the newest:
// what a knows already of b does not change, and nothing is written twice.
func TestCountersRolledBack(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.post(11, 50)
	a.visit(m)
	b.visit(m)
	old := m.copyTo(t.TempDir())
	a.post(11, 50)
	a.visit(m)
	b.visit(m)
	a.visit(m)
	for _, name := range m.files(".have") {
		if strings.Contains(name, fmt.Sprint(stick.ID(b.store.ID()))) {
			os.Remove(name)
		}
	}
	for _, name := range old.files(".have") {
		if strings.Contains(name, fmt.Sprint(stick.ID(b.store.ID()))) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			m.write(strings.TrimPrefix(name, old.dir+"/"), data)
		}
	}
	if rep := a.visit(m); rep.Export.Messages != 0 {
		t.Errorf("a believes the old have: %+v", rep.Export)
	}
	if rep := b.visit(m); rep.Import.New != 0 || b.store.ID() == a.store.ID() {
		t.Errorf("b: %+v", rep.Import)
	}
	a.visit(m)
	m.unchanged(func() { a.visit(m); b.visit(m); a.visit(m) })
}

// TestCounterThatJumps: a trusted store leaves the highest counter there is.
// Nothing of ours depends on it but what we know of that store.
func TestCounterThatJumps(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.post(11, 10)
	m.have(3, stick.ID{3}, 1<<53-1, 1)
	a.visit(m)
	b.visit(m)
	a.post(11, 1)
	a.visit(m)
	if rep := b.visit(m); rep.Import.New != 1 {
		t.Errorf("b: %+v", rep.Import)
	}
	a.visit(m)
	m.unchanged(func() { a.visit(m); b.visit(m) })
}

// TestClaimsOfATrustedStore: somebody whom we trust claims to hold everything,
// to the last sequence there can be. It costs only itself: what another one
// needs stays on a full stick, and is written.
func TestClaimsOfATrustedStore(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	m.open()
	b.visit(m) // has nothing, and comes by
	a.post(11, 300)
	m.limit(2*bundleSize(t, 300), a, b)
	a.visit(m)
	var all []stick.Holding
	for _, n := range []byte{1, 2, 3, 11, 12} {
		all = append(all, stick.Holding{Feed: feed(n), Seq: 1<<52 - 1, Prefix: [8]byte{n}})
	}
	liar := m.have(3, stick.ID{3}, 7, 2)
	liar.Counter, liar.Holdings = 8, all
	sortHoldings(liar.Holdings)
	m.write(stick.HaveName(liar.Store, liar.Counter), stick.EncodeHave(liar, pair(3)))
	for range 3 {
		a.post(12, 100)
		rep := a.visit(m)
		if rep.Import.Forked != 0 || a.peer.Guard.Check() != nil {
			t.Errorf("a claim is proof: %+v", rep.Import)
		}
	}
	for range 4 {
		b.visit(m)
		a.visit(m)
	}
	b.wantHead(11, 300)
	b.wantHead(12, 300)
}

func sortHoldings(list []stick.Holding) {
	for i := range list {
		for k := i; k > 0 && list[k].Feed.Compare(list[k-1].Feed) < 0; k-- {
			list[k], list[k-1] = list[k-1], list[k]
		}
	}
}

// TestCaseClashes puts twins of everything onto a medium, in names that differ
// by case only. They are nobody's, whatever is in them.
func TestCaseClashes(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.post(11, 50)
	a.visit(m)
	clashes := 0
	for _, name := range append(m.files(".zst"), m.files(".have")...) {
		name = strings.TrimPrefix(name, m.dir+"/")
		dir, base := filepath.Split(name)
		for _, twin := range []string{
			dir + strings.ToUpper(base), dir + strings.ToUpper(base[:1]) + base[1:],
			filepath.Join(filepath.Dir(filepath.Clean(dir)), strings.ToUpper(filepath.Base(dir)), base),
		} {
			if _, err := os.Lstat(filepath.Join(m.dir, twin)); err == nil {
				continue // no difference here, by nature or by this file system
			}
			m.write(twin, []byte("junk"))
			clashes++
		}
	}
	if rep := b.visit(m); rep.Import.New != 50 || rep.Partly() {
		t.Errorf("%d clashes: %+v", clashes, rep.Import)
	}
	if rep := a.visit(m); rep.Export.Messages != 0 || rep.Partly() {
		t.Errorf("%d clashes: %+v", clashes, rep.Export)
	}
	t.Logf("%d cases: names that clash", clashes)
}
