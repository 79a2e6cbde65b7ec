package main

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// rounds is how often a benchmark repeats what it compares; medians count.
const rounds = 5

// BenchmarkMainJob exports the data set to a folder and imports it into an
// empty home, both as processes of their own, and alternately verifies the
// same signatures with crypto/ed25519 on all cores and does nothing else. It
// reports the ratio of the two (above 1: the import is faster than that), peak
// anonymous memory, sizes, and the time a command takes to start on the store.
// The data set is the largest one in SSBSYNC_DATA, else the small one.
func BenchmarkMainJob(b *testing.B) {
	p := newPrograms(b)
	data := p.largestData()
	set := readSigned(b, data)
	p.must("--path", "from", "--quiet", "import", data)
	medium := p.folder("medium")
	for range b.N {
		var exported stick.Report
		p.report(&exported, "--path", "from", "export", medium)
		var ratios, rates []float64
		var anon int64
		for round := range rounds {
			verify := timeOf(func() { set.verifyAll(b) })
			home := fmt.Sprintf("to-%d", round)
			var peak int64
			elapsed := timeOf(func() { peak = p.watch("--path", home, "--quiet", "import", medium) })
			ratios = append(ratios, verify.Seconds()/elapsed.Seconds())
			rates = append(rates, float64(len(set.messages))/elapsed.Seconds())
			anon = max(anon, peak)
		}
		start := medianOf(11, func() { p.must("--path", "to-0", "--quiet", "whoami") })
		b.ReportMetric(median(ratios), "import/std-verify")
		b.ReportMetric(median(rates), "imported-msgs/s")
		b.ReportMetric(float64(exported.Messages)/exported.Seconds, "exported-msgs/s")
		b.ReportMetric(float64(exported.Bytes)/1e6, "bundle-MB")
		b.ReportMetric(float64(p.sizeOf("to-0/ssbsync/store.db"))/float64(set.raw), "store/raw")
		b.ReportMetric(float64(anon)/(1<<20), "peak-RssAnon-MiB")
		b.ReportMetric(start.Seconds()*1e3, "start-ms")
		b.ReportMetric(0, "ns/op")
		for round := range rounds {
			os.RemoveAll(filepath.Join(p.dir, fmt.Sprintf("to-%d", round)))
		}
	}
}

// largestData returns the largest data set there is.
func (p *programs) largestData() string {
	dir := os.Getenv("SSBSYNC_DATA")
	if dir == "" {
		return p.data
	}
	path := filepath.Join(dir, "fixtures-100k.jsonl.zst")
	if _, err := os.Stat(path); err != nil {
		p.t.Fatalf("SSBSYNC_DATA: %v", err)
	}
	return path
}

// signedSet is a data set ready for verifying its signatures.
type signedSet struct {
	messages []signed
	raw      int64 // bytes of all values as compact JSON
}

type signed struct {
	key  ed25519.PublicKey
	text []byte
	sig  []byte
}

// readSigned reads what was signed of every message of a data set.
func readSigned(b *testing.B, path string) *signedSet {
	b.Helper()
	file, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	plain, err := bundle.NewZstdReader(file)
	if err != nil {
		b.Fatal(err)
	}
	defer plain.Close()
	set := &signedSet{}
	lines := bufio.NewScanner(plain)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		set.add(b, lines.Bytes())
	}
	if lines.Err() != nil {
		b.Fatal(lines.Err())
	}
	return set
}

func (s *signedSet) add(b *testing.B, line []byte) {
	var kvt struct{ Value json.RawMessage }
	var fields struct {
		Author    refs.Feed
		Signature string
	}
	if err := json.Unmarshal(line, &kvt); err != nil {
		b.Fatal(err)
	}
	if err := json.Unmarshal(kvt.Value, &fields); err != nil {
		b.Fatal(err)
	}
	text, err := ecmajson.Indent(kvt.Value)
	if err != nil {
		b.Fatal(err)
	}
	cut := bytes.LastIndex(text, []byte(",\n  \"signature\""))
	sig, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(fields.Signature, ".sig.ed25519"))
	if err != nil || cut < 0 {
		b.Fatalf("message without signature: %.200s", line)
	}
	s.messages = append(s.messages, signed{fields.Author[:], append(bytes.Clone(text[:cut]), "\n}"...), sig})
	s.raw += int64(len(kvt.Value))
}

// verifyAll verifies every signature on all cores.
func (s *signedSet) verifyAll(b *testing.B) {
	workers := runtime.GOMAXPROCS(0)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(s.messages); i += workers {
				if m := &s.messages[i]; !ed25519.Verify(m.key, m.text, m.sig) {
					b.Errorf("message %d does not verify", i)
				}
			}
		})
	}
	wg.Wait()
}

// watch runs the program and returns the highest RssAnon it was seen with, in
// bytes; 0 where /proc does not tell.
func (p *programs) watch(args ...string) (peak int64) {
	cmd := p.command(args...)
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case err := <-done:
			if err != nil {
				p.t.Fatalf("%v: %v", args, err)
			}
			return peak
		case <-time.After(5 * time.Millisecond):
			peak = max(peak, rssAnon(cmd.Process.Pid))
		}
	}
}

// rssAnon returns the anonymous resident memory of a process, in bytes.
func rssAnon(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				return 0
			}
			return kb << 10
		}
	}
	return 0
}

func (p *programs) sizeOf(name string) int64 {
	info, err := os.Stat(filepath.Join(p.dir, name))
	if err != nil {
		p.t.Fatal(err)
	}
	return info.Size()
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

func medianOf(n int, f func()) time.Duration {
	var times []float64
	for range n {
		times = append(times, timeOf(f).Seconds())
	}
	return time.Duration(median(times) * float64(time.Second))
}
