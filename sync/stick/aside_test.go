package stick_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/ssbsync/ssbsync/sync/stick"
)

// TestAsideTooLate: what another node put right between our look and our move has
// its name afterwards; what is still in the way has not.
func TestAsideTooLate(t *testing.T) {
	for name, c := range map[string]struct {
		aside func(*os.Root, string) (string, error)
		dir   bool // what lies there
		stays bool
	}{
		"a folder for a folder": {stick.AsideForDir, true, true},
		"a file for a folder":   {stick.AsideForDir, false, false},
		"a file for a file":     {stick.AsideForFile, false, true},
		"a folder for a file":   {stick.AsideForFile, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMedium(t)
			path := filepath.Join(m.dir, "x")
			err := os.WriteFile(path, []byte("mine"), 0o666)
			if c.dir {
				err = errors.Join(os.Remove(path), os.MkdirAll(filepath.Join(path, "content"), 0o777))
			}
			if err != nil {
				t.Fatal(err)
			}
			moved, err := c.aside(m.root(), "x")
			if err != nil || (moved == "") != c.stays {
				t.Errorf("moved to %q: %v", moved, err)
			}
			if _, err := os.Lstat(path); (err == nil) != c.stays {
				t.Errorf("under its name: %v", err)
			}
			if !c.stays {
				if _, err := os.Lstat(filepath.Join(m.dir, moved)); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestAsideGone: what another node moved out of the way since we looked is in
// nobody's way.
func TestAsideGone(t *testing.T) {
	if moved, err := stick.AsideForDir(newMedium(t).root(), "x"); moved != "" || err != nil {
		t.Errorf("moved to %q: %v", moved, err)
	}
}
