package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkWhoami is a whole process that asks a running server.
func BenchmarkWhoami(b *testing.B) {
	p := newPrograms(b)
	home := filepath.Join(b.TempDir(), "home")
	server := p.command("--path", home, "server", "--no-lan", "--host", "127.0.0.1", "--port", "0", "--log-level", "error")
	if err := server.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() {
		server.Process.Signal(os.Interrupt)
		server.Wait()
	}()
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Lstat(filepath.Join(home, "socket")); err == nil {
			break
		}
		if time.Since(began) > 20*time.Second {
			b.Fatal("the server did not start")
		}
	}
	for b.Loop() {
		p.must("--path", home, "whoami")
	}
}
