package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// made makes a small data set.
func made(t *testing.T, messages, feeds int, seed uint64) []byte {
	t.Helper()
	var set bytes.Buffer
	if err := generate(context.Background(), &set, messages, feeds, seed, func(int) {}); err != nil {
		t.Fatal(err)
	}
	return set.Bytes()
}

// TestGenerate makes data sets: every message is valid and the next one of its
// feed, and the same seed makes the same bytes, however many cores there are.
func TestGenerate(t *testing.T) {
	const messages, feeds = 2100, 40
	set := made(t, messages, feeds, 7)
	heads := map[refs.Feed]message.Head{}
	n := 0
	for lines := bufio.NewScanner(bytes.NewReader(set)); lines.Scan(); n++ {
		m, err := message.Verify(ecmajson.Get(lines.Bytes(), "value"), nil)
		if err != nil {
			t.Fatal(err)
		}
		head := heads[m.Feed()]
		head.Feed = m.Feed()
		if heads[m.Feed()], err = head.Next(m); err != nil {
			t.Fatal(err)
		}
	}
	if n != messages || len(heads) != feeds {
		t.Errorf("%d messages of %d feeds", n, len(heads))
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if again := made(t, messages, feeds, 7); !bytes.Equal(again, set) {
		t.Error("the same seed made another set")
	}
	const want = "7ff980cb3b4d73b8ff38c37e019fe336b8643b50157cf042549ccb02837c6a14"
	if sum := fmt.Sprintf("%x", sha256.Sum256(set)); sum != want {
		t.Errorf("the set is not what it was: its SHA-256 is %s", sum)
	}
	if other := made(t, 100, 40, 8); bytes.HasPrefix(set, other) {
		t.Error("another seed made the same set")
	}
	t.Logf("%d messages of %d feeds, %d bytes", messages, feeds, len(set))
}

func TestGenerateRefuses(t *testing.T) {
	for _, c := range [][2]int{{3, 4}, {0, 0}, {5, 0}, {5, -1}} {
		if err := generate(context.Background(), io.Discard, c[0], c[1], 1, func(int) {}); err == nil {
			t.Errorf("%d messages of %d feeds were made", c[0], c[1])
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := generate(ctx, io.Discard, 10, 2, 1, func(int) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

// TestReadData reads a set, compressed and plain, and verifies it.
func TestReadData(t *testing.T) {
	path := filepath.Join(t.TempDir(), "set.jsonl")
	if err := os.WriteFile(path, made(t, 300, 10, 1), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path     string
		messages int64
		feeds    int
	}{{path, 300, 10}, {filepath.Join("..", "..", "testdata", "fixtures-2k.jsonl.zst"), 2000, 50}} {
		var lines, values bytes.Buffer
		set, err := readData(context.Background(), c.path, &lines, &values)
		if err != nil {
			t.Fatal(err)
		}
		if set.messages != c.messages || len(set.authors) != c.feeds || set.ofOne < c.messages/int64(c.feeds) || set.raw+c.messages != int64(values.Len()) {
			t.Errorf("%s: %d messages of %d feeds, %d of %s, %d bytes of %d", c.path, set.messages, len(set.authors), set.ofOne, set.longest, set.raw, values.Len())
		}
		if n := int64(bytes.Count(lines.Bytes(), []byte("\n"))); n != c.messages {
			t.Errorf("%s: %d lines", c.path, n)
		}
		if u, err := set.verify(context.Background()); err != nil || u.wall <= 0 {
			t.Errorf("%s: verified in %v: %v", c.path, u.wall, err)
		}
		set.sample[3].sig[5] ^= 1
		if _, err := set.verify(context.Background()); err == nil {
			t.Errorf("%s: a bad signature passed", c.path)
		}
	}
}

func TestReadDataRefuses(t *testing.T) {
	for _, text := range []string{"", "\n\n", "x\n", "{}\n", `{"value":7}` + "\n", `{"value":{"author":"@x"}}` + "\n"} {
		path := filepath.Join(t.TempDir(), "set.jsonl")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readData(context.Background(), path, io.Discard, io.Discard); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}

// helper is set in the environment of this test's own process when it plays a
// program that is measured.
const helper = "SSBSYNC_BENCH_HELPER"

func TestMain(m *testing.M) {
	switch os.Getenv(helper) {
	case "work":
		hold := make([]byte, 64<<20)
		for i := range hold {
			hold[i] = byte(i)
		}
		for began := ownCPU(); ownCPU()-began < 100*time.Millisecond; {
			hold[int(began)%len(hold)]++
		}
		fmt.Println("one\ntwo")
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	case "fail":
		fmt.Fprintln(os.Stderr, "this is why")
		os.Exit(3)
	}
	os.Exit(m.Run())
}

// TestProcess measures a program.
func TestProcess(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Logf("not on %s: only there the system tells what is compared here", runtime.GOOS)
		return
	}
	b := &bench{ctx: context.Background(), dir: t.TempDir()}
	t.Setenv(helper, "work")
	lines := &firstLine{done: make(chan struct{})}
	p, err := b.start(lines, b.dir, os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	<-lines.done // it has done its work, and waits for the end of its input
	if string(lines.line) != "one\n" {
		t.Errorf("the first line is %q", lines.line)
	}
	if cpu := cpuOf(p.cmd.Process.Pid); cpu < 50*time.Millisecond {
		t.Errorf("%v of CPU so far", cpu)
	}
	for p.peak.Load() < 64<<20 {
		time.Sleep(time.Millisecond)
	}
	p.input.Close()
	u, err := p.wait()
	if err != nil || u.cpu < 100*time.Millisecond || u.wall < u.cpu/time.Duration(runtime.NumCPU()) || u.anon < 64<<20 {
		t.Errorf("%+v: %v", u, err)
	}
	t.Setenv(helper, "fail")
	if _, err := b.run(io.Discard, b.dir, os.Args[0]); err == nil || !strings.Contains(err.Error(), "this is why") {
		t.Errorf("a program that fails: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Setenv(helper, "work")
	b.ctx = ctx
	if p, err = b.start(io.Discard, b.dir, os.Args[0]); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := p.wait(); err == nil {
		t.Error("an interrupted program ended well")
	}
}

// example is a run whose figures are known.
func example() *bench {
	b := &bench{set: &dataSet{messages: 100_000, raw: 80_000_000, authors: make([]string, 1000)}, codecs: []string{"jsonl"}, programs: []string{"ssb-server 16.0.1", "<other>"}}
	b.options.rounds = 5
	b.verified = usage{wall: 4 * time.Second, cpu: 8 * time.Second}
	b.add(rowLines, measure{usage: usage{2 * time.Second, 3500 * time.Millisecond, 90 << 20}, messages: 100_000, ofWall: 2, ofCPU: 2.2857})
	b.add(rowBundle+"jsonl", measure{usage: usage{1250 * time.Millisecond, 2 * time.Second, 100 << 20}, messages: 100_000, ofWall: 3.2, ofCPU: 4})
	b.add(rowStart, measure{usage: usage{24 * time.Millisecond, 20 * time.Millisecond, 9 << 20}})
	b.beside(rowLines, "ssb-server 16.0.1", measure{usage: usage{100 * time.Second, 110 * time.Second, 400 << 20}, messages: 100_000})
	b.beside(rowStore, "ssb-server 16.0.1", measure{bytes: 200_000_000})
	b.sizes = []size{{"bundle, codec jsonl", 32_000_000, usage{cpu: time.Second}}, {"zstd -19 of the values", 30_000_000, usage{cpu: 40 * time.Second}}}
	return b
}

func TestPrint(t *testing.T) {
	var out strings.Builder
	example().print(&out)
	text := out.String()
	for _, want := range []string{
		"100,000 messages of 1,000 feeds, 80.00 MB of JSON, median of 5 rounds",
		"25,000 signatures/s, 80.0 µs of CPU each",
		"80,000/s | 20.0 µs |              3.20 |   4.00 | 100 MiB |",
		" 1,000/s, 1.10 ms, 400 MiB |",
		"24 ms |",
		"200.00 MB, 2.50 × raw",
		"32.00 MB |        40.0 % |",
		"1.07 |",
		"80 MB/s |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	for _, table := range strings.Split(text, "\n\n")[1:] {
		var width int
		for i, line := range strings.Split(strings.TrimSpace(table), "\n") {
			if n := len([]rune(line)); i == 0 {
				width = n
			} else if n != width {
				t.Errorf("line %d is %d wide and not %d: %s", i, n, width, line)
			}
		}
	}
}

// TestDrawing checks that the drawing is well-formed and says everything.
func TestDrawing(t *testing.T) {
	b := example()
	path := filepath.Join(t.TempDir(), "bench.svg")
	if err := b.draw(path); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	bars := 0
	for decoder := xml.NewDecoder(bytes.NewReader(file)); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "rect" {
			bars++
		}
	}
	if bars != 3+3 {
		t.Errorf("%d bars", bars)
	}
	for _, want := range []string{"ssbsync, bundle (jsonl)", "50,000", "ssb-server 16.0.1", "zstd -19", "prefers-color-scheme:dark"} {
		if !bytes.Contains(file, []byte(want)) {
			t.Errorf("%q is missing in the drawing", want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for got, want := range map[string]string{
		count(0.4): "0", count(999.6): "1,000", count(12_345): "12,300", count(123_456): "123,000", count(1_234_567): "1,235,000",
		duration(1500 * time.Millisecond): "1500 ms", duration(12 * time.Second): "12.0 s", duration(0): "",
		perMessage(time.Second, 0): "1000 ms", perMessage(time.Second, 100_000): "10.0 µs",
		megabytes(31_170_000): "31.17 MB", mebibytes(0): "", against(5, 0): "", times(0): "",
	} {
		if got != want {
			t.Errorf("%q instead of %q", got, want)
		}
	}
	if m := median([]float64{9, 1, 5}); m != 5 {
		t.Errorf("the median is %v", m)
	}
	if r := ratio(0, time.Second); r != 0 {
		t.Errorf("unknown in ratio to a second is %v", r)
	}
}

func TestOptions(t *testing.T) {
	for _, args := range [][]string{{"file"}, {"--rounds", "0"}, {"--keep", "x"}, {"--nonesuch"}, {"--only", "nonesuch"}} {
		if _, err := parse(args, io.Discard); err == nil {
			t.Errorf("%q was taken", args)
		}
	}
	o, err := parse([]string{"--messages", "5", "--only", "import,read"}, io.Discard)
	if err != nil || o.messages != 5 || !(&bench{options: o}).wants("read") || (&bench{options: o}).wants("sizes") {
		t.Errorf("%+v: %v", o, err)
	}
}
