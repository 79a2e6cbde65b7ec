//go:build ci

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// TestBlobsOverSmallStick carries 200 MiB of blobs, and the messages that refer
// to them, over a stick of 100 MiB to a node that is on no network: in as many
// visits as it takes, also when some of them are killed, and nothing is lost.
func TestBlobsOverSmallStick(t *testing.T) {
	const total, count = 200 << 20, 64
	p := newPrograms(t)
	stick := p.tmpfs("size=100m")
	a, b := filepath.Join(p.dir, "a"), filepath.Join(p.dir, "b")
	for _, homes := range [][2]string{{a, b}, {b, a}} { // they know each other
		p.must("--path", homes[0], "follow", p.identity(homes[1]))
	}
	var blobs [][]byte
	for i := range count {
		size := total / count
		if i%2 == 0 {
			size = size/2 + i*1000
		} else {
			size = size*3/2 - (i-1)*1000
		}
		data := randomBlob(size, byte(i))
		blobs = append(blobs, data)
		file := filepath.Join(p.dir, "blob")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		id := strings.TrimSpace(p.must("--path", a, "blobs", "add", file))
		p.must("--path", a, "publish", "--type", "post", "--text", fmt.Sprintf("blob %d: %s", i, id))
	}
	p.must("--path", a, "export", stick)
	rounds, before := 0, -1
	for held := 0; held < count; rounds++ {
		p.must("--path", b, "sync", stick)
		if held = p.heldBlobs(b); held <= before {
			t.Fatalf("round %d: %d blobs of %d, as before", rounds, held, count)
		}
		before = held
		if rounds%2 == 1 {
			p.killed("--path", a, "sync", stick)
		}
		p.must("--path", a, "sync", stick)
	}
	for i, data := range blobs {
		id := refs.SumBlob(data)
		file := filepath.Join(b, "blobs", "sha256", fmt.Sprintf("%x", id[:1]), fmt.Sprintf("%x", id[1:]))
		if got, err := os.ReadFile(file); err != nil || string(got) != string(data) {
			t.Errorf("blob %d of %d bytes: %d, %v", i, len(data), len(got), err)
		}
	}
	if wants := p.must("--path", b, "blobs", "wants"); wants != "" {
		t.Errorf("still wanted: %s", wants)
	}
	t.Logf("200 MiB in %d blobs over a stick of 100 MiB in %d rounds", count, rounds)
}

// killed starts the program and kills it when it has made something on its way
// to the medium, or is done already.
func (p *programs) killed(args ...string) {
	p.t.Helper()
	cmd := p.command(args...)
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { cmd.Wait(); close(done) }()
	for {
		parts, _ := filepath.Glob(filepath.Join(args[len(args)-1], "ssbsync", "tmp", "*.part"))
		if len(parts) > 0 {
			cmd.Process.Kill()
			<-done
			return
		}
		select {
		case <-done:
			return
		default:
		}
	}
}

func (p *programs) identity(home string) string {
	p.t.Helper()
	var who struct{ ID string }
	if err := json.Unmarshal([]byte(p.must("--path", home, "whoami")), &who); err != nil {
		p.t.Fatal(err)
	}
	return who.ID
}

func (p *programs) heldBlobs(home string) int {
	p.t.Helper()
	return strings.Count(p.must("--path", home, "blobs", "ls"), "\n")
}
