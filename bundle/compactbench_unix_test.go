//go:build unix

package bundle_test

import (
	"io"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/bundle"
)

// cpu returns the processor time that this process has used.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// perCPU reports megabytes of lines in a second of one core's time: all that
// the process did counts, also collecting garbage.
func perCPU(b *testing.B, raw int, f func()) {
	b.SetBytes(int64(raw))
	runtime.GC()
	start := cpu(b)
	for b.Loop() {
		f()
	}
	b.ReportMetric(float64(raw)*float64(b.N)/1e6/(cpu(b)-start).Seconds(), "MB/cpu-s")
}

// BenchmarkCodecs writes and reads a bundle of the whole data set with each
// codec, and compares its size with what zstd -19 makes of the same lines.
func BenchmarkCodecs(b *testing.B) {
	records, raw := dataSet(b)
	reference := referenceSize(b, records)
	for _, codec := range bundle.Codecs() {
		file := writeCodec(b, codec, records, 0)
		b.Run(codec+"/write", func(b *testing.B) {
			perCPU(b, raw, func() { writeCodec(b, codec, records, 0) })
			b.ReportMetric(float64(len(file)), "bytes/bundle")
			b.ReportMetric(float64(len(file))/float64(reference), "of-zstd-19")
		})
		b.Run(codec+"/read", func(b *testing.B) {
			perCPU(b, raw, func() {
				r := open(b, file)
				for i := range r.MessageFrames() {
					if _, err := r.ReadFrame(i); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

// referenceSize returns the size of the values, one a line, in the order of the
// data set, as zstd -19 compresses them.
func referenceSize(b *testing.B, records []bundle.Record) int {
	b.Helper()
	cmd := exec.Command("zstd", "-19", "-T0", "-q", "-c")
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	go func() {
		defer in.Close()
		for _, r := range inOrder(b) {
			if _, err := io.WriteString(in, string(r.Value)+"\n"); err != nil {
				return
			}
		}
	}()
	out, err := cmd.Output()
	if err != nil {
		b.Fatalf("zstd, which this benchmark compares with: %v", err)
	}
	b.Logf("zstd -19: %d bytes for %d messages", len(out), len(records))
	return len(out)
}
