//go:build ci && linux

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// sharedLog is what a server of a test writes to its standard error.
type sharedLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *sharedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *sharedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestForeignUser lets another user at the socket of a server: neither as it
// is, nor if somebody opened its permissions, will the server listen.
func TestForeignUser(t *testing.T) {
	p := newPrograms(t)
	user := p.unprivileged()
	log := new(sharedLog)
	server := p.startServer(log, "home")
	home := filepath.Join(p.dir, "home")
	publish := []string{"--path", home, "publish", "--type", "post", "--text", "not yours"}

	p.chmod(0o700, home)
	contains(t, user.want(exitFailed, publish...).stderr, "permission denied")
	p.chmod(0o755, home)
	contains(t, user.want(exitFailed, publish...).stderr, "permission denied")
	p.chmod(0o666, filepath.Join(home, "socket"))
	for range 3 {
		contains(t, user.want(exitInUse, publish...).stderr, "does not answer")
	}
	contains(t, log.String(), "a connection on the socket was refused", "user 65534 is neither the owner nor root")
	p.must("--path", home, "publish", "--type", "post", "--text", "mine")
	if log := p.must("--path", home, "--json", "log"); bytes.Count([]byte(log), []byte{'\n'}) != 1 {
		t.Errorf("not one message in the log: %s", log)
	}
	server.Process.Signal(os.Interrupt)
	if err := server.Wait(); err != nil {
		t.Error(err)
	}
}

// TestServerOfAnotherUser asks a server that runs as another user to read and
// write folders that only who asks may enter.
func TestServerOfAnotherUser(t *testing.T) {
	p := newPrograms(t)
	user := p.unprivileged()
	homes := p.folder("homes")
	p.chmod(0o777, homes)
	home := filepath.Join(homes, "server")
	server := user.startServer(os.Stderr, home, "--log-level", "error")

	p.must("--path", "from", "--quiet", "import", p.data)
	medium := p.folder("medium")
	p.must("--path", "from", "--quiet", "export", medium)
	p.chmod(0o700, medium)
	hint := "hint: give that user access, or stop the server and repeat the command"
	for _, command := range []string{"import", "sync", "export"} {
		r := p.want(exitFailed, "--path", home, command, medium)
		contains(t, r.stderr, "the server runs as nobody and cannot read "+medium, hint)
	}
	gone := filepath.Join(p.dir, "gone")
	contains(t, p.want(exitFailed, "--path", home, "import", gone).stderr, gone, "no such")

	// A single file is read by who asks.
	bundle := p.onlyBundle(medium)
	p.must("--path", home, "--quiet", "import", bundle)
	p.chmod(0o755, medium)
	p.must("--path", home, "--quiet", "import", medium)
	server.Process.Signal(os.Interrupt)
	if err := server.Wait(); err != nil {
		t.Error(err)
	}
	p.chmod(0o755, home)
	p.wantWhole(home)
}
