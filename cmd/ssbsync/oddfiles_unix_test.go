//go:build unix

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/sync/stick"
)

// TestOddFiles puts onto a stick what a program that trusts names would follow
// out of it, wait for, or read for ever.
func TestOddFiles(t *testing.T) {
	p := newPrograms(t)
	p.must("--path", "from", "--quiet", "import", p.data)
	p.must("--path", "from", "publish", "--type", "post", "--text", "only outside")
	outside := p.folder("outside")
	p.must("--path", "from", "--quiet", "export", outside)
	medium := p.folder("medium")
	p.must("--path", "from", "--quiet", "export", "--feed", p.author(p.lines()), medium)

	var whole stick.Report
	p.report(&whole, "--path", "before", "import", medium)
	link := p.litter(medium, p.onlyBundle(outside))

	within(t, 2*time.Minute, func() {
		r := p.want(exitPartly, "--path", "a", "import", medium)
		contains(t, r.stderr, "not read: not a regular file", link+": not read: not a directory")
		contains(t, p.must("--path", "a", "check"), "ok: "+plural(whole.New, "message"))
		p.want(exitPartly, "--path", "a", "sync", medium)
		p.want(exitPartly, "--path", "a", "export", medium)
		contains(t, p.run("verify", medium).stdout, ": ok")
	})
}

// litter puts odd files beside the bundle of a medium, and returns the name of
// a folder of bundles that is a link.
func (p *programs) litter(medium, outside string) string {
	p.t.Helper()
	good := p.onlyBundle(medium)
	shard, base := filepath.Dir(good), filepath.Base(good)
	others := strings.ReplaceAll("23456", base[25:26], "") // last characters of other names
	sibling := func(n int) string { return filepath.Join(shard, base[:25]+others[n:n+1]+bundleSuffix) }
	top := filepath.Join(medium, "ssbsync")
	folders := slices.DeleteFunc([]string{"xx", "yy", "zz"}, func(name string) bool { return name == filepath.Base(shard) })
	for _, err := range []error{
		os.Symlink(outside, sibling(0)),
		os.Symlink("../../../../outside/ssbsync/stick.json", sibling(1)),
		syscall.Mkfifo(sibling(2), 0o666),
		os.Mkdir(sibling(3), 0o777),
		os.Symlink(filepath.Dir(outside), filepath.Join(top, "bundles", folders[0])),
		syscall.Mkfifo(filepath.Join(top, "bundles", folders[1]), 0o666),
		os.Symlink("..", filepath.Join(top, "have", "..have")),
		syscall.Mkfifo(filepath.Join(top, "have", strings.Repeat("ab", 16)+"-1.have"), 0o666),
	} {
		if err != nil {
			p.t.Fatal(err)
		}
	}
	for _, name := range []string{`..\..\x.ssb.zst`, "..ssb.zst", "...", "%2e%2e%2fx.ssb.zst", "CON.ssb.zst", strings.ToUpper(base)} {
		p.write(filepath.Join(shard, name), []byte("junk"))
	}
	return folders[0]
}

// TestOddNames puts files onto a stick whose names command the terminal of who
// prints them.
func TestOddNames(t *testing.T) {
	p := newPrograms(t)
	p.must("--path", "from", "--quiet", "import", p.data)
	medium := p.folder("medium")
	p.must("--path", "from", "--quiet", "export", medium)
	shard := filepath.Dir(p.onlyBundle(medium))
	good := p.read(p.onlyBundle(medium))
	odd := "a\x1b[31m\nssbsync: b"
	p.write(filepath.Join(shard, odd+".ssb.zst"), []byte("junk"))
	loose := filepath.Join(medium, odd+".ssb.zst")
	p.write(loose, good)
	p.flipFrame(loose, 0)
	p.write(filepath.Join(medium, odd+".jsonl"), []byte("junk"))

	quoted := `a\x1b[31m\nssbsync: b`
	for _, args := range [][]string{{"import", loose}, {"verify", medium}, {"inspect", medium}, {"cat", medium}} {
		r := p.run(append([]string{"--path", "to"}, args...)...)
		contains(t, r.stderr, quoted)
		lacks(t, r.stdout+r.stderr, "\x1b", "\nssbsync: b")
	}
	contains(t, p.run("inspect", medium).stdout, quoted)
	lacks(t, p.want(exitPartly, "--path", "to", "import", filepath.Join(medium, odd+".jsonl")).stderr, "\x1b")
	lacks(t, p.want(exitFailed, "--path", "to", "import", filepath.Join(medium, odd)).stderr, "\x1b")
}

// TestNotFiles names things as sources and destinations that are neither
// files nor folders.
func TestNotFiles(t *testing.T) {
	p := newPrograms(t)
	pipe := filepath.Join(p.dir, "pipe.ssb.zst")
	if err := syscall.Mkfifo(pipe, 0o666); err != nil {
		t.Fatal(err)
	}
	within(t, 2*time.Minute, func() {
		for _, source := range []string{pipe, "/dev/null", "/dev/zero"} {
			contains(t, p.want(exitFailed, "--path", "a", "import", source).stderr, "neither a folder nor a regular file")
			contains(t, p.want(exitFailed, "verify", source).stderr, "not a regular file")
		}
		contains(t, p.want(exitFailed, "--path", "a", "export", pipe).stderr, "is there already")
		contains(t, p.want(exitUsage, "--path", "a", "export", "/dev/null").stderr, "is not a folder")

		linked := p.folder("linked")
		if err := os.Symlink(p.folder("real"), filepath.Join(linked, "ssbsync")); err != nil {
			t.Fatal(err)
		}
		for _, command := range []string{"import", "export", "sync"} {
			contains(t, p.want(exitFailed, "--path", "a", command, linked).stderr, "ssbsync is not a directory")
		}
	})
}

// within fails when f takes longer: something waits for ever.
func within(t testing.TB, limit time.Duration, f func()) {
	t.Helper()
	start := time.Now()
	f()
	if d := time.Since(start); d > limit {
		t.Errorf("took %v", d)
	}
}
