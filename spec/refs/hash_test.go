package refs_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/ssbsync/ssbsync/spec/internal/vectors"
	"github.com/ssbsync/ssbsync/spec/refs"
)

func TestHashVectors(t *testing.T) {
	vectors.Lines(t, vectors.Files(t, "crypto", "ssb-keys-hash.jsonl"), func(line []byte) {
		var c struct {
			ID    string
			UTF16 *[]byte `json:"utf16le_b64"`
			Bytes *[]byte `json:"bytes_b64"`
			Hash  string
		}
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		var got string
		switch {
		case c.UTF16 != nil:
			got = refs.SumMessage(generalisedUTF8(*c.UTF16)).String()
		case c.Bytes != nil:
			got = refs.SumBlob(*c.Bytes).String()
		default:
			t.Fatalf("%s: neither text nor bytes", c.ID)
		}
		if got[1:] != c.Hash {
			t.Errorf("%s: %s, want %s", c.ID, got, c.Hash)
		}
	})
}

// generalisedUTF8 encodes UTF-16LE units as WTF-8: UTF-8 in which a surrogate
// on its own takes three bytes.
func generalisedUTF8(units []byte) []byte {
	var out []byte
	for i := 0; i+1 < len(units); i += 2 {
		r := rune(binary.LittleEndian.Uint16(units[i:]))
		if i+3 < len(units) {
			if pair := utf16.DecodeRune(r, rune(binary.LittleEndian.Uint16(units[i+2:]))); pair != utf8.RuneError {
				out = utf8.AppendRune(out, pair)
				i += 2
				continue
			}
		}
		if utf16.IsSurrogate(r) {
			out = append(out, 0xe0|byte(r>>12), 0x80|byte(r>>6)&0x3f, 0x80|byte(r)&0x3f)
		} else {
			out = utf8.AppendRune(out, r)
		}
	}
	return out
}

// TestSumMessageAgainstUnits hashes texts around the size of the buffer and
// compares with the definition.
func TestSumMessageAgainstUnits(t *testing.T) {
	for _, piece := range []string{"a", "ä", "€", "𝄞", "\x7f\u0080\u07ff\u0800\uffff\U00010000\U0010ffff"} {
		for n := range 600 {
			text := strings.Repeat("x", n%7) + strings.Repeat(piece, n)
			var low []byte
			for _, unit := range utf16.Encode([]rune(text)) {
				low = append(low, byte(unit))
			}
			if got, want := refs.SumMessage([]byte(text)), sha256.Sum256(low); got != refs.Message(want) {
				t.Fatalf("%d × %q: %s, want %s", n, piece, got, base64.StdEncoding.EncodeToString(want[:]))
			}
		}
	}
}

// FuzzSumMessage looks for a text that makes the hash fail.
func FuzzSumMessage(f *testing.F) {
	for _, s := range []string{"", "a", "ä", "\xed\xa0\x80", "\xf0\x9d\x84", "\xff", "\xc3"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got := refs.SumMessage(text)
		if !utf8.Valid(text) {
			return
		}
		var low []byte
		for _, unit := range utf16.Encode([]rune(string(text))) {
			low = append(low, byte(unit))
		}
		if want := sha256.Sum256(low); got != refs.Message(want) {
			t.Errorf("%q: %s", text, got)
		}
	})
}

func BenchmarkSumMessage(b *testing.B) {
	for name, text := range map[string]string{
		"ascii": strings.Repeat("The quick brown fox. ", 40),
		"mixed": strings.Repeat("Falsches Üben von Xylophonmusik quält. ", 20),
	} {
		b.Run(name, func(b *testing.B) {
			raw := []byte(text)
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				refs.SumMessage(raw)
			}
		})
	}
}
