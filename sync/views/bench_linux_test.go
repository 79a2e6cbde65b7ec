package views_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// BenchmarkBuild indexes the 100k data set of the folder SSBSYNC_DATA or, without
// it, the small one of testdata, and measures the memory of the process that is
// not of files.
func BenchmarkBuild(b *testing.B) {
	data := small
	if dir := os.Getenv("SSBSYNC_DATA"); dir != "" {
		data = filepath.Join(dir, "fixtures-100k.jsonl.zst")
	}
	dir := b.TempDir()
	s := fill(b, dir, data)
	last := s.Last()
	s.Close() // what the store was filled with is not counted
	s = fill(b, dir, "")
	for b.Loop() {
		path := filepath.Join(dir, "views.db")
		v := open(b, s, nil)
		debug.FreeOSMemory()
		before, most := cpu(b), 0
		for more := true; more; {
			var err error
			if more, err = v.Step(context.Background()); err != nil {
				b.Fatal(err)
			}
			most = max(most, anonymous(b))
		}
		b.ReportMetric((cpu(b) - before).Seconds(), "cpu-s")
		b.ReportMetric(float64(most)/1024, "MiB-anonymous")
		b.ReportMetric(float64(last), "messages")
		info, err := os.Stat(path)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(info.Size())/(1<<20), "MiB-file")
		v.Close()
		os.Remove(path)
	}
}

func cpu(b *testing.B) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

var rssAnon = regexp.MustCompile(`RssAnon:\s*(\d+) kB`)

// anonymous returns the memory of this process that is not of files, in KiB.
func anonymous(b *testing.B) int {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	m := rssAnon.FindSubmatch(text)
	if m == nil {
		b.Fatalf("no RssAnon in %s", text)
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		b.Fatal(err)
	}
	return n
}
