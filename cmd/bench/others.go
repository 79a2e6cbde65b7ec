package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// other is a program of other people, which a script drives.
type other struct {
	name  string // as the tables call it
	stack string // its folder below testdata/interop
	npm   string // the package that its version is that of
}

// otherPrograms are those that ssbsync is compared with.
func otherPrograms() []other {
	return []other{
		{"ssb-server", "classic", "ssb-server"},
		{"ssb-db2", "modern", "ssb-db2"},
	}
}

// others lets the others do the same work, once each: they take their time.
func (b *bench) others() error {
	for _, o := range otherPrograms() {
		dir := filepath.Join(b.top, "testdata", "interop", o.stack)
		if _, err := exec.LookPath("node"); err != nil {
			b.say("%s is not measured: node is not installed", o.name)
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
			b.say("%s is not measured; to install it: npm ci --prefix testdata/interop/%s", o.name, o.stack)
			continue
		}
		if err := b.other(o, dir); err != nil {
			return fmt.Errorf("measuring %s: %w", o.name, err)
		}
	}
	return nil
}

// other measures one of them.
func (b *bench) other(o other, dir string) error {
	name := o.name + " " + versionOf(dir, o.npm)
	b.programs = append(b.programs, name)
	home := b.path(o.stack)
	node := func(out io.Writer, args ...string) (usage, error) {
		return b.run(out, dir, "node", append([]string{"bench.js"}, args...)...)
	}
	b.say("%s: taking in %d messages", name, b.set.messages)
	in, err := node(io.Discard, "ingest", home, b.path("lines.jsonl"))
	if err != nil {
		return err
	}
	b.beside(rowLines, name, measure{usage: in, messages: b.set.messages})
	disk, err := sizeOf(home, "")
	if err != nil {
		return err
	}
	b.beside(rowIndexed, name, measure{bytes: disk})
	b.say("%s: starting and reading", name)
	if _, err := node(io.Discard, "feed", home, b.set.longest.String()); err != nil { // makes its index
		return err
	}
	for _, r := range []struct {
		row      string
		messages int64
		args     []string
	}{
		{rowStart, 0, []string{"start", home}},
		{rowLog, b.set.messages, []string{"log", home}},
		{rowFeed, 0, []string{"feed", home, b.set.longest.String()}},
	} {
		took, err := node(io.Discard, r.args...)
		if err != nil {
			return err
		}
		b.beside(r.row, name, measure{usage: took, messages: r.messages})
	}
	b.say("%s: replicating", name)
	took, err := b.otherNetwork(o, dir)
	if err != nil {
		return err
	}
	b.beside(rowNetwork, name, measure{usage: took, messages: b.set.messages})
	return os.RemoveAll(home)
}

// otherNetwork lets an empty one of them replicate from the full one.
func (b *bench) otherNetwork(o other, dir string) (u usage, err error) {
	feeds := b.path("feeds.json")
	list, err := json.Marshal(b.set.authors)
	if err == nil {
		err = os.WriteFile(feeds, list, 0o600)
	}
	if err != nil {
		return u, err
	}
	ready := &firstLine{done: make(chan struct{})}
	full, err := b.start(ready, dir, "node", "bench.js", "serve", b.path(o.stack), freePort(), feeds)
	if err != nil {
		return u, err
	}
	defer func() {
		full.input.Close()
		_, ended := full.wait()
		err = errors.Join(err, ended)
	}()
	var peer struct{ Address string }
	if err := ready.read(b, full, &peer); err != nil {
		return u, err
	}
	address, _, _ := strings.Cut(peer.Address, ";")
	cpu := cpuOf(full.cmd.Process.Pid)
	var out bytes.Buffer
	u, err = b.run(&out, dir, "node", "bench.js", "fetch", b.path(o.stack+"-empty"), freePort(), feeds, address, fmt.Sprint(b.set.messages))
	if err != nil {
		return u, err
	}
	u.cpu += cpuOf(full.cmd.Process.Pid) - cpu
	var took struct{ Seconds float64 }
	if err := json.Unmarshal(out.Bytes(), &took); err != nil {
		return u, fmt.Errorf("reading %q: %w", out.String(), err)
	}
	u.wall = time.Duration(took.Seconds * float64(time.Second))
	return u, os.RemoveAll(b.path(o.stack + "-empty"))
}

// versionOf reads the version of an installed package.
func versionOf(dir, npm string) string {
	var about struct{ Version string }
	raw, err := os.ReadFile(filepath.Join(dir, "node_modules", npm, "package.json"))
	if err != nil || json.Unmarshal(raw, &about) != nil {
		return ""
	}
	return about.Version
}

// freePort is a port of loopback that nobody listens on.
func freePort() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "0"
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// firstLine keeps the first line that a server prints.
type firstLine struct {
	mu   sync.Mutex
	line []byte
	done chan struct{} // closed when the line is complete
}

func (f *firstLine) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !bytes.HasSuffix(f.line, []byte("\n")) {
		head, _, whole := bytes.Cut(p, []byte("\n"))
		f.line = append(f.line, head...)
		if whole {
			f.line = append(f.line, '\n')
			close(f.done)
		}
	}
	return len(p), nil
}

// read waits for the line, at most until the server ends.
func (f *firstLine) read(b *bench, p *process, dst any) error {
	timeout := time.NewTimer(2 * time.Minute)
	defer timeout.Stop()
	select {
	case <-f.done:
	case <-b.ctx.Done():
		return b.ctx.Err()
	case <-timeout.C:
		return errors.New("it does not start")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := json.Unmarshal(f.line, dst); err != nil {
		return fmt.Errorf("reading %q: %w", f.line, err)
	}
	return nil
}
