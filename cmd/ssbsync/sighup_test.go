//go:build unix

package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestHangup closes the terminal of a server, for which SIGHUP may come twice: it
// ends as by SIGTERM. Under nohup it goes on.
func TestHangup(t *testing.T) {
	noNohup(t)
	p := newPrograms(t)
	var log bytes.Buffer
	server := p.startServer(&log, "home")
	server.Process.Signal(syscall.SIGHUP)
	server.Process.Signal(syscall.SIGHUP)
	if err := server.Wait(); err != nil || !strings.Contains(log.String(), "stopping") {
		t.Errorf("the server ended with %v\n%s", err, log.String())
	}
	if _, err := os.Lstat(filepath.Join(p.dir, "home", "socket")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket afterwards: %v", err)
	}

	p.prepare = func(cmd *exec.Cmd) { // as nohup does
		cmd.Args = append([]string{"sh", "-c", `trap "" HUP; exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
		cmd.Path = "/bin/sh"
	}
	server = p.startServer(&log, "nohup")
	server.Process.Signal(syscall.SIGHUP)
	time.Sleep(300 * time.Millisecond)
	p.must("--path", "nohup", "status")
	server.Process.Signal(syscall.SIGTERM)
	if err := server.Wait(); err != nil {
		t.Errorf("the server under nohup ended with %v", err)
	}
}

// noNohup lets SIGHUP reach the programs that a test starts, even where the tests
// run under nohup: what is caught here is neither ignored nor caught there.
func noNohup(t *testing.T) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(hangups) })
}

// TestHangupOfCommand ends a command that waits by SIGHUP: as by Ctrl-C.
func TestHangupOfCommand(t *testing.T) {
	noNohup(t)
	p := newPrograms(t)
	p.must("--path", "home", "publish", "--type", "post", "--text", "hello")
	server := p.startServer(new(bytes.Buffer), "home")
	log := p.command("--path", "home", "log", "--live")
	var stderr bytes.Buffer
	log.Stderr = &stderr
	out, err := log.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil { // it prints what is there, and waits
		t.Error(err)
	}
	log.Process.Signal(syscall.SIGHUP)
	log.Wait()
	if code := log.ProcessState.ExitCode(); code != exitInterrupted || !strings.Contains(stderr.String(), "interrupted") {
		t.Errorf("exit code %d: %s", code, stderr.String())
	}
	server.Process.Signal(syscall.SIGTERM)
	if err := server.Wait(); err != nil {
		t.Error(err)
	}
}
