package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// usage is what work took. What a platform does not tell is 0.
type usage struct {
	wall time.Duration
	cpu  time.Duration // of all threads, also in the kernel
	anon int64         // highest anonymous resident memory, in bytes
}

// sampling is how often the memory of a process is looked at.
const sampling = 20 * time.Millisecond

// process is a program that runs until it is waited for or stopped.
type process struct {
	cmd    *exec.Cmd
	began  time.Time
	stderr bytes.Buffer
	input  io.Closer     // standard input, which ends the scripts of node
	peak   atomic.Int64  // highest RssAnon so far
	done   chan struct{} // closed to end the watching
	watch  sync.WaitGroup
}

// start runs a program in the folder dir. Its standard input stays open until
// stop; standard output goes to out.
func (b *bench) start(out io.Writer, dir, name string, args ...string) (*process, error) {
	p := &process{cmd: exec.CommandContext(b.ctx, name, args...), done: make(chan struct{})}
	p.cmd.Cancel = func() error { return interrupt(p.cmd.Process) }
	p.cmd.WaitDelay = 10 * time.Second
	p.cmd.Dir = dir
	p.cmd.Stdout, p.cmd.Stderr = out, &p.stderr
	for _, setting := range os.Environ() {
		if !strings.HasPrefix(setting, "ssb_") && !strings.HasPrefix(setting, "HOME=") {
			p.cmd.Env = append(p.cmd.Env, setting)
		}
	}
	p.cmd.Env = append(p.cmd.Env, "HOME="+b.dir)
	input, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	p.input = input
	p.began = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.watch.Go(p.sample)
	return p, nil
}

// sample notes the highest memory.
func (p *process) sample() {
	ticker := time.NewTicker(sampling)
	defer ticker.Stop()
	for {
		p.peak.Store(max(p.peak.Load(), rssAnon(p.cmd.Process.Pid)))
		select {
		case <-p.done:
			return
		case <-ticker.C:
		}
	}
}

// wait returns what the program took until its end, which must be a success.
func (p *process) wait() (usage, error) {
	err := p.cmd.Wait()
	took := time.Since(p.began)
	close(p.done)
	p.watch.Wait()
	if err != nil {
		return usage{}, fmt.Errorf("%s %s: %w\n%s", filepath.Base(p.cmd.Path), strings.Join(p.cmd.Args[1:], " "), err, lastLines(p.stderr.String()))
	}
	state := p.cmd.ProcessState
	return usage{took, state.UserTime() + state.SystemTime(), p.peak.Load()}, nil
}

// stop ends a server.
func (p *process) stop() (usage, error) {
	err := interrupt(p.cmd.Process)
	p.input.Close()
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return usage{}, err
	}
	return p.wait()
}

func lastLines(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}

// run runs a program to its end.
func (b *bench) run(out io.Writer, dir, name string, args ...string) (usage, error) {
	p, err := b.start(out, dir, name, args...)
	if err != nil {
		return usage{}, err
	}
	p.input.Close()
	return p.wait()
}

// rssAnon returns the anonymous resident memory of a process, in bytes: what
// it has mapped of files belongs to the page cache.
func rssAnon(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				return 0
			}
			return kb << 10
		}
	}
	return 0
}

// cpuOf returns how long processors have worked for a process that runs.
func cpuOf(pid int) time.Duration {
	const perSecond = 100 // the unit of /proc, on every platform that has one
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, ok := bytes.Cut(stat, []byte(") ")) // behind the name, which may hold anything
	fields := strings.Fields(string(rest))
	if !ok || len(fields) < 13 {
		return 0
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	if err != nil || err2 != nil {
		return 0
	}
	return time.Duration(user+system) * (time.Second / perSecond)
}

// pause waits, or ends with the context.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
