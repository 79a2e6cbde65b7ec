package gossip_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/ingest"
)

// dataSet returns the messages of SSBSYNC_DATA/fixtures-100k.jsonl.zst, or of
// the small set in testdata.
func dataSet(t testing.TB) [][]byte {
	t.Helper()
	path := "../../testdata/fixtures-2k.jsonl.zst"
	if dir := os.Getenv("SSBSYNC_DATA"); dir != "" {
		path = filepath.Join(dir, "fixtures-100k.jsonl.zst")
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	plain, err := bundle.NewZstdReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var values [][]byte
	lines := bufio.NewScanner(plain)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var kvt struct{ Value json.RawMessage }
		if err := json.Unmarshal(lines.Bytes(), &kvt); err != nil {
			t.Fatal(err)
		}
		values = append(values, kvt.Value)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return values
}

// signed is one signature to verify.
type signed struct {
	key  ed25519.PublicKey
	text []byte
	sig  []byte
}

// signatures takes the signed text of each value apart.
func signatures(t testing.TB, values [][]byte) []signed {
	t.Helper()
	list := make([]signed, len(values))
	for i, value := range values {
		var buf bytes.Buffer
		if err := json.Indent(&buf, value, "", "  "); err != nil {
			t.Fatal(err)
		}
		text, rest, ok := bytes.Cut(buf.Bytes(), []byte(",\n  \"signature\": \""))
		if !ok {
			t.Fatal("a message without a signature")
		}
		sig, err := base64.StdEncoding.DecodeString(string(rest[:88]))
		if err != nil {
			t.Fatal(err)
		}
		view, err := message.Fields(value)
		if err != nil {
			t.Fatal(err)
		}
		list[i] = signed{ed25519.PublicKey(view.Feed[:]), append(slices.Clone(text), "\n}"...), sig}
	}
	return list
}

// verifyAll verifies all signatures on all cores and returns how long it took
// and how many were good.
func verifyAll(list []signed) (time.Duration, int64) {
	start := time.Now()
	var next, good atomic.Int64
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for {
				end := next.Add(64)
				begin := end - 64
				if begin >= int64(len(list)) {
					return
				}
				for _, s := range list[begin:min(end, int64(len(list)))] {
					if ed25519.Verify(s.key, s.text, s.sig) {
						good.Add(1)
					}
				}
			}
		})
	}
	group.Wait()
	return time.Since(start), good.Load()
}

// load puts the values into the store of a node.
func (nd *node) load(values [][]byte) {
	nd.t.Helper()
	intake := nd.ingest.Open(ingest.Source{Name: "data set"})
	for _, value := range values {
		if err := intake.Add(context.Background(), value); err != nil {
			nd.t.Fatal(err)
		}
	}
	sum, err := intake.Flush(context.Background())
	if err != nil || sum.New != int64(len(values)) {
		nd.t.Fatalf("loading: %d of %d, %v", sum.New, len(values), err)
	}
}

// authors returns the feeds of the values.
func authors(t testing.TB, s *store.Store) []refs.Feed {
	t.Helper()
	heads, err := s.Heads()
	if err != nil {
		t.Fatal(err)
	}
	var feeds []refs.Feed
	for _, h := range heads {
		feeds = append(feeds, h.Feed)
	}
	return feeds
}

// BenchmarkSync lets an empty node sync from a full one over loopback, both on
// the same cores, and compares with verifying alone: x is the ratio to it in
// time, and cpu-x in the processors' time, which other work on the machine does
// not distort. The larger the better.
func BenchmarkSync(b *testing.B) {
	values := dataSet(b)
	list := signatures(b, values)
	for _, proto := range []struct {
		name  string
		noEBT bool
	}{{"ebt", false}, {"history", true}} {
		b.Run(proto.name, func(b *testing.B) { benchSync(b, values, list, proto.noEBT) })
	}
}

func benchSync(b *testing.B, values [][]byte, list []signed, noEBT bool) {
	full := startNode(b, 1, options{noEBT: noEBT, policy: &policy{all: true, feeds: map[refs.Feed]bool{}}})
	full.load(values)
	feeds := authors(b, full.store)
	want, _ := full.store.Vector()
	var ratios, ofCPU, seconds []float64
	var peak int64
	for b.Loop() {
		b.StopTimer()
		empty := startNode(b, 2, options{policy: newPolicy(feeds...)})
		cpuBefore := cpuTime()
		alone, good := verifyAll(list)
		aloneCPU := cpuTime() - cpuBefore
		if good != int64(len(list)) {
			b.Fatalf("only %d signatures of %d are good", good, len(list))
		}
		base := heap()
		stop := make(chan struct{})
		var watch sync.WaitGroup
		watch.Go(func() { peak = max(peak, peakHeap(stop)-base) })
		b.StartTimer()
		cpuBefore = cpuTime()
		start := time.Now()
		empty.connect(full)
		for {
			have, err := empty.store.Vector()
			if err != nil {
				b.Fatal(err)
			}
			if have.Len() == want.Len() && empty.store.Last() == uint64(len(values)) {
				break
			}
			<-empty.store.Changed(empty.store.Last())
		}
		took, tookCPU := time.Since(start), cpuTime()-cpuBefore
		b.StopTimer()
		close(stop)
		watch.Wait()
		ratios = append(ratios, alone.Seconds()/took.Seconds())
		ofCPU = append(ofCPU, aloneCPU.Seconds()/tookCPU.Seconds())
		seconds = append(seconds, took.Seconds())
		empty.end()
		b.StartTimer()
	}
	slices.Sort(ratios)
	slices.Sort(seconds)
	slices.Sort(ofCPU)
	b.ReportMetric(ratios[len(ratios)/2], "x")
	b.ReportMetric(ofCPU[len(ofCPU)/2], "cpu-x")
	b.ReportMetric(float64(len(values))/seconds[len(seconds)/2], "msg/s")
	b.ReportMetric(float64(peak)/(1<<20), "peak-MiB-of-both")
}

// peakHeap returns the most memory that heap and stacks were seen to take until
// stop is closed.
func peakHeap(stop <-chan struct{}) (peak int64) {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	for {
		metrics.Read(samples)
		var sum int64
		for _, s := range samples {
			sum += int64(s.Value.Uint64())
		}
		peak = max(peak, sum)
		select {
		case <-ticker.C:
		case <-stop:
			return peak
		}
	}
}

// BenchmarkLive measures from the start of publishing to the commit at the
// other peer; that of every message of many.
func BenchmarkLive(b *testing.B) {
	x, y := startNode(b, 1, options{}), startNode(b, 2, options{policy: newPolicy(feedsOf(1)...)})
	y.connect(x)
	x.publish(`{"type":"post","text":"first"}`)
	waitFor(b, "the first message", func() bool { return y.head(x.id) == 1 })
	var took []time.Duration
	for b.Loop() {
		last := y.store.Last()
		start := time.Now()
		x.publish(`{"type":"post","text":"live"}`)
		<-y.store.Changed(last)
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-median")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms-p99")
}

// BenchmarkImportBesideLazyPeers compares an import alone with one beside peers
// that ask for all of it and read nothing: by how much it costs more of the
// processor's time, and lasts longer, in percent, as the median over rounds.
// Time on a machine with other work is noise of far more than that; the time of
// the processor is not. A round is an import alone, two beside, and one alone,
// so that what drifts cancels out.
func BenchmarkImportBesideLazyPeers(b *testing.B) {
	values := dataSet(b)
	var feeds []refs.Feed
	seen := make(map[refs.Feed]bool)
	for _, value := range values {
		if view, _ := message.Fields(value); !seen[view.Feed] {
			seen[view.Feed] = true
			feeds = append(feeds, view.Feed)
		}
	}
	importBesideLazy(b, values, feeds, 0) // warm up
	var cpu, wall []float64
	for b.Loop() {
		var alone, beside cost
		for i, lazy := range []int{0, 4, 4, 0} {
			c := importBesideLazy(b, values, feeds, lazy)
			if i == 0 || i == 3 {
				alone = alone.plus(c)
			} else {
				beside = beside.plus(c)
			}
		}
		cpu = append(cpu, 100*(beside.cpu.Seconds()/alone.cpu.Seconds()-1))
		wall = append(wall, 100*(beside.wall.Seconds()/alone.wall.Seconds()-1))
	}
	slices.Sort(cpu)
	slices.Sort(wall)
	b.ReportMetric(cpu[len(cpu)/2], "%more-cpu")
	b.ReportMetric(wall[len(wall)/2], "%more-time")
	b.ReportMetric(0, "ns/op")
}

// cost is what something took of the processors, and of time.
type cost struct{ cpu, wall time.Duration }

func (c cost) plus(d cost) cost { return cost{c.cpu + d.cpu, c.wall + d.wall} }

// importBesideLazy imports beside so many peers that ask for all of it and read
// nothing.
func importBesideLazy(b *testing.B, values [][]byte, feeds []refs.Feed, lazy int) cost {
	nd := startNode(b, 1, options{policy: &policy{all: true, feeds: map[refs.Feed]bool{}}})
	defer nd.end()
	for n := range lazy {
		p := newLazyPeer(b, nd, pair(700+n), feeds)
		defer p.Close()
	}
	waitFor(b, "the peers", func() bool { return len(nd.Peers()) == lazy })
	runtime.GC()
	cpu, start := cpuTime(), time.Now()
	nd.load(values)
	return cost{cpuTime() - cpu, time.Since(start)}
}
