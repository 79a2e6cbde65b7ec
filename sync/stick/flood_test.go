package stick_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// loseRanges flips a bit in the range table of a bundle on the medium.
func (m *medium) loseRanges(name string) {
	m.t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		m.t.Fatal(err)
	}
	data[bytes.Index(data, []byte{0x51, 0x2a, 0x4d, 0x18})+12] ^= 1
	if err := os.WriteFile(name, data, 0o666); err != nil {
		m.t.Fatal(err)
	}
}

// TestFloodWithoutRangeTable puts bundles onto a stick whose range tables are
// lost and whose frames are full of short lines: what they claim must not fill
// the memory, nor keep an honest bundle in the same state from being read.
func TestFloodWithoutRangeTable(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.post(11, 50)
	m.open()
	const lines = 150_000
	wanted, other := feed(11), feed(12)
	for name, line := range map[string]func(i int) []byte{
		"nothing": func(i int) []byte { return fmt.Appendf(nil, "%d", i) },
		"claims":  func(i int) []byte { return fmt.Appendf(nil, `{"author":%q,"sequence":%d}`, wanted, 1+2*i) },
	} {
		recs := make([]bundle.Record, lines)
		for i := range recs {
			recs[i] = bundle.Record{Feed: other, Seq: int64(i + 1), Value: line(i)}
		}
		file := m.put(pack(t, 66, network, recs))
		m.loseRanges(file)
		info, _ := os.Stat(file)
		t.Logf("%s: %d lines in %d bytes", name, lines, info.Size())
	}
	m.loseRanges(m.put(pack(t, 67, network, a.records(11, 1, 50))))
	var rep stick.Report
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	peak := uint64(0)
	st := m.open()
	rep, err := b.peer.Import(t.Context(), st, stick.ImportOptions{Progress: func(stick.Progress) {
		runtime.ReadMemStats(&after)
		peak = max(peak, after.HeapAlloc-min(after.HeapAlloc, before.HeapAlloc))
	}})
	if err != nil {
		t.Fatal(err)
	}
	b.wantHead(11, 50)
	if len(rep.Losses) != 1 || !strings.Contains(rep.Losses[0].Reason, "not what an exporter writes") {
		t.Errorf("losses %+v", rep.Losses)
	}
	t.Logf("%d rejected, at most %d MiB on the heap", rep.Rejected, peak>>20)
	if peak > 64<<20 {
		t.Errorf("%d MiB on the heap", peak>>20)
	}
}

// TestFloodOfHaves puts large files onto a medium that pretend to be haves:
// strangers' are not read, and of those in the name of somebody whom we trust no
// more than a budget. A store that we know is heard all the same.
func TestFloodOfHaves(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.visit(m)
	b.visit(m)
	a.visit(m)
	head := func(by byte) []byte {
		h := &stick.Have{Network: network, Stick: m.open().ID(), Identity: feed(by), Store: stick.ID{0, by}, Counter: 1, Visit: 1}
		return stick.EncodeHave(h, pair(by))
	}
	flood := func(by byte, store, files int) {
		for i := range files {
			name := stick.HaveName(stick.ID{0, by, byte(store)}, uint64(1+i))
			m.write(name, head(by))
			if err := os.Truncate(filepath.Join(m.dir, name), stick.MaxHaveSize); err != nil {
				t.Fatal(err)
			}
		}
	}
	for store := range 10 {
		flood(66, store, 16)
	}
	a.post(1, 3)
	a.visit(m)
	if rep := b.visit(m); rep.Import.New != 3 || len(rep.Import.Skipped) != 0 {
		t.Errorf("flood by a stranger: %+v", rep.Import)
	}
	flood(3, 1, 5)
	b.post(2, 3)
	b.visit(m)
	rep := a.visit(m)
	if rep.Import.New != 3 || len(rep.Import.Skipped) != 1 {
		t.Errorf("flood in the name of somebody: %+v", rep.Import)
	}
	t.Log(rep.Import.Skipped)
	b.visit(m)
	a.post(1, 1) // a has read what b holds: one message is enough
	if rep := a.visit(m); rep.Export.Messages != 1 {
		t.Errorf("%+v", rep.Export)
	}
}

// TestOverload: when the claims of all bundles are too much for the memory,
// the largest go, and those of strangers first.
func TestOverload(t *testing.T) {
	for _, c := range []struct {
		limit   int64
		runs    []int
		dropped []int
	}{
		{1 << 20, []int{10, 10, 10, 10}, nil},
		{7000, []int{60, 40, 20, 10}, []int{1, 3}},
		{8000, []int{60, 10, 20, 40}, []int{3}},
		{8000, []int{0, 200, 60, 20, 10, 0}, []int{1}},
		{4000, []int{60, 10, 20, 10}, []int{0}},
	} {
		if got := stick.Overload(c.limit, c.runs...); !slices.Equal(got, c.dropped) {
			t.Errorf("%d bytes for %v: dropped %v, want %v", c.limit, c.runs, got, c.dropped)
		}
	}
}

// TestExchangedWhileRead replaces a loose bundle by another one, with fewer
// frames, between two looks at it.
func TestExchangedWhileRead(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.write(11, 900, strings.Repeat("long ", 500))
	a.post(12, 3)
	file := filepath.Join(m.dir, "a.ssb.zst")
	m.write("a.ssb.zst", pack(t, 1, network, a.records(11, 1, 900)))
	st, err := stick.OpenSource(m.root())
	if err != nil {
		t.Fatal(err)
	}
	// The policy is asked after the bundle was studied and before it is read.
	rep, err := b.peer.Import(t.Context(), st, stick.ImportOptions{Accept: func(refs.Feed) bool {
		data := pack(t, 1, network, a.records(12, 1, 3))
		os.Remove(file)
		m.write("a.ssb.zst", data)
		return true
	}})
	if err != nil || rep.New != 0 || len(rep.Losses) == 0 || !rep.Partly() {
		t.Errorf("%v %+v", err, rep)
	}
	t.Log(rep.Losses[0].Reason)
}
