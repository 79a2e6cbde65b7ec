package stick_test

import (
	"bytes"
	"os"
	"slices"
	"testing"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// codecs returns how many bundles of each codec lie on the medium.
func (m *medium) codecs() map[string]int {
	m.t.Helper()
	found := make(map[string]int)
	for _, name := range m.files(".zst") {
		data, err := os.ReadFile(name)
		if err != nil {
			m.t.Fatal(err)
		}
		r, err := bundle.Open(bytes.NewReader(data), int64(len(data)), bundle.Limits{})
		if err != nil {
			m.t.Fatal(err)
		}
		found[r.Manifest().Codec]++
	}
	return found
}

// wantCodecs holds how many bundles of each codec lie there.
func (m *medium) wantCodecs(lines, columns int) {
	m.t.Helper()
	if got := m.codecs(); got[bundle.CodecJSONL] != lines || got[bundle.CodecCompact] != columns || len(got) > 2 {
		m.t.Fatalf("bundles %v, want %d as lines and %d in columns", got, lines, columns)
	}
}

// TestCodecOfReaders: a medium gets the codec that every store reads that left a
// have there. When one comes by that does not read what lies there, it is
// written again for it, once.
func TestCodecOfReaders(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.post(11, 30)
	a.visit(m)
	m.wantCodecs(1, 0) // nobody knows who will come
	if rep := b.visit(m); rep.Import.New != 30 {
		t.Fatalf("import %+v", rep.Import)
	}
	a.post(11, 20)
	a.post(12, 7)
	a.visit(m)
	m.wantCodecs(1, 1)
	if rep := b.visit(m); rep.Import.New != 27 {
		t.Fatalf("import %+v", rep.Import)
	}
	m.unchanged(func() { a.visit(m); b.visit(m) })
	old := &stick.Have{
		Network: network, Stick: m.open().ID(), Identity: feed(3), Store: stick.ID{3}, Counter: 1, Visit: 3,
		Reads: []string{"bundle-1", bundle.CodecJSONL}, WantAll: true,
	}
	m.write(stick.HaveName(old.Store, old.Counter), stick.EncodeHave(old, pair(3)))
	if rep := a.visit(m); rep.Export.Messages != 27 {
		t.Errorf("for a store that reads no columns: %+v", rep.Export)
	}
	m.wantCodecs(2, 1)
	b.visit(m)
	m.unchanged(func() { a.visit(m); b.visit(m) })
	c := newNode(t, 4)
	if rep := c.visit(m); rep.Import.New != 57 || rep.Import.Partly() {
		t.Errorf("from both codecs: %+v", rep.Import)
	}
}

// TestCodecByName writes what was asked for, whoever reads it.
func TestCodecByName(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.post(11, 30)
	a.export(m, stick.ExportOptions{Codec: bundle.CodecCompact})
	m.wantCodecs(0, 1)
	if rep := b.visit(m); rep.Import.New != 30 {
		t.Fatalf("import %+v", rep.Import)
	}
	a.post(11, 5)
	a.export(m, stick.ExportOptions{Codec: bundle.CodecJSONL})
	m.wantCodecs(1, 1)
	if rep := b.visit(m); rep.Import.New != 5 {
		t.Fatalf("import %+v", rep.Import)
	}
}

// TestMergeCodecs merges bundles of both codecs to one that every reader reads.
func TestMergeCodecs(t *testing.T) {
	for _, reads := range [][]string{{"bundle-1", bundle.CodecJSONL}, stick.OurFormats()} {
		a, m := newNode(t, 1), newMedium(t)
		a.peer.Merging.Most, a.peer.Merging.Least = 15, 10
		for i := range 24 {
			a.post(11, 3)
			a.export(m, stick.ExportOptions{Codec: bundle.Codecs()[i%2]})
		}
		m.wantCodecs(12, 12)
		reader := &stick.Have{
			Network: network, Stick: m.open().ID(), Identity: feed(2), Store: stick.ID{2}, Counter: 1, Visit: 2,
			Reads: reads, WantAll: true,
		}
		m.write(stick.HaveName(reader.Store, reader.Counter), stick.EncodeHave(reader, pair(2)))
		rep := a.visit(m)
		t.Logf("read by %q: merged %d, now %v", reads, rep.Export.Merged, m.codecs())
		if slices.Contains(reads, bundle.CodecCompact) && (rep.Export.Merged < 20 || m.codecs()[bundle.CodecCompact] == 0) {
			t.Errorf("merged %d: %v", rep.Export.Merged, m.codecs())
		}
		if b := newNode(t, 3); b.visit(m).Import.New != 72 {
			t.Errorf("read by %q: messages are lost", reads)
		}
	}
}
