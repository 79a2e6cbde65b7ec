package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// programs is where tests find the program and its data.
type programs struct {
	t    testing.TB
	path string // of a file that runs as ssbsync
	data string // messages: fixtures-2k.jsonl.zst
	dir  string // for homes and sticks

	prepare func(*exec.Cmd) // changes how a program is run; may be nil
}

// newPrograms links the test binary under the name of the program.
func newPrograms(t testing.TB) *programs {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, filepath.Base("ssbsync"+filepath.Ext(self)))
	if filepath.Ext(self) == ".test" {
		path = filepath.Join(dir, "ssbsync")
	}
	if err := errors.Join(os.Link(self, path)); err != nil {
		if err := os.Symlink(self, path); err != nil {
			t.Fatal(err)
		}
	}
	data, err := filepath.Abs(filepath.Join("..", "..", "testdata", "fixtures-2k.jsonl.zst"))
	if err != nil {
		t.Fatal(err)
	}
	return &programs{t: t, path: path, data: data, dir: dir}
}

// command returns the program with arguments, ready to start.
func (p *programs) command(args ...string) *exec.Cmd {
	cmd := exec.Command(p.path, args...)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), "HOME="+p.dir, "ssb_path=")
	if p.prepare != nil {
		p.prepare(cmd)
	}
	return cmd
}

// result is what a run of the program printed and its exit code.
type result struct {
	stdout, stderr string
	code           int
}

// run runs the program to its end.
func (p *programs) run(args ...string) result {
	p.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := p.command(args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatalf("%v: %v", args, err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// must runs the program, which must end with exit code 0.
func (p *programs) must(args ...string) string {
	p.t.Helper()
	r := p.run(args...)
	if r.code != 0 {
		p.t.Fatalf("%v: exit code %d\n%s%s", args, r.code, r.stdout, r.stderr)
	}
	return r.stdout
}

// report runs the program with --json and reads the last line it prints.
func (p *programs) report(dst any, args ...string) {
	p.t.Helper()
	out := bytes.TrimSpace([]byte(p.must(append([]string{"--json"}, args...)...)))
	if i := bytes.LastIndexByte(out, '\n'); i >= 0 {
		out = out[i+1:]
	}
	if err := json.Unmarshal(out, dst); err != nil {
		p.t.Fatalf("%v printed %.200s: %v", args, out, err)
	}
}
