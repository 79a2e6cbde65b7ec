package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/sync/node"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// fixtures is how many messages the small data set has.
const fixtures = 2000

// TestKilledImport interrupts and kills imports at random moments: the store
// must open and be whole, and the same import must complete it.
func TestKilledImport(t *testing.T) {
	p := newPrograms(t)
	random := rand.New(rand.NewPCG(1, 2))
	full := timeOf(func() { p.must("--path", "warm", "import", p.data) })
	var cut int
	for round := range killRounds {
		home := fmt.Sprintf("import-%d", round)
		if p.strike(random, full, signalOf(round), "--path", home, "--quiet", "import", p.data) {
			cut++
		}
		p.must("--path", home, "--quiet", "check")
		var report stick.Report
		p.report(&report, "--path", home, "--quiet", "import", p.data)
		if report.New+report.Duplicate != fixtures {
			t.Fatalf("round %d: import completed with %+v", round, report)
		}
		p.wantWhole(home)
		os.RemoveAll(filepath.Join(p.dir, home))
	}
	t.Logf("%d imports, %d of them cut short", killRounds, cut)
}

// TestKilledExport kills exports at random moments: whatever lies on the
// medium then, a reader takes no half file for a bundle, and the same export
// completes it.
func TestKilledExport(t *testing.T) {
	p := newPrograms(t)
	p.must("--path", "from", "import", p.data)
	random := rand.New(rand.NewPCG(3, 4))
	whole := p.folder("whole")
	full := timeOf(func() { p.must("--path", "from", "export", whole) })
	var cut int
	for round := range killRounds {
		medium := p.folder(fmt.Sprintf("stick-%d", round))
		if p.strike(random, full, os.Kill, "--path", "from", "--quiet", "export", medium) {
			cut++
		}
		p.wantNoHalfBundle(medium)
		p.must("--path", "from", "--quiet", "export", medium)
		home := fmt.Sprintf("to-%d", round)
		p.must("--path", home, "--quiet", "import", medium)
		p.wantWhole(home)
		os.RemoveAll(medium)
		os.RemoveAll(filepath.Join(p.dir, home))
	}
	p.must("--path", "from", "check")
	t.Logf("%d exports, %d of them cut short", killRounds, cut)
}

// signalOf alternates between the polite and the impolite.
func signalOf(round int) os.Signal {
	if round%2 == 0 && runtime.GOOS != "windows" {
		return os.Interrupt
	}
	return os.Kill
}

// strike starts the program, sends it the signal at a random moment of the
// time it needs, and reports whether that cut it short.
func (p *programs) strike(random *rand.Rand, full time.Duration, signal os.Signal, args ...string) bool {
	p.t.Helper()
	cmd := p.command(args...)
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	time.Sleep(time.Duration(random.Int64N(int64(full))))
	// It may have ended by itself.
	_ = cmd.Process.Signal(signal)
	err := cmd.Wait()
	if exit, ok := err.(*exec.ExitError); ok && exit.ExitCode() != exitInterrupted && exit.ExitCode() != -1 {
		p.t.Fatalf("%v: interrupted with exit code %d", args, exit.ExitCode())
	}
	return err != nil
}

// folder makes an empty folder.
func (p *programs) folder(name string) string {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.Mkdir(path, 0o755); err != nil {
		p.t.Fatal(err)
	}
	return path
}

// wantWhole checks that a home holds all messages of the data set and that
// its store is whole.
func (p *programs) wantWhole(home string) {
	p.t.Helper()
	p.must("--path", home, "--quiet", "check", "--signatures")
	var status node.Status
	p.report(&status, "--path", home, "status")
	if status.Messages != fixtures || status.Waiting.Messages != 0 || len(status.Forks) != 0 {
		p.t.Fatalf("home %s: %+v", home, status)
	}
}

// wantNoHalfBundle checks that every bundle on the medium is whole and that
// an import from it does not stumble.
func (p *programs) wantNoHalfBundle(medium string) {
	p.t.Helper()
	if r := p.run("verify", medium); r.code != 0 && !strings.Contains(r.stderr, "holds no bundles") {
		p.t.Fatalf("verify: exit code %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	home := filepath.Base(medium) + "-reader"
	r := p.run("--path", home, "--quiet", "import", medium)
	if r.code != 0 && !strings.Contains(r.stderr, "no ssbsync/stick.json") {
		p.t.Fatalf("import of what was left: exit code %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	p.must("--path", home, "--quiet", "check")
	os.RemoveAll(filepath.Join(p.dir, home))
}

func timeOf(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}
