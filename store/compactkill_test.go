package store_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ssbsync/ssbsync/store"
)

// compactingChild compacts a store and kills itself at a step.
func compactingChild(path, step string) error {
	s, err := store.Open(path, store.Options{})
	if err != nil {
		return err
	}
	s.OnCompactStep(func(now string) error {
		if now != step {
			return nil
		}
		self, err := os.FindProcess(os.Getpid())
		if err == nil {
			err = self.Kill()
		}
		if err == nil {
			select {}
		}
		return err
	})
	_, err = s.Compact(context.Background(), store.CompactOptions{})
	return fmt.Errorf("survived step %s: %v", step, err)
}

// TestCompactKilled kills a process at each step of a compaction: the store
// holds what it held, and nothing lies beside it after the next start.
func TestCompactKilled(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "store.db")
	wasteful(t, path, 1<<20)
	want := contentOf(t, path)
	wastefulFile := mustRead(t, path)
	steps := compactSteps(t, 1<<20)
	for _, step := range steps {
		if err := os.WriteFile(path, wastefulFile, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), "STORE_TEST_CHILD="+path, "STORE_TEST_STEP="+step)
		if out, err := cmd.CombinedOutput(); err == nil || len(out) > 0 {
			t.Fatalf("%s: %v: %s", step, err, out)
		}
		if got := contentOf(t, path); got != want {
			t.Errorf("%s: %s, want %s", step, got, want)
		}
	}
	t.Logf("killed at %q", steps)
}
