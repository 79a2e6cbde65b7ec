package message_test

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
)

// dataSet returns the values of the messages in the data set: the large one
// if SSBSYNC_DATA names the folder that has it, else testdata's.
func dataSet(t testing.TB) [][]byte {
	t.Helper()
	path := filepath.Join("..", "..", "testdata", "fixtures-2k.jsonl.zst")
	if folder := os.Getenv("SSBSYNC_DATA"); folder != "" {
		path = filepath.Join(folder, "fixtures-100k.jsonl.zst")
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	dec, err := zstd.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	var values [][]byte
	lines := bufio.NewScanner(dec)
	for lines.Scan() {
		values = append(values, bytes.Clone(ecmajson.Get(lines.Bytes(), "value")))
	}
	if lines.Err() != nil || len(values) == 0 {
		t.Fatalf("%s: %d messages, %v", path, len(values), lines.Err())
	}
	return values
}
