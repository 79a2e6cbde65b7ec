package views_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/views"
)

// TestMain turns the test binary into the child of TestKilled when asked to.
func TestMain(m *testing.M) {
	if dir := os.Getenv("VIEWS_TEST_CHILD"); dir != "" {
		if err := child(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child indexes the store of a folder in small steps, and says after each how
// far it came.
func child(dir string) error {
	s, err := store.Open(filepath.Join(dir, "store.db"), store.Options{})
	if err != nil {
		return err
	}
	v := views.New(views.Config{Store: s, Path: filepath.Join(dir, "views.db"), Owner: owner, Step: 50})
	for more := true; more; {
		if more, err = v.Step(context.Background()); err != nil {
			return err
		}
		after, err := v.Cursor()
		if err != nil {
			return err
		}
		fmt.Println(after)
	}
	return nil
}

// TestKilled kills who builds the index, again and again: what was done stays
// done, and the result is that of a build without interruption.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	s := fill(t, dir, small)
	total := s.Last()
	whole := open(t, s, func(c *views.Config) { c.Path += "2" })
	catchUp(t, whole)
	want := dump(t, whole)
	whole.Close()
	s.Close()
	var done uint64
	kills := 0
	for steps := 1; done < total; steps++ {
		killed, after := runChild(t, dir, steps)
		if after < done {
			t.Fatalf("%d messages were indexed, now %d", done, after)
		}
		if done = after; !killed {
			break
		}
		kills++
	}
	s = fill(t, dir, "")
	v := open(t, s, func(c *views.Config) { c.Step = 50 })
	catchUp(t, v)
	if dump(t, v) != want {
		t.Error("the index is another one")
	}
	t.Logf("%d kills while %d messages were indexed", kills, total)
	if kills < 3 {
		t.Error("these are too few")
	}
}

// runChild lets a child do some steps and kills it. It returns how far the
// child said it came.
func runChild(t *testing.T, dir string, steps int) (killed bool, after uint64) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "VIEWS_TEST_CHILD="+dir)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for i := 0; i < steps && lines.Scan(); i++ {
		if _, err := fmt.Sscan(lines.Text(), &after); err != nil {
			t.Fatal(err)
		}
		killed = i == steps-1
	}
	if killed {
		cmd.Process.Kill()
		_, _ = io.Copy(io.Discard, out)
	}
	if err := cmd.Wait(); err != nil && !killed {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	return killed, after
}
