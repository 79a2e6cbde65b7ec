//go:build ci && unix

package main

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestCompactingServerKilled kills a server at random moments while it compacts
// its store again and again and apps publish: the store is whole, has every
// message that an app was told is published, and nothing lies beside it.
func TestCompactingServerKilled(t *testing.T) {
	p := newPrograms(t)
	p.write(filepath.Join(p.folder("node"), "config"), []byte(`{}`))
	p.must("--path", "node", "--quiet", "import", p.data)
	var keys []string
	for round := range 25 {
		os.Remove(filepath.Join(p.dir, "node", "socket")) // of the one that was killed
		server := p.startServer(os.Stderr, "node", "--no-lan", "--log-level", "error")
		apps := publishing(t, filepath.Join(p.dir, "node"), 3)
		<-apps.enough
		compacting := compactAgain(p)
		time.Sleep(rand.N(400 * time.Millisecond)) // wherever it hits
		if err := server.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		server.Wait()
		keys = append(keys, apps.wait()...)
		compacting()
		p.must("--path", "node", "--quiet", "check", "--signatures")
		if left, _ := filepath.Glob(filepath.Join(p.dir, "node/ssbsync/store.db?*")); len(left) > 0 {
			t.Errorf("round %d: left beside the store: %q", round, left)
		}
	}
	stored := p.must("--path", "node", "--json", "call", "createLogStream", `{"values":false}`)
	for _, key := range keys {
		if !strings.Contains(stored, key) {
			t.Errorf("%s was acknowledged and is gone", key)
		}
	}
	t.Logf("%d messages were acknowledged", len(keys))
}

// compactAgain compacts again and again until the function that it returns is
// called.
func compactAgain(p *programs) (stop func()) {
	var ended atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !ended.Load() {
			_ = p.command("--path", "node", "compact").Run() // the server may be gone
		}
	}()
	return func() {
		ended.Store(true)
		<-done
	}
}
