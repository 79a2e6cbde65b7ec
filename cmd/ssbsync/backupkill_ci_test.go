//go:build ci

package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// backupRounds is how many programs each test kills: a round takes long.
const backupRounds = killRounds / 5

// TestKilledRestore kills restores at random moments: there is no home or a
// whole one, and the next restore succeeds and clears away what was left.
func TestKilledRestore(t *testing.T) {
	p := newPrograms(t)
	p.must("--path", "from", "--quiet", "import", p.data)
	p.addBlobs("from")
	p.must("--path", "from", "backup", "store.ssb-backup")
	random := rand.New(rand.NewPCG(5, 6))
	full := timeOf(func() { p.must("--path", "warm", "restore", "store.ssb-backup") })
	var cut, left int
	for round := range backupRounds {
		dir := p.folder(fmt.Sprintf("restore-%d", round))
		home := filepath.Join(dir, "home")
		if p.strike(random, full, signalOf(round), "--path", home, "--quiet", "restore", "store.ssb-backup") {
			cut++
		}
		if _, err := os.Stat(home); err == nil {
			p.wantWhole(home)
			p.wantBlobs(home)
			if err := os.RemoveAll(home); err != nil {
				t.Fatal(err)
			}
		}
		left += len(p.entries(dir))
		p.must("--path", home, "--quiet", "restore", "store.ssb-backup")
		p.wantWhole(home)
		p.wantBlobs(home)
		if names := p.entries(dir); len(names) != 1 {
			t.Fatalf("round %d: there are %v", round, names)
		}
		os.RemoveAll(dir)
	}
	t.Logf("%d restores, %d of them cut short, %d of which left something for the next one", backupRounds, cut, left)
}

// TestKilledBackup kills backups at random moments: there is no file under the
// name, or one that can be restored.
func TestKilledBackup(t *testing.T) {
	p := newPrograms(t)
	p.must("--path", "from", "--quiet", "import", p.data)
	p.addBlobs("from")
	random := rand.New(rand.NewPCG(7, 8))
	full := timeOf(func() { p.must("--path", "from", "backup", "warm") })
	var cut, whole int
	for round := range backupRounds {
		dir := p.folder(fmt.Sprintf("backup-%d", round))
		file := filepath.Join(dir, "file")
		if p.strike(random, full, signalOf(round), "--path", "from", "--quiet", "backup", file) {
			cut++
		}
		if _, err := os.Stat(file); err == nil {
			whole++
			p.must("--path", filepath.Join(dir, "home"), "--quiet", "restore", file)
			p.wantWhole(filepath.Join(dir, "home"))
			p.wantBlobs(filepath.Join(dir, "home"))
		}
		os.RemoveAll(dir)
	}
	p.must("--path", "from", "--quiet", "check")
	for _, name := range p.entries(filepath.Join(p.dir, "from", "ssbsync")) {
		if strings.HasPrefix(name, "backup-") {
			t.Errorf("%s was left in the home folder", name)
		}
	}
	t.Logf("%d backups, %d of them cut short, %d files", backupRounds, cut, whole)
}

// addBlobs adds some blobs, together as large as the messages.
func (p *programs) addBlobs(home string) {
	p.t.Helper()
	for n := range 4 {
		name := filepath.Join(p.dir, fmt.Sprintf("file-%d", n))
		if err := os.WriteFile(name, bytes.Repeat([]byte{byte(n), 1, 2}, 100_000), 0o600); err != nil {
			p.t.Fatal(err)
		}
		p.must("--path", home, "blobs", "add", name)
	}
}

// wantBlobs checks that they are all there.
func (p *programs) wantBlobs(home string) {
	p.t.Helper()
	if list := strings.Fields(p.must("--path", home, "blobs", "ls")); len(list) != 4 {
		p.t.Fatalf("home %s has the blobs %v", home, list)
	}
}

// entries lists a folder.
func (p *programs) entries(dir string) (names []string) {
	p.t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
