//go:build ci

package main

import (
	"bufio"
	"maps"
	"math/rand/v2"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// killedReplications is how often one of two replicating servers is killed.
const killedReplications = 100

// TestKilledReplication lets two servers replicate and kills one of them at a
// random moment, again and again: both stores must stay whole, and in the end
// both must hold everything.
func TestKilledReplication(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	settings := map[string]any{"ssbsync": map[string]any{"replicate": "all"}}
	full := newMachine(t, settings)
	full.cli("import", newPrograms(t).data)
	var empty *machine
	cut := 0
	for round := range killedReplications {
		if round%5 == 0 { // a fresh one, so that there is always much to come
			empty = newMachine(t, settings)
		}
		full.cli("publish", "--type", "post", "--text", "one more")
		a, b := full.start(), empty.start()
		b.cli("connect", a.address)
		time.Sleep(time.Duration(random.Int64N(int64(400 * time.Millisecond))))
		victim, other := a, b
		if round%2 == 0 {
			victim, other = b, a
		}
		victim.end(syscall.SIGKILL)
		other.end(syscall.SIGTERM)
		full.cli("check")
		empty.cli("check")
		if len(empty.clock()) > 0 && !maps.Equal(empty.clock(), full.clock()) {
			cut++
		}
	}
	a, b := full.start(), empty.start()
	b.cli("connect", a.address)
	eventually(t, "after the last kill", full.clock(), empty.clock)
	b.end(syscall.SIGTERM)
	a.end(syscall.SIGTERM)
	empty.cli("check", "--signatures")
	t.Logf("%d kills, %d in the middle", killedReplications, cut)
}

// process is a server of ours that a test ends by itself.
type process struct {
	*machine
	cmd     *exec.Cmd
	address string
}

// start starts our server.
func (m *machine) start() *process {
	m.t.Helper()
	cmd := m.command(m.home, newPrograms(m.t).path, "server")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { cmd.Process.Kill() })
	p := &process{machine: m, cmd: cmd}
	lines := bufio.NewScanner(stderr)
	for p.address == "" && lines.Scan() {
		if _, after, ok := strings.Cut(lines.Text(), `address="net:`); ok {
			p.address = "net:" + strings.TrimSuffix(after, `"`)
		}
	}
	if p.address == "" {
		m.t.Fatal("our server did not start")
	}
	go func() {
		for lines.Scan() {
		}
	}()
	return p
}

// end sends the server a signal and waits for its end, which must be clean
// unless it was killed.
func (p *process) end(signal syscall.Signal) {
	p.t.Helper()
	p.cmd.Process.Signal(signal)
	if err := p.cmd.Wait(); err != nil && signal != syscall.SIGKILL {
		p.t.Fatalf("our server ended by %v: %v", signal, err)
	}
}
