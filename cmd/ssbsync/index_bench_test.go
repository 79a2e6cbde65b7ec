package main

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkServerStore imports the largest data set through a running server,
// waits until its indexes have followed, and reports how large the store is:
// messages, their indexes, and what bbolt leaves free between them.
func BenchmarkServerStore(b *testing.B) {
	p := newPrograms(b)
	data := p.largestData()
	set := readSigned(b, data)
	for b.Loop() {
		home := filepath.Join(p.dir, "home")
		stop := p.serve(home)
		p.must("--path", home, "--quiet", "import", data)
		p.waitForIndexes(home)
		stop()
		b.ReportMetric(float64(p.sizeOf("home/ssbsync/store.db"))/float64(set.raw), "store/raw")
		if err := os.RemoveAll(home); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(0, "ns/op")
}

// serve runs a server until the function it returns is called, which waits for
// its end.
func (p *programs) serve(home string, args ...string) (stop func()) {
	p.t.Helper()
	server := p.startServer(os.Stderr, home, append([]string{"--log-level", "error"}, args...)...)
	return func() {
		server.Process.Signal(os.Interrupt)
		server.Wait()
	}
}

// startServer starts a server on loopback and returns when commands reach it.
func (p *programs) startServer(log io.Writer, home string, args ...string) *exec.Cmd {
	p.t.Helper()
	server := p.command(append([]string{"--path", home, "server", "--no-lan", "--host", "127.0.0.1", "--port", "0"}, args...)...)
	server.Stderr = log
	if err := server.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { server.Process.Kill() })
	if !filepath.IsAbs(home) {
		home = filepath.Join(p.dir, home)
	}
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Lstat(filepath.Join(home, "socket")); err == nil {
			return server
		}
		if time.Since(began) > time.Minute {
			p.t.Fatal("the server did not start")
		}
	}
}

// waitForIndexes returns when the indexes of a server have followed.
func (p *programs) waitForIndexes(home string) {
	p.t.Helper()
	for began := time.Now(); time.Since(began) < 5*time.Minute; time.Sleep(200 * time.Millisecond) {
		var progress struct {
			Indexes struct{ Current, Target int64 }
		}
		if err := json.Unmarshal([]byte(p.must("--path", home, "--json", "call", "progress")), &progress); err != nil {
			p.t.Fatal(err)
		}
		if progress.Indexes.Target > 0 && progress.Indexes.Current == progress.Indexes.Target {
			return
		}
	}
	p.t.Fatal("the indexes do not follow")
}
