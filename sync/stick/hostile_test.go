package stick_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// write puts a file onto the medium.
func (m *medium) write(name string, data []byte) {
	m.t.Helper()
	path := filepath.Join(m.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o666); err != nil {
		m.t.Fatal(err)
	}
}

// put writes a bundle under the name it must have.
func (m *medium) put(data []byte) string {
	m.t.Helper()
	r, err := bundle.Open(bytes.NewReader(data), int64(len(data)), bundle.Limits{})
	if err != nil {
		m.t.Fatal(err)
	}
	name := "ssbsync/bundles/" + r.Name()[:2] + "/" + r.Name() + ".ssb.zst"
	m.write(name, data)
	return filepath.Join(m.dir, name)
}

// pack makes a bundle that claims the given records, whatever is in them.
func pack(t testing.TB, exporter byte, net [32]byte, records []bundle.Record) []byte {
	t.Helper()
	w := bundle.NewWriter(pair(exporter), bundle.Header{Network: net}, bundle.WriterOptions{Workers: 1})
	for _, r := range records {
		if err := w.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if _, err := w.Finish(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// records returns messages of a node's store.
func (nd *node) records(n byte, first, last int64) []bundle.Record {
	nd.t.Helper()
	page, err := nd.store.FeedPage(feed(n), first, last, 0, false)
	if err != nil {
		nd.t.Fatal(err)
	}
	var recs []bundle.Record
	for _, r := range page {
		recs = append(recs, bundle.Record{Feed: r.Feed, Seq: r.Seq, ID: r.ID, Value: r.Value})
	}
	return recs
}

// TestJunkBundles puts bundles onto a stick that claim feed 11 and hold
// something else: what one of them claims must keep nobody from reading or
// writing the real thing.
func TestJunkBundles(t *testing.T) {
	for _, exporter := range []byte{9, 66} { // one that all trust, and a stranger
		for name, spoil := range map[string]func([]bundle.Record){
			"noise": func(r []bundle.Record) { each(r, func(r *bundle.Record) { r.Value = []byte(`{"no":"message"}`) }) },
			"bad signature": func(r []bundle.Record) {
				each(r, func(r *bundle.Record) { r.Value = bytes.Replace(r.Value, []byte("message"), []byte("massage"), 1) })
			},
			"other place": func(r []bundle.Record) { r[0].Value, r[1].Value = r[1].Value, r[0].Value },
			"one only":    func(r []bundle.Record) { r[57].Value = []byte(`{}`) },
		} {
			t.Run(fmt.Sprintf("%s by %d", name, exporter), func(t *testing.T) {
				a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
				a.post(11, 100)
				m.open()
				junk := a.records(11, 1, 100)
				spoil(junk)
				m.put(pack(t, exporter, network, junk))

				b.visit(m)
				a.visit(m) // holds the feed, and sees through the bundle or not
				b.visit(m)
				a.visit(m)
				b.visit(m)
				if name != "other place" { // both lines are valid: the feed comes whole
					b.wantHead(11, 100)
				}
				rep := b.visit(m)
				b.wantHead(11, 100)
				if rep.Import.Messages != 0 {
					t.Errorf("junk is read at every visit: %+v", rep.Import)
				}
			})
		}
	}
}

func each(recs []bundle.Record, fn func(*bundle.Record)) {
	for i := range recs {
		fn(&recs[i])
	}
}

// TestJunkBesideHonest has both on the stick from the start: one visit must
// be enough.
func TestJunkBesideHonest(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.post(11, 100)
	m.open()
	for exporter := byte(60); exporter < 70; exporter++ {
		junk := a.records(11, 1, 100)
		each(junk, func(r *bundle.Record) { r.Value = fmt.Appendf(nil, `{"junk":%d}`, exporter) })
		m.put(pack(t, exporter, network, junk))
	}
	m.put(pack(t, 99, network, a.records(11, 1, 100)))
	rep := b.visit(m)
	b.wantHead(11, 100)
	t.Logf("%d rejected, %d new, %d bundles", rep.Import.Rejected, rep.Import.New, rep.Import.Bundles)
}

// TestStrangersCoverOnlyWhatWasVerified: the bundle of a stranger counts for
// nothing until its messages were compared.
func TestStrangersCoverOnlyWhatWasVerified(t *testing.T) {
	a, m := newNode(t, 1), newMedium(t)
	a.post(11, 100)
	m.open()
	m.put(pack(t, 66, network, a.records(11, 1, 60)))
	if rep := a.visit(m); rep.Export.Messages != 40 {
		t.Errorf("the honest bundle of a stranger should count once it was read: %+v", rep.Export)
	}
	junk := a.records(11, 1, 100)
	each(junk[:99], func(r *bundle.Record) { r.Value = []byte(`{}`) }) // the last id agrees
	m2 := newMedium(t)
	m2.open()
	m2.put(pack(t, 66, network, junk))
	if rep := a.visit(m2); rep.Export.Messages != 100 {
		t.Errorf("junk of a stranger counts: %+v", rep.Export)
	}
}

func TestDamagedFrames(t *testing.T) {
	a, b, c, m := newNode(t, 1), newNode(t, 2), newNode(t, 3), newMedium(t)
	for n := byte(11); n < 20; n++ {
		a.post(n, 400)
	}
	a.visit(m)
	name := m.files(".zst")[0]
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	r, err := bundle.Open(bytes.NewReader(data), int64(len(data)), bundle.Limits{})
	if err != nil || r.MessageFrames() < 2 {
		t.Fatal(err, r.MessageFrames())
	}
	data[len(data)/3] ^= 1 // in a frame of messages
	m.write(strings.TrimPrefix(name, m.dir+"/"), data)

	rep := b.visit(m)
	if len(rep.Import.Losses) != 1 || !rep.Import.Partly() || rep.Import.New == 0 || len(rep.Import.Losses[0].Spans) == 0 {
		t.Errorf("import with a damaged frame: %+v", rep.Import)
	}
	t.Logf("%d of 3600 messages taken, lost %+v", rep.Import.New, rep.Import.Losses[0].Reason)
	// b says so in its have; a writes again what was lost, and b gets it.
	if rep := a.visit(m); rep.Export.Messages == 0 {
		t.Errorf("nothing written again: %+v", rep.Export)
	}
	if rep := b.visit(m); rep.Import.Partly() || b.head(19) != 400 {
		t.Errorf("after repair: %+v", rep.Import)
	}
	if rep := c.visit(m); rep.Import.New != 3600 || rep.Import.Partly() {
		t.Errorf("newcomer after repair: %+v", rep.Import)
	}
	a.visit(m)
	b.visit(m)
	m.unchanged(func() { a.visit(m); b.visit(m); c.visit(m) })
}

// TestFalseAlarm: a stranger's word that a bundle is damaged makes us look
// again, and nothing is written again that is not.
func TestFalseAlarm(t *testing.T) {
	a, stranger, m := newNode(t, 1), newNode(t, 66), newMedium(t)
	a.post(11, 100)
	a.visit(m)
	clone := m.copyTo(t.TempDir())
	name := clone.files(".zst")[0]
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	clone.write(strings.TrimPrefix(name, clone.dir+"/"), data)
	if rep := stranger.visit(clone); len(rep.Import.Losses) != 1 {
		t.Fatalf("the stranger saw no damage: %+v", rep.Import)
	}
	for _, have := range clone.files(".have") {
		data, err := os.ReadFile(have)
		if err != nil {
			t.Fatal(err)
		}
		m.write(strings.TrimPrefix(have, clone.dir+"/"), data)
	}
	if len(m.files(".have")) != 2 {
		t.Fatalf("haves: %q", m.files(".have"))
	}
	if rep := a.visit(m); rep.Export.Bundles != 0 {
		t.Errorf("written again on a false alarm: %+v", rep.Export)
	}
	if rep := a.visit(clone); rep.Export.Messages != 100 {
		t.Errorf("not written again where it is true: %+v", rep.Export)
	}
}

// TestDoubtIsAnsweredOnce: a store that we trust says that a bundle is damaged
// and does not come by again. We write it once more, and not at every visit.
func TestDoubtIsAnsweredOnce(t *testing.T) {
	for _, frames := range [][]int{nil, {1}} {
		a, m := newNode(t, 1), newMedium(t)
		a.post(11, 50)
		a.visit(m)
		name := strings.TrimSuffix(filepath.Base(m.files(".zst")[0]), ".ssb.zst")
		doubter := &stick.Have{
			Network: network, Stick: m.open().ID(), Identity: feed(2), Store: stick.ID{2}, Counter: 5, Visit: 2,
			Reads:   []string{"bundle-1", "jsonl"}, // with another codec the bundle would get another name
			WantAll: true, Damaged: []stick.Damage{{Bundle: name, Frames: frames}},
		}
		m.write(stick.HaveName(doubter.Store, doubter.Counter), stick.EncodeHave(doubter, pair(2)))
		if rep := a.visit(m); rep.Export.Messages != 50 {
			t.Errorf("not written again: %+v", rep.Export)
		}
		m.unchanged(func() {
			if rep := a.visit(m); rep.Export.Messages != 0 {
				t.Errorf("written once more: %+v", rep.Export)
			}
		})
		doubter.Counter++ // it came by, and is not content
		m.write(stick.HaveName(doubter.Store, doubter.Counter), stick.EncodeHave(doubter, pair(2)))
		if rep := a.visit(m); rep.Export.Messages != 50 {
			t.Errorf("not written again: %+v", rep.Export)
		}
	}
}

func TestTruncatedAndBrokenBundles(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.post(11, 50)
	a.export(m, stick.ExportOptions{NoHave: true})
	name := m.files(".zst")[0]
	data, _ := os.ReadFile(name)
	for _, bad := range [][]byte{nil, data[:10], data[:len(data)/2], bytes.Repeat([]byte{0}, len(data)-1)} {
		if err := os.WriteFile(name, bad, 0o666); err != nil {
			t.Fatal(err)
		}
		rep := b.importAll(m)
		if rep.New != 0 || !rep.Partly() || len(rep.Losses) == 0 {
			t.Errorf("bundle of %d bytes: %+v", len(bad), rep)
		}
	}
	// The exporter writes it again, under the same name.
	if rep := a.export(m, stick.ExportOptions{NoHave: true}); rep.Messages != 50 {
		t.Errorf("export over a broken bundle: %+v", rep)
	}
	if rep := b.importAll(m); rep.New != 50 || rep.Partly() {
		t.Errorf("import after repair: %+v", rep)
	}
}

func TestLostRangeTable(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.post(11, 50)
	a.export(m, stick.ExportOptions{NoHave: true})
	name := m.files(".zst")[0]
	data, _ := os.ReadFile(name)
	r, err := bundle.Open(bytes.NewReader(data), int64(len(data)), bundle.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	ranges := len(data)
	for _, f := range r.Manifest().Frames {
		ranges -= int(f.Stored)
	}
	data[bytes.Index(data, []byte{0x51, 0x2a, 0x4d, 0x18})+12] ^= 1
	os.WriteFile(name, data, 0o666)
	if rep := b.importAll(m); rep.New != 50 {
		t.Errorf("import without range table: %+v", rep)
	}
}

func TestWrongNetwork(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.post(11, 50)
	data := pack(t, 1, [32]byte{1}, a.records(11, 1, 50))
	m.open()
	m.put(data)
	rep, err := b.peer.Import(t.Context(), m.open(), stick.ImportOptions{})
	if rep.New != 0 || rep.Foreign != 1 || !errors.Is(err, stick.ErrNetwork) {
		t.Errorf("bundle of another network: %v, %+v", err, rep)
	}
	_, err = b.peer.ImportBundle(t.Context(), "x", bytes.NewReader(data), int64(len(data)), stick.ImportOptions{})
	if !errors.Is(err, stick.ErrNetwork) {
		t.Errorf("one bundle of another network: %v", err)
	}
}

func TestTooManyFiles(t *testing.T) {
	b, m := newNode(t, 2), newMedium(t)
	st := m.open()
	crowd(t, m, 500)
	if _, err := b.peer.Visit(t.Context(), st, stick.VisitOptions{}); err != nil {
		t.Errorf("500 odd files: %v", err)
	}
	st.LimitFiles(500)
	if _, err := b.peer.Visit(t.Context(), st, stick.VisitOptions{}); !errors.Is(err, stick.ErrTooManyFiles) {
		t.Errorf("more files than are looked at: %v", err)
	}
}

// crowd puts n odd files where bundles lie.
func crowd(t *testing.T, m *medium, n int) {
	t.Helper()
	dir := filepath.Join(m.dir, "ssbsync/bundles/aa")
	os.MkdirAll(dir, 0o777)
	for i := range n {
		f, err := os.Create(fmt.Sprintf("%s/%d", dir, i))
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
}

func TestMarker(t *testing.T) {
	m := newMedium(t)
	if _, err := stick.Open(m.root()); !errors.Is(err, stick.ErrNoMarker) {
		t.Errorf("empty folder: %v", err)
	}
	if _, err := stick.OpenSource(m.root()); !errors.Is(err, stick.ErrNoMarker) {
		t.Errorf("empty source: %v", err)
	}
	st := m.open()
	if again := m.open(); again.ID() != st.ID() || (st.ID() == stick.ID{}) {
		t.Error("the id changed")
	}
	good := `{"format":"ssbsync stick v1","stick":"` + st.ID().String() + `","mode":"open"}` + "\n"
	newer := strings.Replace(good, "v1", "v2", 1)
	for bad, heal := range map[string]bool{
		"": true, "{}": true, good[:len(good)/2]: true,
		newer: false,
		strings.Replace(newer, st.ID().String(), strings.Repeat(st.ID().String(), 2), 1): false,
		`{"format":"ssbsync stick v2","stick":7,"mode":{}}`:                              false,
		strings.Replace(good, "}", `,"run":"x"}`, 1):                                     false,
		strings.Replace(good, "}", `,"label":7}`, 1):                                     false,
		strings.Replace(good, "\n", "\r\n", 1):                                           false,
	} {
		m.write("ssbsync/stick.json", []byte(bad))
		_, err := stick.Create(m.root())
		if err == nil || errors.Is(err, stick.ErrNoMarker) {
			t.Errorf("marker %q: %v", bad, err)
		} else if strings.Contains(err.Error(), "enroll it again") != heal {
			t.Errorf("marker %q: to be removed: %v, want %v", bad, err, heal)
		}
	}
}

func TestLooseBundles(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.post(11, 50)
	a.post(12, 20)
	m.write("holiday.ssb.zst", pack(t, 1, network, a.records(11, 1, 50)))
	m.write("copy of holiday.ssb.zst", pack(t, 1, network, a.records(11, 1, 50)))
	m.write("second.ssb.zst", pack(t, 66, network, a.records(12, 1, 20)))
	m.unchanged(func() {
		if rep := b.importAll(m); rep.New != 70 || rep.Bundles != 2 || rep.Partly() {
			t.Errorf("loose bundles: %+v", rep)
		}
	})
	st, err := stick.OpenSource(m.root())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.peer.Visit(t.Context(), st, stick.VisitOptions{}); !errors.Is(err, stick.ErrLoose) {
		t.Errorf("visit of loose bundles: %v", err)
	}
}
