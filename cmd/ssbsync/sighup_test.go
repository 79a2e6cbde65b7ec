//go:build unix

package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestHangup closes the terminal of a server, for which SIGHUP may come twice: it
// ends as by SIGTERM. Under nohup it goes on.
func TestHangup(t *testing.T) {
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

// TestHangupOfCommand ends a command that waits by SIGHUP: as by Ctrl-C.
func TestHangupOfCommand(t *testing.T) {
	p := newPrograms(t)
	p.must("--path", "home", "whoami")
	server := p.startServer(new(bytes.Buffer), "home")
	log := p.command("--path", "home", "log", "--live")
	var stderr bytes.Buffer
	log.Stderr = &stderr
	if err := log.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond)
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
