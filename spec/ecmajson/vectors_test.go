package ecmajson_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/spec/internal/vectors"
)

const topic = "legacy-value"

// each decodes every case of a file of vectors.
func each[Case any](t *testing.T, paths []string, f func(t *testing.T, c Case)) {
	vectors.Lines(t, paths, func(line []byte) {
		var c Case
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatalf("%.80s: %v", line, err)
		}
		f(t, c)
	})
}

// parse converts text by the pass and by the exact path, which must agree.
func parse(t *testing.T, text []byte) (ecmajson.Text, error) {
	t.Helper()
	var p ecmajson.Parser
	got, err := p.Parse(text)
	compact, exactErr := ecmajson.Compact(text)
	if (err == nil) != (exactErr == nil) || !bytes.Equal(got.Compact, compact) {
		t.Fatalf("%q: %q, %v by the pass, %q, %v by the exact path", text, got.Compact, err, compact, exactErr)
	}
	if err == nil && got.Units != ecmajson.UTF16Len(got.Indented) {
		t.Fatalf("%q: %d units counted on the way, %d after", text, got.Units, ecmajson.UTF16Len(got.Indented))
	}
	return got, err
}

func sum(text []byte) [32]byte {
	return sha256.Sum256(ecmajson.AppendLowBytes(nil, text))
}

func TestNumberFormat(t *testing.T) {
	type numberCase struct{ ID, Bits, JSON string }
	each(t, vectors.Files(t, topic, "number-format.jsonl"), func(t *testing.T, c numberCase) {
		bits, err := strconv.ParseUint(c.Bits, 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		if got := ecmajson.AppendNumber(nil, math.Float64frombits(bits)); string(got) != c.JSON {
			t.Errorf("%s: %s prints as %s, want %s", c.ID, c.Bits, got, c.JSON)
		}
		if got, err := parse(t, []byte(c.JSON)); err != nil || string(got.Indented) != c.JSON {
			t.Errorf("%s: %s reprints as %s, %v", c.ID, c.JSON, got.Indented, err)
		}
	})
}

func TestNumberParse(t *testing.T) {
	type numberCase struct {
		ID, Literal string
		Parses      bool
		JSON        string
	}
	each(t, vectors.Files(t, topic, "number-parse.jsonl"), func(t *testing.T, c numberCase) {
		got, err := parse(t, []byte(c.Literal))
		if (err == nil) != c.Parses || string(got.Indented) != c.JSON {
			t.Errorf("%s: %.80s reads as %s, %v, want %s", c.ID, c.Literal, got.Indented, err, c.JSON)
		}
	})
}

func TestStringEscape(t *testing.T) {
	type stringCase struct {
		ID         string
		UTF16LE    []byte `json:"utf16le_b64"`
		JSON       []byte `json:"json_b64"`
		JSONLength int    `json:"json_utf16_len"`
		Hash       string `json:"hash_of_json"`
	}
	each(t, vectors.Files(t, topic, "string-escape.jsonl"), func(t *testing.T, c stringCase) {
		escaped := []byte{'"'}
		for i := 0; i+1 < len(c.UTF16LE); i += 2 {
			escaped = append(escaped, `\u`+hex.EncodeToString([]byte{c.UTF16LE[i+1], c.UTF16LE[i]})...)
		}
		for _, text := range [][]byte{c.JSON, append(escaped, '"')} {
			got, err := parse(t, text)
			if err != nil || !bytes.Equal(got.Indented, c.JSON) || got.Units != c.JSONLength {
				t.Errorf("%s: %s prints as %s (%d units), %v, want %s (%d units)", c.ID, text, got.Indented, got.Units, err, c.JSON, c.JSONLength)
			}
		}
		hash := sum(c.JSON)
		if got := "%" + base64.StdEncoding.EncodeToString(hash[:]) + ".sha256"; got != c.Hash {
			t.Errorf("%s: hash %s, want %s", c.ID, got, c.Hash)
		}
	})
}

func TestKeyOrder(t *testing.T) {
	type keyCase struct {
		ID, JSON  string
		Keys      []string `json:"keys_after"`
		Canonical string
		Compact   string
	}
	each(t, vectors.Files(t, topic, "key-order.jsonl"), func(t *testing.T, c keyCase) {
		got, err := parse(t, []byte(c.JSON))
		if err != nil || string(got.Indented) != c.Canonical || string(got.Compact) != c.Compact {
			t.Errorf("%s: %s prints as %s, %v, want %s", c.ID, c.JSON, got.Compact, err, c.Compact)
		}
		var keys []string
		for _, m := range got.Members {
			var key string
			if err := json.Unmarshal(m.Key, &key); err != nil {
				t.Fatal(err)
			}
			keys = append(keys, key)
		}
		if strings.Join(keys, "\n") != strings.Join(c.Keys, "\n") {
			t.Errorf("%s: keys %q, want %q", c.ID, keys, c.Keys)
		}
	})
}

func TestYay(t *testing.T) {
	type yayCase struct {
		ID      string
		Raw     []byte `json:"raw_b64"`
		Signing []byte `json:"signing_b64"`
		Length  int    `json:"utf16_len"`
		SHA256  string
	}
	each(t, vectors.OptionalFiles(t, topic, "yay.jsonl"), func(t *testing.T, c yayCase) {
		got, err := parse(t, c.Raw)
		if err != nil || !bytes.Equal(got.Indented, c.Signing) || got.Units != c.Length {
			t.Errorf("%s: %s prints as %s (%d units), %v, want %s (%d units)", c.ID, c.Raw, got.Indented, got.Units, err, c.Signing, c.Length)
		}
		if hash := sum(got.Indented); hex.EncodeToString(hash[:]) != c.SHA256 {
			t.Errorf("%s: hash %x, want %s", c.ID, hash, c.SHA256)
		}
	})
}

// What the specification refuses and JavaScript takes is taken.
func TestNay(t *testing.T) {
	type nayCase struct {
		ID        string
		Raw       []byte `json:"raw_b64"`
		JSAccepts bool   `json:"js_accepts"`
		JSSigning []byte `json:"js_signing_b64"`
	}
	each(t, vectors.OptionalFiles(t, topic, "nay.jsonl"), func(t *testing.T, c nayCase) {
		got, err := parse(t, c.Raw)
		if (err == nil) != c.JSAccepts || !bytes.Equal(got.Indented, c.JSSigning) {
			t.Errorf("%s: %q prints as %s, %v, want %s", c.ID, c.Raw, got.Indented, err, c.JSSigning)
		}
	})
}
