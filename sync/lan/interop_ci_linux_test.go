//go:build ci && linux

package lan_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/multiserver"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/lan"
)

// TestMain lets the test binary be a peer that runs in another namespace.
func TestMain(m *testing.M) {
	if os.Getenv("LAN_TEST_PEER") == "" {
		os.Exit(m.Run())
	}
	if err := beAPeer(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// beAPeer announces 0.0.0.0:8008 and prints what it finds, until standard
// input ends.
func beAPeer() error {
	pair, err := keys.Generate(rand.Reader)
	if err != nil {
		return err
	}
	mainNetwork, err := base64.StdEncoding.DecodeString("1KHLiKZvAvjbY1ziZEHMXawbCEIM6qwjCDm3VYRan/s=")
	if err != nil {
		return err
	}
	fmt.Println(pair.Feed())
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer cancel()
		io.Copy(io.Discard, os.Stdin)
	}()
	lan.Run(ctx, lan.Config{
		Keys: pair, Network: [32]byte(mainNetwork),
		Addresses: func() []multiserver.Address {
			return []multiserver.Address{multiserver.Net("0.0.0.0", 8008, pair.Feed())}
		},
		Found: func(addr multiserver.Address, _ refs.Feed) { fmt.Println(addr) },
	})
	return nil
}

// TestJavaScriptPeers lets two of ours and the real ssb-local and ssb-lan find
// each other: one of ours on one machine, all others together on another one.
// The machines are network namespaces, which needs root.
func TestJavaScriptPeers(t *testing.T) {
	here, there := machines(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	near := here.run(t, "", self)
	far := there.run(t, "", self)
	classic := there.run(t, interop(t, "classic"), "node", "lan.js", there.ip, "9001")
	modern := there.run(t, interop(t, "modern"), "node", "lan.js", there.ip, "9002")

	address := func(p *process, m machine) string {
		if feed, err := refs.ParseFeed(p.first); err == nil {
			return multiserver.Net(m.ip, 8008, feed).String()
		}
		return p.first
	}
	for _, c := range []struct {
		name  string
		who   *process
		hears []string
	}{
		{"ours here", near, []string{address(far, there), address(classic, there), address(modern, there)}},
		{"ours there", far, []string{address(near, here), address(classic, there), address(modern, there)}},
		{"ssb-local", classic, []string{address(near, here), address(far, there)}},
		{"ssb-lan", modern, []string{address(near, here), address(far, there), "verified " + address(near, here), "verified " + address(far, there)}},
	} {
		for _, want := range c.hears {
			if !c.who.hears(want) {
				t.Errorf("%s does not hear %s, but\n%s", c.name, want, strings.Join(c.who.heard(), "\n"))
			}
		}
		t.Logf("%s hears %d peers", c.name, len(c.hears))
	}
}

// machine is a network namespace.
type machine struct{ name, ip string }

// machines makes two machines with one cable between them.
func machines(t *testing.T) (a, b machine) {
	t.Helper()
	a = machine{fmt.Sprintf("lan-a-%d", os.Getpid()), "10.77.0.1"}
	b = machine{fmt.Sprintf("lan-b-%d", os.Getpid()), "10.77.0.2"}
	ip := func(args ...string) {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v (this test needs root)\n%s", strings.Join(args, " "), err, out)
		}
	}
	for _, m := range []machine{a, b} {
		ip("netns", "add", m.name)
		t.Cleanup(func() { ip("netns", "del", m.name) })
	}
	ip("link", "add", "eth0", "netns", a.name, "type", "veth", "peer", "name", "eth0", "netns", b.name)
	for _, m := range []machine{a, b} {
		ip("-n", m.name, "addr", "add", m.ip+"/24", "brd", "+", "dev", "eth0")
		ip("-n", m.name, "link", "set", "eth0", "up")
		ip("-n", m.name, "route", "add", "default", "dev", "eth0")
	}
	return a, b
}

// process is a peer that prints what it hears.
type process struct {
	first string // line: who it is

	mu    sync.Mutex
	lines []string
}

// run starts a program on a machine, until the end of the test.
func (m machine) run(t *testing.T, dir, program string, args ...string) *process {
	t.Helper()
	cmd := exec.Command("ip", append([]string{"netns", "exec", m.name, program}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LAN_TEST_PEER=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatalf("%s said nothing", program)
	}
	p := &process{first: lines.Text()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.collect(lines)
	}()
	t.Cleanup(func() {
		in.Close()
		<-done
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", program, err)
		}
	})
	return p
}

func (p *process) collect(lines *bufio.Scanner) {
	for lines.Scan() {
		p.mu.Lock()
		p.lines = append(p.lines, lines.Text())
		p.mu.Unlock()
	}
}

func (p *process) heard() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.lines...)
}

// hears waits until a peer has printed a line.
func (p *process) hears(want string) bool {
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		for _, line := range p.heard() {
			if line == want {
				return true
			}
		}
	}
	return false
}

// interop is the folder of the other programs, whose packages `npm ci` has
// installed.
func interop(t *testing.T, stack string) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", "..", "testdata", "interop", stack))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
		t.Fatalf("the peers of other people are not installed (npm ci in %s): %v", dir, err)
	}
	return dir
}
