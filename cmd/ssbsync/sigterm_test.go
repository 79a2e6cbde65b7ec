//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/ssbsync/ssbsync/sync/node"
)

// TestTerminatedUnderLoad ends a server by SIGTERM while it takes in a peer's
// messages and several apps publish: it ends with exit code 0, its store is
// whole, and has every message that an app was told is published.
func TestTerminatedUnderLoad(t *testing.T) {
	p := newPrograms(t)
	everything := []byte(`{"ssbsync":{"replicate":"all"}}`)
	p.write(filepath.Join(p.folder("full"), "config"), everything)
	p.must("--path", "full", "--quiet", "import", p.data)
	full := p.startServer(os.Stderr, "full", "--log-level", "error")
	address := p.addressOf("full")
	total := 0
	for round := range min((killRounds+1)/2, 25) {
		home := fmt.Sprintf("term-%d", round)
		p.write(filepath.Join(p.folder(home), "config"), everything)
		server := p.startServer(os.Stderr, home, "--log-level", "error")
		apps := publishing(t, filepath.Join(p.dir, home), 6)
		p.must("--path", home, "--quiet", "connect", address)
		<-apps.enough
		server.Process.Signal(syscall.SIGTERM)
		if err := server.Wait(); err != nil {
			t.Fatalf("round %d: the server ended with %v", round, err)
		}
		acknowledged := apps.wait()
		p.must("--path", home, "--quiet", "check", "--signatures")
		stored := p.must("--path", home, "--json", "call", "createLogStream", `{"values":false}`)
		for _, key := range acknowledged {
			if !strings.Contains(stored, key) {
				t.Errorf("round %d: %s was acknowledged and is gone", round, key)
			}
		}
		total += len(acknowledged)
	}
	full.Process.Signal(syscall.SIGTERM)
	if err := full.Wait(); err != nil {
		t.Error(err)
	}
	t.Logf("%d messages were acknowledged before or while the servers ended", total)
}

// addressOf returns the TCP address of a server.
func (p *programs) addressOf(home string) string {
	p.t.Helper()
	var all string
	if err := json.Unmarshal([]byte(p.must("--path", home, "--json", "call", "address", `"device"`)), &all); err != nil {
		p.t.Fatal(err)
	}
	address, _, _ := strings.Cut(all, ";")
	return address
}

// apps publish until their server ends.
type apps struct {
	enough chan struct{} // closed when some were acknowledged
	group  sync.WaitGroup
	count  atomic.Int64

	mu   sync.Mutex
	keys []string
}

// publishing lets some apps publish as fast as they can.
func publishing(t *testing.T, home string, n int) *apps {
	t.Helper()
	a := &apps{enough: make(chan struct{})}
	for i := range n {
		session, err := node.Dial(context.Background(), home)
		if err != nil {
			t.Fatal(err)
		}
		a.group.Go(func() {
			defer session.Close()
			for k := 0; ; k++ {
				answer, err := session.Async(context.Background(), "publish", map[string]any{"type": "post", "app": i, "n": k})
				if err != nil {
					return // the server has ended
				}
				a.acknowledge(t, answer)
			}
		})
	}
	return a
}

func (a *apps) acknowledge(t *testing.T, answer json.RawMessage) {
	var msg struct{ Key string }
	if err := json.Unmarshal(answer, &msg); err != nil || msg.Key == "" {
		t.Errorf("publish answered %.100s: %v", answer, err)
	}
	a.mu.Lock()
	a.keys = append(a.keys, msg.Key)
	a.mu.Unlock()
	if a.count.Add(1) == 60 {
		close(a.enough)
	}
}

// wait returns the ids of what was acknowledged, once all apps have ended.
func (a *apps) wait() []string {
	a.group.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.keys
}
