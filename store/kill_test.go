package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/store"
)

// TestMain turns the test binary into the child of TestKill when asked to.
func TestMain(m *testing.M) {
	if path := os.Getenv("STORE_TEST_CHILD"); path != "" {
		work := child
		if step := os.Getenv("STORE_TEST_STEP"); step != "" {
			work = func(path string) error { return compactingChild(path, step) }
		}
		if err := work(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// childBatch is how many messages the child appends at once.
const childBatch = 10

// child appends its feeds, batch by batch, and after each writes to stdout up
// to which receive number everything is durable.
func child(path string) error {
	s, err := store.Open(path, store.Options{Timeout: 10 * time.Second})
	if err != nil {
		return err
	}
	fmt.Println(s.Last())
	msgs, err := childMessages()
	if err != nil {
		return err
	}
	for i := int(s.Last()); i < len(msgs); i += childBatch {
		batch := msgs[i:min(i+childBatch, len(msgs))]
		if _, err := s.Append(batch); err != nil {
			return err
		}
		if _, err := s.AddWaiting(batch, store.WaitingLimits{Total: 10_000}); err != nil {
			return err
		}
		if i%(10*childBatch) == 0 {
			if _, err := s.Compact(context.Background(), store.CompactOptions{}); err != nil {
				return err
			}
		}
		if err := s.SetCursor("child", s.Last()); err != nil {
			return err
		}
		fmt.Println(s.Last())
	}
	return s.Close()
}

// childMessages makes what the child appends: three feeds, mixed.
func childMessages() ([]*message.Message, error) {
	var all []*message.Message
	var heads [3]message.Head
	for n := range 900 {
		head := &heads[n%3]
		pair := author(n % 3)
		head.Feed = pair.Feed()
		content := fmt.Sprintf(`{"type":"post","text":"%d %0*d"}`, n, n%300, n)
		m, err := message.Create(pair, *head, []byte(content), float64(n), nil)
		if err != nil {
			return nil, err
		}
		if *head, err = head.Next(m); err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// TestKill kills a process that appends and compacts, at random moments, again
// and again: what it said is durable is there, the store is consistent, and it
// goes on where it was.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	msgs, err := childMessages()
	if err != nil {
		t.Fatal(err)
	}
	kills := 0
	for round := range killRounds {
		durable := killOnce(t, path, time.Duration(rand.IntN(60))*time.Millisecond)
		s, err := store.Open(path, store.Options{Timeout: time.Second})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if s.Last() < durable {
			t.Fatalf("round %d: %d messages were durable, %d are there", round, durable, s.Last())
		}
		if rx, err := s.Cursor("child"); err != nil || rx < durable || rx > s.Last() {
			t.Errorf("round %d: cursor at %d, %d durable, %v", round, rx, durable, err)
		}
		if rec, err := s.Rx(s.Last()); s.Last() > 0 && err != nil {
			t.Errorf("round %d: %v", round, err)
		} else if s.Last() > 0 {
			matches(t, rec, msgs[s.Last()-1])
		}
		done := s.Last() == uint64(len(msgs))
		closeChecked(t, s)
		if kills++; done { // start over
			path = filepath.Join(t.TempDir(), "store.db")
		}
	}
	t.Logf("killed %d times", kills)
}

// killOnce starts the child, kills it some time after it opened the store, and
// returns what it said last.
func killOnce(t *testing.T, path string, after time.Duration) (durable uint64) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "STORE_TEST_CHILD="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for n := 0; ; n++ {
		line, err := lines.ReadString('\n')
		if err != nil {
			break
		}
		fmt.Sscan(line, &durable)
		if n == 1 { // the messages are made, the first batch is in
			time.AfterFunc(after, func() { cmd.Process.Kill() })
		}
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return durable
}
