package ebt_test

import (
	"bufio"
	"os"
	"path/filepath"
	"testing"
)

// eachCase calls f with each line of the named vector file, in testdata and
// below the folder that SSBSYNC_VECTORS names, and logs how many there were.
// It is spec/internal/vectors for tests outside of spec.
func eachCase(t *testing.T, name string, f func(line []byte)) {
	t.Helper()
	dirs := []string{filepath.Join("..", "..", "testdata", "vectors", "ebt")}
	if extra := os.Getenv("SSBSYNC_VECTORS"); extra != "" {
		further := existing(filepath.Join(extra, "ebt"),
			filepath.Join(extra, "own", "ebt"), filepath.Join(extra, "third-party", "ebt"))
		if len(existing(suffixed(further, name)...)) == 0 {
			t.Fatalf("SSBSYNC_VECTORS=%s has no ebt/%s", extra, name)
		}
		dirs = append(dirs, further...)
	}
	for n, path := range suffixed(dirs, name) {
		if n == 0 || len(existing(path)) > 0 {
			casesOf(t, path, f)
		}
	}
}

func existing(paths ...string) (found []string) {
	for _, path := range paths {
		if _, err := os.Stat(path); err == nil {
			found = append(found, path)
		}
	}
	return found
}

func suffixed(dirs []string, name string) (paths []string) {
	for _, dir := range dirs {
		paths = append(paths, filepath.Join(dir, name))
	}
	return paths
}

func casesOf(t *testing.T, path string, f func(line []byte)) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	scan := bufio.NewScanner(file)
	scan.Buffer(nil, 16<<20)
	n := 0
	for ; scan.Scan(); n++ {
		f(scan.Bytes())
	}
	if scan.Err() != nil || n == 0 {
		t.Fatalf("%s: %d cases, error %v", path, n, scan.Err())
	}
	t.Logf("%s: %d cases", path, n)
}
