package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
)

// cheaply encrypts a backup as encrypt does, at less cost, with an identity in
// front of it.
func cheaply(t *testing.T, id identity, backup []byte) []byte {
	t.Helper()
	frame, err := id.frame()
	if err != nil {
		t.Fatal(err)
	}
	key, err := age.NewScryptRecipient("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	key.SetWorkFactor(1)
	var file bytes.Buffer
	w, err := age.Encrypt(&file, key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(append(frame, backup...)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// plainBackup makes a home with a message and returns a backup of it.
func plainBackup(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "plain")
	for _, args := range [][]string{{"publish", "--type", "post", "--text", "one"}, {"backup", file}} {
		var stderr bytes.Buffer
		args = append([]string{"ssbsync", "--path", filepath.Join(dir, "home")}, args...)
		if code := run(t.Context(), args, strings.NewReader(""), io.Discard, &stderr); code != 0 {
			t.Fatalf("%v: exit code %d\n%s", args, code, stderr.String())
		}
	}
	backup, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return backup
}

// TestEncryptedBackupDamaged cuts an encrypted backup and flips bits of it: it
// is refused as a whole.
func TestEncryptedBackupDamaged(t *testing.T) {
	file := cheaply(t, identity{Secret: "private", Config: "{}"}, plainBackup(t))
	path := filepath.Join(t.TempDir(), "me")
	open := func(content []byte) error {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		p := &program{stderr: io.Discard}
		b, err := p.openBackup(path, func() (string, error) { return "correct horse", nil })
		if err == nil {
			b.Close()
		}
		return err
	}
	if err := open(file); err != nil {
		t.Fatal(err)
	}
	tried := 0
	for at := 0; at < len(file); at += 1 + at/80 {
		if err := open(file[:at]); err == nil {
			t.Errorf("cut at %d of %d: accepted", at, len(file))
		}
		bad := bytes.Clone(file)
		bad[at] ^= 1 << (at % 8)
		if err := open(bad); err == nil {
			t.Errorf("flipped at %d of %d: accepted", at, len(file))
		} else if strings.Contains(err.Error(), "private") {
			t.Errorf("flipped at %d: the secret is in the error", at)
		}
		tried++
	}
	t.Logf("%d positions of %d bytes", tried, len(file))
}

// TestEncryptedWithoutIdentity is about age files of something else, and an
// identity in a file that is not encrypted, which anybody can have written.
func TestEncryptedWithoutIdentity(t *testing.T) {
	backup := plainBackup(t)
	frame, err := identity{Secret: "private"}.frame()
	if err != nil {
		t.Fatal(err)
	}
	empty, err := identity{}.frame()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "me")
	for name, content := range map[string][]byte{
		"an identity in the open":  append(frame, backup...),
		"an identity of nothing":   cheaply(t, identity{}, backup),
		"only an identity":         cheaply(t, identity{Secret: "private"}, nil),
		"an identity with another": cheaply(t, identity{Secret: "private"}, append(empty, backup...)),
	} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		p := &program{stderr: io.Discard}
		if _, err := p.openBackup(path, func() (string, error) { return "correct horse", nil }); err == nil {
			t.Errorf("%s: accepted", name)
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
}

// TestRestoreCancelled: an interrupted restore says so by its exit code and
// leaves no home.
func TestRestoreCancelled(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "plain")
	if err := os.WriteFile(file, plainBackup(t), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	home := filepath.Join(dir, "homes", "new")
	code := run(ctx, []string{"ssbsync", "--path", home, "restore", file}, strings.NewReader(""), io.Discard, io.Discard)
	left, err := os.ReadDir(filepath.Dir(home))
	if code != exitInterrupted || len(left) > 0 {
		t.Errorf("exit code %d, left %v, %v", code, left, err)
	}
}
