package main

import (
	"path/filepath"
	"testing"
)

// BenchmarkWhoami is a whole process that asks a running server.
func BenchmarkWhoami(b *testing.B) {
	p := newPrograms(b)
	home := filepath.Join(b.TempDir(), "home")
	defer p.serve(home)()
	for b.Loop() {
		p.must("--path", home, "whoami")
	}
}
