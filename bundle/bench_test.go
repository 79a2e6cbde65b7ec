package bundle_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/spec/keys"
)

// BenchmarkWrite exports the whole data set, grouped by feed, and reports its
// size against the raw values. SSBSYNC_DATA names a folder with the large
// set.
func BenchmarkWrite(b *testing.B) {
	records, raw := dataSet(b)
	signer := keys.FromSeed([32]byte{1})
	b.SetBytes(int64(raw))
	b.ReportAllocs()
	var size int64
	for b.Loop() {
		w := bundle.NewWriter(signer, bundle.Header{}, bundle.WriterOptions{})
		for _, r := range records {
			if err := w.Add(r); err != nil {
				b.Fatal(err)
			}
		}
		m, err := w.Finish(io.Discard)
		if err != nil {
			b.Fatal(err)
		}
		size = m.FileSize()
	}
	b.ReportMetric(float64(len(records)*b.N)/b.Elapsed().Seconds(), "messages/s")
	b.ReportMetric(float64(size), "bytes/bundle")
	b.ReportMetric(float64(raw)/float64(size), "ratio")
}

// BenchmarkRead opens a bundle of the whole data set and reads each frame.
func BenchmarkRead(b *testing.B) {
	records, raw := dataSet(b)
	file := write(b, keys.FromSeed([32]byte{1}), records, nil)
	b.SetBytes(int64(raw))
	b.ReportAllocs()
	for b.Loop() {
		r, err := bundle.Open(bytes.NewReader(file), int64(len(file)), bundle.Limits{})
		if err != nil {
			b.Fatal(err)
		}
		for i := range r.MessageFrames() {
			if _, err := r.ReadFrame(i); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(len(records)*b.N)/b.Elapsed().Seconds(), "messages/s")
}

// BenchmarkOpen opens the bundle without reading a frame.
func BenchmarkOpen(b *testing.B) {
	records, _ := dataSet(b)
	file := write(b, keys.FromSeed([32]byte{1}), records, nil)
	for b.Loop() {
		if _, err := bundle.Open(bytes.NewReader(file), int64(len(file)), bundle.Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}
