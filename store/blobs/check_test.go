package blobs_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store/blobs"
)

// pathOf is the file of a blob in a folder.
func pathOf(dir string, id refs.Blob) string {
	hash := hexOf(id)
	return filepath.Join(dir, "sha256", hash[:2], hash[2:])
}

func hexOf(id refs.Blob) string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	for _, c := range id {
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}

// damage makes blobs bad, each in another way, and returns what is to be said
// of them.
func damage(t *testing.T, dir string, s *blobs.Store) map[refs.Blob]string {
	t.Helper()
	said := map[refs.Blob]string{}
	for reason, bad := range map[string][]byte{
		"its 2999 bytes are something else": random(3000, 1)[:2999],
		"its 3000 bytes are something else": random(3000, 2),
		"its 3001 bytes are something else": append(random(3000, 3), 0),
		"it is empty":                       {},
	} {
		id := put(t, s, []byte(reason))
		if err := os.WriteFile(pathOf(dir, id), bad, 0o600); err != nil {
			t.Fatal(err)
		}
		said[id] = reason
	}
	return said
}

// TestCheck finds files that are not what their names say, and sets them aside.
func TestCheck(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, blobs.Config{})
	good := map[refs.Blob]bool{}
	for n := range 20 {
		good[put(t, s, random(n*1000+1, uint64(n)))] = true
	}
	said := damage(t, dir, s)
	if _, _, err := s.Usage(); err != nil {
		t.Fatal(err)
	}
	var bad []blobs.Bad
	err := s.Check(t.Context(), func(info blobs.Info) error {
		if !good[info.ID] {
			t.Errorf("%s is said to be good", info.ID)
		}
		delete(good, info.ID)
		return nil
	}, func(b blobs.Bad) error {
		if said[b.ID] != b.Reason {
			t.Errorf("%s: %q, want %q", b.ID, b.Reason, said[b.ID])
		}
		delete(said, b.ID)
		bad = append(bad, b)
		return nil
	})
	if err != nil || len(good)+len(said) > 0 {
		t.Fatalf("%v; not examined: %v, %v", err, good, said)
	}

	// What has come meanwhile stays where it is.
	healed := bad[0]
	for reason := range map[string]bool{healed.Reason: true} {
		if id := put(t, s, []byte(reason)); id != healed.ID {
			t.Fatalf("another blob was healed: %s", id)
		}
	}
	for i, b := range bad {
		if done, err := s.SetAside(b); err != nil || done != (i > 0) {
			t.Errorf("%s: set aside %v, %v", b.ID, done, err)
		}
		_, err := os.Stat(filepath.Join(dir, "damaged", hexOf(b.ID)))
		if there := err == nil; there != (i > 0) || s.Has(b.ID) != (i == 0) {
			t.Errorf("%s: set aside %v, here %v", b.ID, there, s.Has(b.ID))
		}
	}
	if err := os.RemoveAll(filepath.Join(dir, "damaged")); err != nil {
		t.Fatal(err)
	}
	check(t, dir, s)
}

// TestCheckEnds: a check ends with its context, and with an error of who asked.
func TestCheckEnds(t *testing.T) {
	s := open(t, t.TempDir(), blobs.Config{})
	put(t, s, []byte("a"))
	put(t, s, []byte("b"))
	enough := errors.New("enough")
	calls := 0
	err := s.Check(t.Context(), func(blobs.Info) error { calls++; return enough }, nil)
	if !errors.Is(err, enough) || calls != 1 {
		t.Errorf("after %d calls: %v", calls, err)
	}
	ctx, stop := context.WithCancelCause(t.Context())
	stop(enough)
	if err := s.Check(ctx, nil, nil); !errors.Is(err, enough) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestOddFolders: the folder may be a link, as of those whose disk is small; what
// is in it may not, and is said clearly; a folder that lost its parts gets them
// again.
func TestOddFolders(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Log("links need rights here: not tried")
		return
	}
	real, link := t.TempDir(), filepath.Join(t.TempDir(), "blobs")
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	s := open(t, link, blobs.Config{})
	id := put(t, s, []byte("far away"))
	for _, part := range []string{"sha256", "tmp"} {
		if err := os.RemoveAll(filepath.Join(real, part)); err != nil {
			t.Fatal(err)
		}
	}
	if s.Has(id) {
		t.Error("it is gone, and said to be here")
	}
	put(t, s, []byte("far away"))
	check(t, real, s)
	s.Close()
	for _, part := range []string{"sha256", "tmp"} {
		elsewhere := t.TempDir()
		if err := errors.Join(os.WriteFile(filepath.Join(elsewhere, "keep"), nil, 0o600), os.RemoveAll(filepath.Join(real, part)),
			os.Symlink(elsewhere, filepath.Join(real, part))); err != nil {
			t.Fatal(err)
		}
		if _, err := blobs.Open(link, blobs.Config{}); err == nil || !strings.Contains(err.Error(), part+" is no folder") {
			t.Errorf("%s is a link: %v", part, err)
		}
		if _, err := os.Stat(filepath.Join(elsewhere, "keep")); err != nil {
			t.Errorf("%s is a link, and what it leads to was cleaned up: %v", part, err)
		}
		if err := os.Remove(filepath.Join(real, part)); err != nil {
			t.Fatal(err)
		}
	}
}
