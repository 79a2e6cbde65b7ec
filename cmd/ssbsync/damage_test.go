package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/sync/node"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// TestDamagedSticks walks a stick that met misfortune through the whole
// program: what is good must get in, what is not must be named, and an export
// by the node that wrote it must heal it.
func TestDamagedSticks(t *testing.T) {
	p := newPrograms(t)
	p.must("--path", "from", "--quiet", "import", p.data)
	whole := p.folder("whole")
	p.must("--path", "from", "--quiet", "export", whole)

	t.Run("flipped bit", func(t *testing.T) { p.with(t).flippedBit(whole) })
	t.Run("word of it", func(t *testing.T) { p.with(t).wordOfDamage(whole) })
	t.Run("cut", func(t *testing.T) { p.with(t).cut(whole) })
	t.Run("single file", func(t *testing.T) { p.with(t).singleFile(whole) })
	t.Run("junk beside it", func(t *testing.T) { p.with(t).junkBeside(whole) })
	t.Run("another network", func(t *testing.T) { p.with(t).anotherNetwork(whole) })
}

// with returns the same programs for a subtest.
func (p *programs) with(t testing.TB) *programs {
	q := *p
	q.t = t
	return &q
}

// flippedBit loses one frame of two.
func (p *programs) flippedBit(whole string) {
	medium := p.copyOf(whole)
	file := p.onlyBundle(medium)
	lost, kept := p.flipFrame(file, 0)

	r := p.want(exitPartly, "--path", "flip", "import", medium)
	contains(p.t, r.stderr, filepath.Base(file), "message frame 0", "is damaged", "lost ", lost.Feed.String(), "hint: leave word of the damage there", "export --check")
	lacks(p.t, r.stderr, "done only partly")
	p.must("--path", "flip", "check", "--signatures")
	var status node.Status
	p.report(&status, "--path", "flip", "status")
	if got := status.Messages + uint64(status.Waiting.Messages); got != uint64(kept) {
		p.t.Fatalf("%d messages of the other frame came in, want %d", got, kept)
	}
	contains(p.t, p.want(exitPartly, "verify", medium).stderr, "message frame 0", "messages lost")

	p.must("--path", "from", "export", "--check", medium)
	p.must("--path", "flip", "import", medium)
	p.wantWhole("flip")
	p.must("--path", "newcomer", "import", medium)
	p.wantWhole("newcomer")
}

// wordOfDamage lets a stranger leave word of the damage in its have: the node
// that wrote the bundle looks and heals it, without being told.
func (p *programs) wordOfDamage(whole string) {
	medium := p.copyOf(whole)
	p.flipFrame(p.onlyBundle(medium), 1)
	p.want(exitPartly, "--path", "word", "import", medium)
	p.want(exitPartly, "--path", "word", "sync", medium) // nobody healed it yet
	var report stick.Report
	p.report(&report, "--path", "from", "export", medium)
	if report.Messages == 0 || report.Messages == fixtures {
		p.t.Fatalf("written again: %+v", report)
	}
	p.must("--path", "word", "import", medium)
	p.wantWhole("word")
}

// cut shortens the bundle at several places.
func (p *programs) cut(whole string) {
	medium := p.copyOf(whole)
	file := p.onlyBundle(medium)
	data := p.read(file)
	for _, size := range []int{0, 7, 300, len(data) / 2, len(data) - 1} {
		p.write(file, data[:size])
		r := p.run("--path", "cut", "import", medium)
		// A lost last byte is one of the seek table: no message is missing.
		if want := exitPartly; size < len(data)-1 && (r.code != want || !strings.Contains(r.stderr, filepath.Base(file))) {
			p.t.Fatalf("cut to %d bytes: exit code %d\n%s%s", size, r.code, r.stdout, r.stderr)
		}
		p.must("--path", "cut", "check")
	}
	p.write(file, data[:len(data)/3])
	p.must("--path", "from", "export", medium)
	p.must("--path", "late", "import", medium)
	p.wantWhole("late")
}

// singleFile damages a bundle that travels alone.
func (p *programs) singleFile(whole string) {
	good := p.read(p.onlyBundle(whole))
	name := filepath.Join(p.dir, "alone.ssb.zst")

	first := bytes.Clone(good) // what tells a bundle from other files
	first[0] ^= 1
	p.write(name, first)
	p.must("--path", "alone", "import", name)
	p.wantWhole("alone")
	contains(p.t, p.want(exitPartly, "verify", name).stderr, "manifest at byte 0 is damaged")

	p.write(name, bytes.Repeat([]byte("junk"), 1000))
	contains(p.t, p.want(exitFailed, "--path", "alone", "import", name).stderr, "invalid bundle")
	p.write(name, nil)
	contains(p.t, p.want(exitFailed, "--path", "alone", "import", name).stderr, "nothing in it")

	cut := filepath.Join(p.dir, "cut.jsonl.zst")
	data := p.read(p.data)
	p.write(cut, data[:len(data)/2])
	r := p.want(exitPartly, "--path", "half", "import", cut)
	contains(p.t, r.stderr, "cut.jsonl.zst: cut short behind line ")
	contains(p.t, p.must("--path", "half", "--quiet", "check"), "ok: ")
	p.must("--path", "half", "import", p.data)
	p.wantWhole("half")
}

// junkBeside puts bundles beside the honest one that claim the same messages
// and hold something else.
func (p *programs) junkBeside(whole string) {
	medium := p.copyOf(whole)
	honest := p.onlyBundle(medium)
	for liar := range byte(3) {
		name, data := p.junk(p.open(p.read(honest)), liar)
		p.write(filepath.Join(medium, name), data)
	}
	r := p.run("--path", "lied-to", "import", medium)
	if r.code != exitDone && r.code != exitPartly { // the liars may be asked first
		p.t.Fatalf("exit code %d\n%s", r.code, r.stderr)
	}
	contains(p.t, r.stdout, "2,000 new")
	lacks(p.t, r.stdout+r.stderr, "waiting", "needs")
	p.wantWhole("lied-to")

	if err := os.Remove(honest); err != nil {
		p.t.Fatal(err)
	}
	r = p.want(exitPartly, "--path", "liars-only", "import", medium)
	contains(p.t, r.stdout, "(0 new, ", " rejected)")
	contains(p.t, r.stderr, bundleSuffix+" frame 1: ", "more messages were rejected")
	p.must("--path", "liars-only", "check")
}

// junk makes a bundle that claims what the first frame of another one holds.
func (p *programs) junk(like *bundle.Reader, liar byte) (name string, data []byte) {
	p.t.Helper()
	w := bundle.NewWriter(keys.FromSeed([32]byte{liar}), bundle.Header{Network: like.Manifest().Network}, bundle.WriterOptions{})
	for _, run := range like.Runs(0) {
		for seq := int64(run.First); seq <= int64(run.Last); seq++ {
			if err := w.Add(bundle.Record{Feed: run.Feed, Seq: seq, Value: fmt.Appendf(nil, `{"junk":%d}`, liar)}); err != nil {
				p.t.Fatal(err)
			}
		}
	}
	var b bytes.Buffer
	m, err := w.Finish(&b)
	if err != nil {
		p.t.Fatal(err)
	}
	return filepath.Join("ssbsync", "bundles", m.Name()[:2], m.Name()+bundleSuffix), b.Bytes()
}

// anotherNetwork reads a stick of the main network in a home of a closed one.
func (p *programs) anotherNetwork(whole string) {
	p.write(filepath.Join(p.dir, "closed", "config"), []byte(`{"caps":{"shs":"`+strings.Repeat("A", 43)+`="}}`))
	r := p.want(exitFailed, "--path", "closed", "import", whole)
	contains(p.t, r.stderr, "every bundle there is of another network")
	r = p.want(exitFailed, "--path", "closed", "import", p.onlyBundle(whole))
	contains(p.t, r.stderr, "of another network")
	var status node.Status
	p.report(&status, "--path", "closed", "status")
	if status.Messages != 0 {
		p.t.Fatalf("%d messages crossed the border", status.Messages)
	}
	// Both networks may share a stick.
	shared := p.copyOf(whole)
	p.must("--path", "closed", "publish", "--type", "post", "--text", "here only")
	p.must("--path", "closed", "export", shared)
	var report stick.Report
	p.report(&report, "--path", "main", "import", shared)
	if report.New != fixtures || report.Rejected != 0 {
		p.t.Fatalf("from a shared stick: %+v", report)
	}
}

// flipFrame flips a bit in a message frame, and returns its first run and the
// number of messages in the other frames.
func (p *programs) flipFrame(file string, frame int) (lost bundle.Run, kept int) {
	p.t.Helper()
	data := p.read(file)
	r := p.open(data)
	if r.MessageFrames() < 2 {
		p.t.Fatalf("%d message frames: too few to lose one", r.MessageFrames())
	}
	at := 8 + len(r.Manifest().Marshal()) + 64 // behind the manifest's frame
	for i, f := range r.Manifest().Frames {
		if i == frame+1 { // the first one is the range table
			data[at+int(f.Stored)/2] ^= 4
		}
		at += int(f.Stored)
	}
	p.write(file, data)
	kept = int(r.Manifest().Messages)
	for _, run := range r.Runs(frame) {
		kept -= run.Len()
	}
	return r.Runs(frame)[0], kept
}

func (p *programs) open(data []byte) *bundle.Reader {
	p.t.Helper()
	r, err := bundle.Open(bytes.NewReader(data), int64(len(data)), bundle.Limits{})
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

// onlyBundle returns the path of the only bundle on a medium.
func (p *programs) onlyBundle(medium string) string {
	p.t.Helper()
	names, err := filepath.Glob(filepath.Join(medium, "ssbsync", "bundles", "*", "*"+bundleSuffix))
	if err != nil || len(names) != 1 {
		p.t.Fatalf("bundles on %s: %q, %v", medium, names, err)
	}
	return names[0]
}

// copyOf copies a medium.
func (p *programs) copyOf(medium string) string {
	p.t.Helper()
	dir, err := os.MkdirTemp(p.dir, "copy-")
	if err == nil {
		err = errors.Join(os.Chmod(dir, 0o755), os.CopyFS(dir, os.DirFS(medium)))
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return dir
}

func (p *programs) read(name string) []byte {
	p.t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		p.t.Fatal(err)
	}
	return data
}

// write writes a file and the folders above it.
func (p *programs) write(name string, data []byte) {
	p.t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, data, 0o644)); err != nil {
		p.t.Fatal(err)
	}
}

// want runs the program, which must end with the given exit code.
func (p *programs) want(code int, args ...string) result {
	p.t.Helper()
	r := p.run(args...)
	if r.code != code {
		p.t.Fatalf("%v: exit code %d, want %d\n%s%s", args, r.code, code, r.stdout, r.stderr)
	}
	return r
}

// contains checks that a text has all parts.
func contains(t testing.TB, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Fatalf("%q is missing in:\n%s", part, text)
		}
	}
}

// lacks checks that a text has none of the parts.
func lacks(t testing.TB, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if strings.Contains(text, part) {
			t.Fatalf("%q does not belong in:\n%s", part, text)
		}
	}
}
