package node_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/node"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// backup takes a backup over a session.
func backup(t testing.TB, s *muxrpc.Session, o node.BackupOptions) *store.Backup {
	t.Helper()
	stream, err := s.Source(t.Context(), "ssbsync.backup", o)
	if err != nil {
		t.Fatal(err)
	}
	var file []byte
	for {
		item, err := stream.Recv(t.Context())
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if item.Kind == muxrpc.Binary {
			file = append(file, item.Body...)
		}
	}
	b, err := store.OpenBackup(bytes.NewReader(file), int64(len(file)), nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// homeFile reads a file of the node's home.
func (r *running) homeFile(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(r.home, name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// TestMoveWhilePublishing takes the identity away while it publishes without
// pause: every message that was accepted is in the backup.
func TestMoveWhilePublishing(t *testing.T) {
	r := start(t, `{}`)
	var accepted atomic.Int64
	var publishers sync.WaitGroup
	begun := make(chan struct{})
	for range 4 {
		s := r.socket(t)
		publishers.Go(func() {
			for n := 0; ; n++ {
				_, err := s.Async(context.Background(), "publish", map[string]any{"type": "post", "n": n})
				if err != nil {
					if !strings.Contains(err.Error(), "moved elsewhere") {
						t.Errorf("publishing: %v", err)
					}
					return
				}
				if accepted.Add(1) == 20 {
					close(begun)
				}
			}
		})
	}
	<-begun
	b := backup(t, r.socket(t), node.BackupOptions{Move: true})
	publishers.Wait()
	if b.Header().Own != accepted.Load() || b.Header().Own == 0 {
		t.Errorf("%d messages were accepted, the backup has %d", accepted.Load(), b.Header().Own)
	}
	t.Logf("%d messages", accepted.Load())

	home := filepath.Join(t.TempDir(), "new", "home")
	report, err := node.Restore(t.Context(), node.RestoreOptions{Home: home, Backup: b, Secret: r.homeFile(t, "secret"), Config: r.homeFile(t, "config")})
	if err != nil {
		t.Fatal(err)
	}
	if !report.Moved || report.Own != accepted.Load() || report.OtherNetwork || report.Store == stick.ID(b.Header().Store) {
		t.Errorf("restored %+v", report)
	}
	moved := startIn(t, home, `{}`)
	s := moved.socket(t)
	if _, err := s.Async(t.Context(), "publish", map[string]any{"type": "post"}); err == nil || !strings.Contains(err.Error(), "restored from a backup") {
		t.Errorf("publishing at the new place: %v", err)
	}
	if _, err := s.Async(t.Context(), "ssbsync.recover", node.RecoverOptions{Done: true}); err != nil {
		t.Fatal(err)
	}
	publish(t, s, `{"type":"post","text":"goes on"}`)
	if moved.id(t) != r.id(t) {
		t.Error("another identity")
	}
}

// TestRestoreRefused is about homes and parts that do not fit: nothing is made.
func TestRestoreRefused(t *testing.T) {
	r, other := start(t, `{}`), start(t, `{}`)
	publish(t, r.socket(t), `{"type":"post","text":"one"}`)
	b := backup(t, r.socket(t), node.BackupOptions{})
	secret := r.homeFile(t, "secret")
	for name, c := range map[string]struct {
		o    node.RestoreOptions
		says string
	}{
		"a home in use":    {node.RestoreOptions{Home: other.home, Secret: secret}, "not empty"},
		"another identity": {node.RestoreOptions{Secret: other.homeFile(t, "secret")}, "its store that of"},
		"no secret at all": {node.RestoreOptions{Secret: []byte("nonsense")}, "reading the secret"},
		"no settings":      {node.RestoreOptions{Secret: secret, Config: []byte("{")}, "reading the config"},
	} {
		dir := t.TempDir()
		o := c.o
		o.Backup = b
		if o.Home == "" {
			o.Home = filepath.Join(dir, "home")
		}
		if _, err := node.Restore(t.Context(), o); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
		wantEmpty(t, name, dir)
	}
}

// wantEmpty checks that a folder has nothing in it.
func wantEmpty(t *testing.T, name, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("%s: left %v, %v", name, entries, err)
	}
}

// TestRestoreInterrupted ends a restore while it unpacks and while it checks.
// It leaves nothing, and the next one succeeds and clears away what a killed
// one left.
func TestRestoreInterrupted(t *testing.T) {
	r := start(t, `{}`)
	s := r.socket(t)
	for n := range 20 {
		publish(t, s, fmt.Sprintf(`{"type":"post","n":%d}`, n))
	}
	b := backup(t, s, node.BackupOptions{})
	dir := t.TempDir()
	home := filepath.Join(dir, "home")
	for _, at := range []stick.Phase{stick.Writing, stick.Checking} {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := node.Restore(ctx, node.RestoreOptions{Home: home, Backup: b, Progress: func(phase stick.Phase, _ int64) {
			if phase == at {
				cancel()
			}
		}})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", at, err)
		}
		wantEmpty(t, string(at), dir)
	}
	stale := filepath.Join(dir, "home.restoring-0123456789abcdef")
	other := filepath.Join(dir, "home.restoring-notes")
	if err := errors.Join(os.MkdirAll(filepath.Join(stale, "ssbsync"), 0o700), os.Mkdir(other, 0o700), os.Mkdir(home, 0o700)); err != nil {
		t.Fatal(err)
	}
	report, err := node.Restore(t.Context(), node.RestoreOptions{Home: home, Backup: b})
	if err != nil || report.Messages != 20 || report.Own != 20 || report.Moved {
		t.Fatalf("%+v, %v", report, err)
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("somebody's folder: %v", err)
	}
	if _, err := os.Stat(stale); err == nil && node.LocksFolders {
		t.Error("what a killed restore left is still there")
	}
}

// TestRestoreOfOtherNetwork restores without settings what is not of the main
// network: the signatures cannot be checked, and the report says so.
func TestRestoreOfOtherNetwork(t *testing.T) {
	r := start(t, `{"caps":{"sign":"7ZKc5OAzGHSBCXRRiBAIxKZfmXMCVFqwBMHrJtFqGVA="}}`)
	publish(t, r.socket(t), `{"type":"post","text":"here"}`)
	b := backup(t, r.socket(t), node.BackupOptions{})
	dir := t.TempDir()
	for name, config := range map[string][]byte{"without": nil, "with": r.homeFile(t, "config")} {
		report, err := node.Restore(t.Context(), node.RestoreOptions{Home: filepath.Join(dir, name), Backup: b, Config: config})
		if err != nil || report.OtherNetwork != (config == nil) || report.Messages != 1 {
			t.Errorf("%s settings: %+v, %v", name, report, err)
		}
	}
}
