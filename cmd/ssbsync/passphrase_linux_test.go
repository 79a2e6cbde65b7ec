package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is a pseudo terminal: what a user types goes in at keyboard.
type terminal struct {
	t             *testing.T
	keyboard, tty *os.File
}

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keyboard.Close() })
	if err := unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close() })
	return &terminal{t, keyboard, tty}
}

// echoes reports whether the terminal shows what is typed.
func (w *terminal) echoes() bool {
	state, err := unix.IoctlGetTermios(int(w.tty.Fd()), unix.TCGETS)
	if err != nil {
		w.t.Error(err)
		return false
	}
	return state.Lflag&unix.ECHO != 0
}

// awaitHidden waits until the terminal hides what is typed.
func (w *terminal) awaitHidden() {
	for began := time.Now(); w.echoes(); time.Sleep(time.Millisecond) {
		if time.Since(began) > time.Minute {
			w.t.Error("what is typed stays visible")
			return
		}
	}
}

// asked is the outcome of a question for a passphrase.
type asked struct {
	passphrase, prompts string
	err                 error
}

// ask asks on the terminal.
func (w *terminal) ask(ctx context.Context, isNew bool) <-chan asked {
	done := make(chan asked, 1)
	go func() {
		var prompts bytes.Buffer
		p := &program{stdin: w.tty, stderr: &prompts}
		passphrase, err := p.passphrase(ctx, "", isNew)
		done <- asked{passphrase, prompts.String(), err}
	}()
	return done
}

// TestPassphraseOnTerminal types passphrases, which nobody sees.
func TestPassphraseOnTerminal(t *testing.T) {
	for _, c := range []struct {
		typed []string
		isNew bool
		fails string
	}{
		{[]string{"correct horse"}, false, ""},
		{[]string{"correct horse", "correct horse"}, true, ""},
		{[]string{"correct horse", "battery"}, true, "differ"},
		{[]string{""}, true, "is empty"},
	} {
		w := newTerminal(t)
		done := w.ask(t.Context(), c.isNew)
		w.awaitHidden()
		// What is typed too early waits for its question.
		if _, err := w.keyboard.WriteString(strings.Join(c.typed, "\n") + "\n"); err != nil {
			t.Fatal(err)
		}
		got := <-done
		switch {
		case c.fails == "" && (got.err != nil || got.passphrase != c.typed[0]):
			t.Errorf("%q: %q, %v", c.typed, got.passphrase, got.err)
		case c.fails != "" && (got.err == nil || !strings.Contains(got.err.Error(), c.fails)):
			t.Errorf("%q: %q, %v", c.typed, got.passphrase, got.err)
		case strings.Contains(got.prompts, "horse") || strings.Count(got.prompts, ": ") != len(c.typed):
			t.Errorf("%q: the prompts were %q", c.typed, got.prompts)
		case !w.echoes():
			t.Errorf("%q: the terminal stays mute", c.typed)
		}
	}
}

// TestPassphraseInterrupted: Ctrl-C at the prompt leaves a terminal that shows
// what is typed.
func TestPassphraseInterrupted(t *testing.T) {
	w := newTerminal(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := w.ask(ctx, true)
	w.awaitHidden()
	cancel()
	if got := <-done; !errors.Is(got.err, context.Canceled) || exitCode(got.err) != exitInterrupted {
		t.Errorf("the error is %v", got.err)
	}
	if !w.echoes() {
		t.Error("the terminal stays mute")
	}
}
