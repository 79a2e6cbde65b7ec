// Package vectors finds conformance vectors for the tests of spec: the sets
// in testdata/vectors and, when the environment variable SSBSYNC_VECTORS
// names a folder, every further set of the same layout below it.
package vectors

import (
	"bufio"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// EnvVar names the environment variable that adds a folder of vector sets.
const EnvVar = "SSBSYNC_VECTORS"

// maxLine bounds one line of a vector file, in bytes.
const maxLine = 16 << 20

// Dirs returns every folder that holds sets of the topic, testdata's first.
// It fails the test when testdata has no such topic, or when SSBSYNC_VECTORS
// is set and nothing below it has.
func Dirs(t testing.TB, topic string) []string {
	t.Helper()
	_, self, _, _ := runtime.Caller(0)
	root := filepath.Join(filepath.Dir(self), "..", "..", "..", "testdata", "vectors")
	dirs := existing(filepath.Join(root, topic))
	if len(dirs) == 0 {
		t.Fatalf("testdata/vectors has no topic %q", topic)
	}
	extra := os.Getenv(EnvVar)
	if extra == "" {
		return dirs
	}
	further := existing(
		filepath.Join(extra, topic),
		filepath.Join(extra, "own", topic),
		filepath.Join(extra, "third-party", topic))
	if len(further) == 0 {
		t.Fatalf("%s=%s has no topic %q", EnvVar, extra, topic)
	}
	return append(dirs, further...)
}

func existing(dirs ...string) []string {
	var found []string
	for _, dir := range dirs {
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			found = append(found, dir)
		}
	}
	return found
}

func existingFile(path string) []string {
	if info, err := os.Stat(path); err != nil || info.IsDir() {
		return nil
	}
	return []string{path}
}

// Files returns the paths of the named file in every folder of the topic that
// holds it. It fails the test when there is none.
func Files(t testing.TB, topic, name string) []string {
	t.Helper()
	var paths []string
	for _, dir := range Dirs(t, topic) {
		paths = append(paths, existingFile(filepath.Join(dir, name))...)
	}
	if len(paths) == 0 {
		t.Fatalf("no folder of topic %q holds %s", topic, name)
	}
	return paths
}

// OptionalFiles is Files for sets that testdata does not hold because their
// licence forbids a copy. None is a failure only when SSBSYNC_VECTORS names a
// folder with a subfolder third-party, where such sets lie; else it is logged.
func OptionalFiles(t testing.TB, topic, name string) []string {
	t.Helper()
	var paths []string
	for _, dir := range Dirs(t, topic) {
		paths = append(paths, existingFile(filepath.Join(dir, name))...)
	}
	if len(paths) > 0 {
		return paths
	}
	if extra := os.Getenv(EnvVar); extra != "" && len(existing(filepath.Join(extra, "third-party"))) > 0 {
		t.Fatalf("no folder of topic %q holds %s", topic, name)
	}
	t.Logf("%s/%s: 0 cases: only %s can bring this set", topic, name, EnvVar)
	return nil
}

// Lines calls f with each line of each given file and logs how many there
// were. A file without lines fails the test.
func Lines(t testing.TB, paths []string, f func(line []byte)) {
	t.Helper()
	for _, path := range paths {
		n := 0
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		scan := bufio.NewScanner(file)
		scan.Buffer(nil, maxLine)
		for scan.Scan() {
			if len(scan.Bytes()) == 0 {
				continue
			}
			n++
			f(scan.Bytes())
		}
		file.Close()
		if scan.Err() != nil || n == 0 {
			t.Fatalf("%s: %d cases, error %v", path, n, scan.Err())
		}
		t.Logf("%s: %d cases", path, n)
	}
}
