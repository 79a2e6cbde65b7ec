//go:build ci

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// interop is the folder of the other programs, whose packages `npm ci` has
// installed: without them these tests fail.
func interop(t testing.TB, stack string) string {
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

// machine is a user's home directory on a machine of their own, with the home
// folder .ssb in it and a port.
type machine struct {
	t    testing.TB
	home string // $HOME
	port int
	net  string // the network namespace it is in, "" for that of the test
}

// newMachine makes a machine. Settings are added to its config.
func newMachine(t testing.TB, settings map[string]any) *machine {
	t.Helper()
	m := &machine{t: t, home: t.TempDir(), port: freePort(t)}
	if err := os.Mkdir(m.path(), 0o700); err != nil {
		t.Fatal(err)
	}
	config := map[string]any{"port": m.port, "local": false, "allowPrivate": true}
	for name, value := range settings {
		config[name] = value
	}
	raw, err := json.Marshal(config)
	if err == nil {
		err = os.WriteFile(filepath.Join(m.path(), "config"), raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *machine) path() string { return filepath.Join(m.home, ".ssb") }

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (m *machine) command(dir, name string, args ...string) *exec.Cmd {
	if m.net != "" {
		name, args = "ip", append([]string{"netns", "exec", m.net, name}, args...)
	}
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	for _, setting := range os.Environ() {
		if !strings.HasPrefix(setting, "ssb_") { // npm rc takes even an empty ssb_path
			cmd.Env = append(cmd.Env, setting)
		}
	}
	cmd.Env = append(cmd.Env, "HOME="+m.home)
	return cmd
}

// peer is a running server and who it is.
type peer struct {
	*machine
	ID      string `json:"id"`
	Address string `json:"address"`
	stop    func()
}

// javaScript starts a server that is a script of the interop folder: it prints
// {id, address} when it is ready, and ends with its standard input.
func (m *machine) javaScript(stack, script string, args ...string) *peer {
	m.t.Helper()
	dir := interop(m.t, stack)
	cmd := m.command(dir, "node", append([]string{script, m.path(), fmt.Sprint(m.port)}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	p := &peer{machine: m}
	ended := false
	p.stop = func() {
		if !ended {
			ended = true
			stdin.Close()
			kill := time.AfterFunc(5*time.Second, func() { cmd.Process.Kill() })
			cmd.Wait() // it may end as it likes
			kill.Stop()
		}
	}
	m.t.Cleanup(p.stop)
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, p)
	}
	if err != nil {
		m.t.Fatalf("%s: %v\n%s%s", script, err, line, stderr.String())
	}
	go io.Copy(io.Discard, stdout)
	return p
}

// ours starts our server.
func (m *machine) ours(args ...string) *peer {
	m.t.Helper()
	program := newPrograms(m.t).path
	cmd := m.command(m.home, program, append([]string{"server"}, args...)...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	p := &peer{machine: m}
	ended := false
	p.stop = func() {
		if !ended {
			ended = true
			cmd.Process.Signal(syscall.SIGTERM)
			kill := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill(); m.t.Error("our server did not stop") })
			if err := cmd.Wait(); err != nil {
				m.t.Errorf("our server: %v", err)
			}
			kill.Stop()
		}
	}
	m.t.Cleanup(p.stop)
	lines := bufio.NewScanner(stderr)
	for p.Address == "" && lines.Scan() {
		if _, after, ok := strings.Cut(lines.Text(), `address="net:`); ok {
			p.Address = "net:" + strings.TrimSuffix(after, `"`)
		}
	}
	if p.Address == "" {
		m.t.Fatal("our server did not start")
	}
	go func() {
		for lines.Scan() {
		}
	}()
	_, key, _ := strings.Cut(p.Address, "~shs:")
	p.ID = "@" + key + ".ed25519"
	return p
}

// remote is a call that client.js makes.
type remote struct {
	Method string `json:"method"`
	Type   string `json:"type,omitempty"` // "" is async
	Args   []any  `json:"args"`
	Take   int    `json:"take,omitempty"`
	Wait   int    `json:"wait,omitempty"` // milliseconds
	Ends   bool   `json:"ends,omitempty"` // the stream must end in that time
	Behind bool   `json:"behind,omitempty"`
	Bytes  string `json:"bytes,omitempty"` // what a sink gets, in base64

	loose bool // what it answers is an object whose members have no order
	set   bool // its items have no order, or one by ids that differ
}

// answer is what came of a call.
type answer struct {
	Answer json.RawMessage   `json:"answer"`
	Items  []json.RawMessage `json:"items"`
	Error  string            `json:"error"`
}

// calls makes calls through npm ssb-client and returns their lines.
func (p *peer) calls(calls []remote) []string {
	p.t.Helper()
	return p.callsTo("", calls)
}

// callsTo does so over an address, or by default settings.
func (p *peer) callsTo(address string, calls []remote) []string {
	p.t.Helper()
	raw, err := json.Marshal(calls)
	if err != nil {
		p.t.Fatal(err)
	}
	cmd := p.command(interop(p.t, "classic"), "node", "client.js")
	if address != "" {
		cmd.Env = append(cmd.Env, "REMOTE="+address)
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(raw), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		p.t.Fatalf("client.js: %v\n%s", err, stderr.String())
	}
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	if len(lines) != len(calls) {
		p.t.Fatalf("client.js made %d of %d calls\n%s", len(lines), len(calls), stderr.String())
	}
	return lines
}

// ask makes one call, which must succeed, and reads its answer.
func (p *peer) ask(dst any, method string, args ...any) {
	p.t.Helper()
	if args == nil {
		args = []any{}
	}
	var a answer
	line := p.calls([]remote{{Method: method, Args: args, Wait: 30_000}})[0]
	if err := json.Unmarshal([]byte(line), &a); err != nil || a.Error != "" {
		p.t.Fatalf("%s: %.500s", method, line)
	}
	if dst != nil {
		if err := json.Unmarshal(a.Answer, dst); err != nil {
			p.t.Fatalf("%s: %v", method, err)
		}
	}
}
