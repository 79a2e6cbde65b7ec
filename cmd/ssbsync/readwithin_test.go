package main

import (
	"bytes"
	"context"
	"io"
	"path/filepath"
	"testing"
	"testing/iotest"
)

// mute is an input that gives some bytes and then nothing for ever; asked is
// called then.
type mute struct {
	bytes *int
	asked func()
}

func (m mute) Read(p []byte) (int, error) {
	if n := min(*m.bytes, len(p)); n > 0 {
		*m.bytes -= n
		return n, nil
	}
	m.asked()
	select {}
}

// TestInterruptedInput: Ctrl-C ends a command that waits for its input, and
// nothing comes of it.
func TestInterruptedInput(t *testing.T) {
	home := filepath.Join(t.TempDir(), "home")
	for i, args := range [][]string{{"blobs", "add", "-"}, {"blobs", "add", "-"}, {"publish", "."}, {"private", "send", "--to", "@XQNqhYzon4REkXYuuJ4r+9UKSgoNpljksmKLJbEXrgk=.ed25519", "--text", "-"}} {
		first := 0
		if i == 1 {
			first = 100_000 // the beginning of a file
		}
		ctx, interrupt := context.WithCancel(t.Context())
		var stdout, stderr bytes.Buffer
		code := run(ctx, append([]string{"ssbsync", "--path", home}, args...), mute{&first, interrupt}, &stdout, &stderr)
		if code != exitInterrupted || stdout.Len() > 0 {
			t.Errorf("%v: exit code %d\n%s%s", args, code, stdout.String(), stderr.String())
		}
	}
	for _, args := range [][]string{{"blobs", "ls"}, {"log"}} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), append([]string{"ssbsync", "--path", home}, args...), bytes.NewReader(nil), &stdout, &stderr); code != 0 || stdout.Len() > 0 {
			t.Errorf("%v: exit code %d\n%s%s", args, code, stdout.String(), stderr.String())
		}
	}
}

// TestReadWithin reads what there is, however it comes.
func TestReadWithin(t *testing.T) {
	data := bytes.Repeat([]byte("some input "), 20_000)
	for name, r := range map[string]io.Reader{
		"at once": bytes.NewReader(data), "by halves": iotest.HalfReader(bytes.NewReader(data)), "with its end": iotest.DataErrReader(bytes.NewReader(data)),
	} {
		got, err := io.ReadAll(readWithin(t.Context(), r))
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes of %d, %v", name, len(got), len(data), err)
		}
	}
	if _, err := io.ReadAll(readWithin(t.Context(), iotest.ErrReader(io.ErrClosedPipe))); err != io.ErrClosedPipe {
		t.Error(err)
	}
}
