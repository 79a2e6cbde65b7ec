package stick_test

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/sync/ingest"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// loadData fills a node with the 100k data set of the folder SSBSYNC_DATA or,
// without it, with the 2k set of testdata.
func loadData(b *testing.B, nd *node) {
	b.Helper()
	path := "../../testdata/fixtures-2k.jsonl.zst"
	if dir := os.Getenv("SSBSYNC_DATA"); dir != "" {
		path = filepath.Join(dir, "fixtures-100k.jsonl.zst")
	}
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	z, err := bundle.NewZstdReader(f)
	if err != nil {
		b.Fatal(err)
	}
	defer z.Close()
	in := nd.ingest.Open(ingest.Source{Name: path})
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct{ Value json.RawMessage }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			b.Fatal(err)
		}
		if err := in.Add(b.Context(), line.Value); err != nil {
			b.Fatal(err)
		}
	}
	if sum, err := in.Flush(b.Context()); err != nil || sum.New == 0 || sum.Rejected > 0 {
		b.Fatalf("%v %+v", err, sum)
	}
}

// BenchmarkExport writes all to an empty folder.
func BenchmarkExport(b *testing.B) {
	nd := newNode(b, 1)
	loadData(b, nd)
	var rep stick.Report
	for b.Loop() {
		m := newMedium(b)
		rep = nd.export(m, stick.ExportOptions{})
	}
	b.ReportMetric(float64(rep.Messages)*float64(b.N)/b.Elapsed().Seconds(), "messages/s")
	b.ReportMetric(float64(rep.Bytes), "bytes")
}

// BenchmarkExportBundle writes one bundle to nowhere: the export without the
// device.
func BenchmarkExportBundle(b *testing.B) {
	nd := newNode(b, 1)
	loadData(b, nd)
	var rep stick.Report
	var err error
	for b.Loop() {
		if rep, err = nd.peer.ExportBundle(b.Context(), io.Discard, stick.ExportOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(rep.Messages)*float64(b.N)/b.Elapsed().Seconds(), "messages/s")
	b.ReportMetric(float64(rep.Bytes), "bytes")
}

// BenchmarkImport reads a stick into an empty store.
func BenchmarkImport(b *testing.B) {
	nd, m := newNode(b, 1), newMedium(b)
	loadData(b, nd)
	nd.export(m, stick.ExportOptions{})
	var rep stick.Report
	for b.Loop() {
		b.StopTimer()
		empty := newNode(b, 2)
		b.StartTimer()
		rep = empty.importAll(m)
	}
	b.ReportMetric(float64(rep.New)*float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

// BenchmarkNoChangeVisit visits a stick with 1,000 bundles of 10,000 feeds on
// which nothing is new.
func BenchmarkNoChangeVisit(b *testing.B) {
	const bundles, feeds = 1000, 10_000
	a, m := newNode(b, 1), newMedium(b)
	fillMedium(b, a, m, bundles, feeds)
	a.visit(m)
	for b.Loop() {
		if rep := a.visit(m); rep.Have || rep.Import.Messages+rep.Export.Messages != 0 {
			b.Fatalf("%+v", rep)
		}
	}
}

// fillMedium writes bundles with one message each of some feeds, which the
// node holds as well.
func fillMedium(b *testing.B, a *node, m *medium, bundles, feeds int) {
	b.Helper()
	m.open()
	var batch []*message.Message
	flush := func() {
		if _, err := a.store.Append(batch); err != nil {
			b.Fatal(err)
		}
		var recs []bundle.Record
		for _, m := range batch {
			recs = append(recs, bundle.Record{Feed: m.Feed(), Seq: m.Seq(), ID: m.ID(), Value: m.Value()})
		}
		m.put(pack(b, 3, network, recs))
		batch = batch[:0]
	}
	for i := range feeds {
		seed := [32]byte{byte(i), byte(i >> 8), 0x77}
		batch = append(batch, first(b, seed))
		if len(batch) == feeds/bundles {
			flush()
		}
	}
}

// BenchmarkNoChangeVisitOfTen is the same with the haves of nine other stores
// that hold every feed.
func BenchmarkNoChangeVisitOfTen(b *testing.B) {
	const bundles, feeds = 1000, 10_000
	a, m := newNode(b, 1), newMedium(b)
	fillMedium(b, a, m, bundles, feeds)
	a.visit(m)
	heads, err := a.store.Heads()
	if err != nil {
		b.Fatal(err)
	}
	for n := byte(2); n <= 10; n++ {
		h := &stick.Have{Network: network, Stick: m.open().ID(), Identity: feed(n), Store: stick.ID{n}, Counter: 1, Visit: uint64(n), WantAll: true, Reads: stick.OurFormats()}
		for _, head := range heads {
			h.Holdings = append(h.Holdings, stick.Holding{Feed: head.Feed, Seq: head.Seq, Prefix: bundle.Prefix(head.ID)})
		}
		m.write(stick.HaveName(h.Store, 1), stick.EncodeHave(h, pair(n)))
	}
	a.visit(m)
	for b.Loop() {
		if rep := a.visit(m); rep.Have || rep.Import.Messages+rep.Export.Messages != 0 {
			b.Fatalf("%+v", rep)
		}
	}
}
