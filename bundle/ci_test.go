//go:build ci

package bundle_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const randomCuts = 1000

// TestZstdAndJQ pipes a bundle with blobs through zstd and jq, as anyone
// would who has no program of ours.
func TestZstdAndJQ(t *testing.T) {
	records, _ := dataSet(t)
	name := filepath.Join(t.TempDir(), "x.ssb.zst")
	if err := os.WriteFile(name, write(t, alice, records, [][]byte{noise(5000), bytes.Repeat([]byte("x"), 5000)}), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", `zstd -dc "$0" | jq -c .`, name)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSuffix(out, []byte("\n")), []byte("\n"))
	if len(lines) != len(records) {
		t.Fatalf("%d lines for %d messages", len(lines), len(records))
	}
	for i, line := range lines {
		if !sameJSON(t, line, records[i].Value) {
			t.Fatalf("line %d is %s, want %s", i, line, records[i].Value)
		}
	}
	t.Logf("zstd and jq show %d messages", len(lines))
}

// sameJSON compares two values apart from the spelling of numbers and
// strings, which jq changes.
func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y any
	if err := json.Unmarshal(a, &x); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &y); err != nil {
		t.Fatal(err)
	}
	p, _ := json.Marshal(x)
	q, _ := json.Marshal(y)
	return bytes.Equal(p, q)
}
