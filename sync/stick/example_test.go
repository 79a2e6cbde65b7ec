package stick_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// TestSpecExample compares the example of spec/stick.md with what is written.
func TestSpecExample(t *testing.T) {
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(i)
	}
	fill := func(b []byte, x byte) { copy(b, bytes.Repeat([]byte{x}, len(b))) }
	h := &stick.Have{Identity: keys.FromSeed(seed).Feed(), Counter: 1, Visit: 1, Reads: stick.OurFormats()}
	fill(h.Network[:], 0x11)
	fill(h.Stick[:], 0x22)
	fill(h.Store[:], 0x33)
	h.Holdings = []stick.Holding{{Feed: refs.Feed(bytes.Repeat([]byte{0x44}, 32)), Seq: 1, Wanted: true}}
	fill(h.Holdings[0].Prefix[:], 0x55)
	full := stick.EncodeHave(h, keys.FromSeed(seed))
	delta := *h
	delta.Counter, delta.Visit, delta.Base, delta.BaseSum = 2, 2, 1, sha256.Sum256(full)
	delta.Moved, delta.Holdings = []stick.Move{{Gain: 5, Wanted: true}}, nil

	text, err := os.ReadFile("../../spec/stick.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ". Example\n")
	for _, got := range [][]byte{full, stick.EncodeHave(&delta, keys.FromSeed(seed))} {
		var example string
		_, rest, _ = strings.Cut(rest, "```\n")
		example, rest, _ = strings.Cut(rest, "```")
		want, err := hex.DecodeString(strings.Join(strings.Fields(example), ""))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%v: the have is\n%x", err, got)
		}
	}
}
