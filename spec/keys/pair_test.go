package keys_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/ssbsync/ssbsync/spec/internal/vectors"
	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// unhex decodes what vectors give in hexadecimal.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSignVectors(t *testing.T) {
	vectors.Lines(t, vectors.Files(t, "crypto", "sign.jsonl"), func(line []byte) {
		var c struct {
			Seed, ID, Private, Message, Signature string
			HMAC                                  *string `json:"hmac_key"`
		}
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		var net *keys.HMAC
		if c.HMAC != nil {
			var err error
			if net, err = keys.ParseHMAC(*c.HMAC); err != nil {
				t.Fatal(err)
			}
		}
		pair := keys.FromSeed([32]byte(unhex(t, c.Seed)))
		if pair.Feed().String() != c.ID || base64.StdEncoding.EncodeToString(pair.Private())+".ed25519" != c.Private {
			t.Errorf("seed %s: keys of %s", c.Seed, pair)
		}
		payload := net.Payload(unhex(t, c.Message))
		sig := pair.Sign(payload)
		if got := base64.StdEncoding.EncodeToString(sig[:]) + ".sig.ed25519"; got != c.Signature {
			t.Errorf("seed %s: signature %s", c.Seed, got)
		}
		if !keys.Verify(pair.Feed(), payload, &sig) {
			t.Errorf("seed %s: the signature does not verify", c.Seed)
		}
		if len(payload) > 0 {
			payload[0] ^= 1
			if keys.Verify(pair.Feed(), payload, &sig) {
				t.Errorf("seed %s: a signature of something else verifies", c.Seed)
			}
		}
	})
}

func TestAuthVectors(t *testing.T) {
	vectors.Lines(t, vectors.Files(t, "crypto", "crypto_auth.jsonl"), func(line []byte) {
		var c struct{ ID, Key, Message, Auth string }
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		key := keys.HMAC(unhex(t, c.Key))
		if sum := key.Sum(unhex(t, c.Message)); hex.EncodeToString(sum[:]) != c.Auth {
			t.Errorf("%s: %x", c.ID, sum)
		}
	})
}

func TestParseHMAC(t *testing.T) {
	text := base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))
	if key, err := keys.ParseHMAC(text); err != nil || string(key[:4]) != "0123" {
		t.Fatal(key, err)
	}
	for _, bad := range []string{"", text[:43], text + "=", text[:4] + "\n" + text[4:], " " + text, text[:42] + "Z=", "MDEy", text + ".hmac"} {
		if _, err := keys.ParseHMAC(bad); err == nil {
			t.Errorf("%q was read", bad)
		} else if len(bad) > 8 && strings.Contains(err.Error(), bad[8:16]) {
			t.Errorf("the error repeats the key: %v", err)
		}
	}
}

func TestCurve25519Vectors(t *testing.T) {
	vectors.Lines(t, vectors.Files(t, "crypto", "ed25519-to-curve25519.jsonl"), func(line []byte) {
		var c struct {
			Seed, ID, Private string
			PK                string `json:"curve_pk"`
			SK                string `json:"curve_sk"`
		}
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		pair := keys.FromSeed([32]byte(unhex(t, c.Seed)))
		public, err := keys.Curve25519(pair.Feed())
		private := pair.Curve25519()
		if pair.Feed().String() != c.ID || err != nil || hex.EncodeToString(public[:]) != c.PK || hex.EncodeToString(private[:]) != c.SK {
			t.Errorf("%s: public %x, private %x, %v", c.ID, public, private, err)
		}
	})
	vectors.Lines(t, vectors.Files(t, "crypto", "bad-pk-to-curve25519.jsonl"), func(line []byte) {
		var c struct{ ID, PK, Result string }
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		got, err := keys.Curve25519(refs.Feed(unhex(t, c.PK)))
		if c.Result == "null" && err == nil || c.Result != "null" && hex.EncodeToString(got[:]) != c.Result {
			t.Errorf("%s: %x, %v, want %s", c.ID, got, err, c.Result)
		}
	})
}

func TestGenerate(t *testing.T) {
	pair, err := keys.Generate(strings.NewReader(strings.Repeat("s", 32)))
	if err != nil || pair.Feed() != keys.FromSeed([32]byte([]byte(strings.Repeat("s", 32)))).Feed() {
		t.Fatal(pair, err)
	}
	if _, err := keys.Generate(strings.NewReader("short")); err == nil {
		t.Error("a pair of five bytes")
	}
	if _, err := keys.Generate(iotest.ErrReader(errors.New("no entropy"))); err == nil || !strings.Contains(err.Error(), "no entropy") {
		t.Errorf("error %v", err)
	}
}

// TestPrintedPairHoldsNoSecret prints a pair in all the ways that happen by
// accident.
func TestPrintedPairHoldsNoSecret(t *testing.T) {
	pair := keys.FromSeed([32]byte{9})
	//lint:ignore SA9005 that there is nothing to marshal is what is tested
	asJSON, _ := json.Marshal(pair)
	private := fmt.Sprint([]byte(pair.Private()))
	for _, s := range []string{
		fmt.Sprint(pair), fmt.Sprintf("%+v %#v %s %q", pair, pair, pair, pair), string(asJSON),
		fmt.Sprintf("%v %+v %#v", struct{ P *keys.Pair }{pair}, []*keys.Pair{pair}, pair),
		fmt.Sprintf("%x %d %v %+v", pair, pair, *pair, struct{ P keys.Pair }{*pair}),
	} {
		if strings.Contains(s, private[1:20]) || leaks(s, base64.StdEncoding.EncodeToString(pair.Private())) ||
			strings.Contains(strings.ToLower(s), hex.EncodeToString(pair.Private()[:8])) {
			t.Errorf("printed: %s", s)
		}
	}
}
