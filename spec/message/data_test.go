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

// dataSet returns the values of the messages in the data set.
func dataSet(t testing.TB) [][]byte {
	var values [][]byte
	for _, line := range dataLines(t) {
		values = append(values, ecmajson.Get(line, "value"))
	}
	return values
}

// dataLines returns the lines of the data set, {key,value,timestamp} each: the
// large one if SSBSYNC_DATA names the folder that has it, else testdata's.
func dataLines(t testing.TB) [][]byte {
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
	var all [][]byte
	lines := bufio.NewScanner(dec)
	for lines.Scan() {
		all = append(all, bytes.Clone(lines.Bytes()))
	}
	if lines.Err() != nil || len(all) == 0 {
		t.Fatalf("%s: %d messages, %v", path, len(all), lines.Err())
	}
	return all
}
