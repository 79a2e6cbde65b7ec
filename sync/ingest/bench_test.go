package ingest_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/ingest"
)

// signatures returns what the messages' signatures are over.
func signatures(b *testing.B, values [][]byte) []keys.Signed {
	var all []keys.Signed
	for _, v := range values {
		m, err := message.Verify(v, nil)
		if err != nil {
			b.Fatal(err)
		}
		text, err := ecmajson.Indent(v)
		if err != nil {
			b.Fatal(err)
		}
		end := bytes.LastIndex(text, []byte(",\n  \"signature\": "))
		s := keys.Signed{Feed: m.Feed(), Msg: append(slices.Clip(text[:end]), "\n}"...)}
		sig := strings.TrimSuffix(string(text[end+len(",\n  \"signature\": \""):]), ".sig.ed25519\"\n}")
		copy(s.Sig[:], decode(b, sig))
		all = append(all, s)
	}
	return all
}

func decode(b *testing.B, text string) []byte {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		b.Fatal(err)
	}
	return raw
}

// verifyOnly is the yardstick: crypto/ed25519 over bytes that are ready to be
// verified, on all cores.
func verifyOnly(b *testing.B, all []keys.Signed) time.Duration {
	begin := time.Now()
	var wg sync.WaitGroup
	n := runtime.GOMAXPROCS(0)
	for w := range n {
		wg.Go(func() {
			for i := w; i < len(all); i += n {
				if !ed25519.Verify(all[i].Feed[:], all[i].Msg, all[i].Sig[:]) {
					b.Error("signature does not verify")
				}
			}
		})
	}
	wg.Wait()
	return time.Since(begin)
}

// running is a pipeline on a new store on disk, which must hold so many
// messages in the end.
func running(b *testing.B, want *int) (in *ingest.Intake, end func()) {
	s, err := store.Open(filepath.Join(b.TempDir(), "store.db"), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	p := ingest.New(ingest.Config{Store: s})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- p.Run(ctx) }()
	return p.Open(ingest.Source{}), func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
		if got := s.Last(); got != uint64(*want) {
			b.Errorf("%d of %d messages stored", got, *want)
		}
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	}
}

// pass hands all values over and returns how long it took until all was
// durable.
func pass(b *testing.B, in *ingest.Intake, values [][]byte) time.Duration {
	begin := time.Now()
	add(b, in, values...)
	flush(b, in)
	return time.Since(begin)
}

// The whole way from lines in memory into a new store on disk, and the same
// again when the store has it all, both as multiples of the speed of
// verifyOnly, which takes its turns in between. By-cpu compares processor
// time instead, which other work on the machine disturbs less.
func BenchmarkImport(b *testing.B) {
	values := dataSet(b)
	total := len(values)
	all := signatures(b, values)
	var first, again, work []float64
	var took time.Duration
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		atFirst := cpuTime()
		yardstick := verifyOnly(b, all)
		in, end := running(b, &total)
		between := cpuTime()
		b.StartTimer()
		t := pass(b, in, values)
		b.StopTimer()
		took += t
		work = append(work, float64(between-atFirst)/float64(cpuTime()-between))
		again = append(again, yardstick.Seconds()/pass(b, in, values).Seconds())
		first = append(first, yardstick.Seconds()/t.Seconds())
		end()
		b.StartTimer()
	}
	b.ReportMetric(median(first), "x-std-verify-only")
	b.ReportMetric(median(work), "x-std-verify-only-by-cpu")
	b.ReportMetric(median(again), "x-std-verify-only-again")
	b.ReportMetric(float64(len(values)*b.N)/took.Seconds(), "messages/s")
}

// cpuTime returns the processor time that the process has used, in ticks of a
// hundredth of a second, 0 where that is not known. It is what counts on a
// machine that others use too.
func cpuTime() int {
	text, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')'):]))
	user, _ := strconv.Atoi(fields[12])
	system, _ := strconv.Atoi(fields[13])
	return user + system
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}

// rssAnon returns the anonymous memory of the process in bytes, 0 where that
// is not known.
func rssAnon() int {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kib, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			return kib << 10
		}
	}
	return 0
}

// One message at a time into a store that is otherwise idle, until it is
// durable.
func BenchmarkLive(b *testing.B) {
	values := feed(b, 1, 200)
	var in *ingest.Intake
	end := func() {}
	n := len(values)
	for b.Loop() {
		if n == len(values) {
			b.StopTimer()
			end()
			n = 0
			in, end = running(b, &n)
			b.StartTimer()
		}
		add(b, in, values[n])
		flush(b, in)
		n++
	}
	b.StopTimer()
	end()
}

// The data set as a stream from a file, so that the memory of the process is
// that of the pipeline and its store. Run it alone.
func BenchmarkMemory(b *testing.B) {
	path := filepath.Join(b.TempDir(), "values.jsonl")
	spool(b, path)
	for b.Loop() {
		var n int
		in, end := running(b, &n)
		peak := watchMemory()
		n = addLines(b, in, path)
		flush(b, in)
		b.ReportMetric(float64(peak())/(1<<20), "MiB-peak-RssAnon")
		end()
	}
}

// spool writes the data set into a file, and frees what that took.
func spool(b *testing.B, path string) {
	var text bytes.Buffer
	eachValue(b, func(value []byte) {
		text.Write(value)
		text.WriteByte('\n')
	})
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		b.Fatal(err)
	}
	text = bytes.Buffer{}
	debug.FreeOSMemory()
}

func addLines(b *testing.B, in *ingest.Intake, path string) (n int) {
	file, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); n++ {
		add(b, in, lines.Bytes())
	}
	return n
}

// watchMemory looks at rssAnon until the highest value is asked for.
func watchMemory() (peak func() int) {
	done, result := make(chan struct{}), make(chan int)
	go func() {
		highest := 0
		for tick := time.NewTicker(5 * time.Millisecond); ; {
			highest = max(highest, rssAnon())
			select {
			case <-tick.C:
			case <-done:
				tick.Stop()
				result <- highest
				return
			}
		}
	}()
	return func() int {
		close(done)
		return <-result
	}
}
