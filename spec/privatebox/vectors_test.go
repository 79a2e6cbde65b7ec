package privatebox_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/spec/internal/vectors"
	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/privatebox"
	"github.com/ssbsync/ssbsync/spec/refs"
)

const topic = "private-box"

// hexBytes is bytes written in hex.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// randomness is what a writer draws: pinned in the vectors.
type randomness struct {
	Nonce     hexBytes `json:"nonce"`
	BodyKey   hexBytes `json:"body_key"`
	Ephemeral hexBytes `json:"ephemeral_secret"`
}

func (r *randomness) reader() *bytes.Reader {
	return bytes.NewReader(bytes.Join([][]byte{r.Nonce, r.BodyKey, r.Ephemeral}, nil))
}

// identity is a key pair as ssb-keys writes it.
type identity struct {
	ID      refs.Feed `json:"id"`
	Private string    `json:"private"`
}

func (id identity) reader(t *testing.T) *privatebox.Reader {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(id.Private, ".ed25519"))
	if err != nil || len(raw) != 64 {
		t.Fatalf("private key %q: %v", id.Private, err)
	}
	return privatebox.NewReader(keys.FromSeed([32]byte(raw[:32])))
}

// unbox is ssb-keys' unbox: nil stands for undefined.
func unbox(r *privatebox.Reader, box string) []byte {
	key, ok := r.Key(box)
	if !ok {
		return nil
	}
	content, _ := privatebox.Open(box, key)
	return content
}

// canonical returns JSON as JSON.stringify prints it, nil for null.
func canonical(t *testing.T, raw []byte) []byte {
	t.Helper()
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	text, err := ecmajson.Compact(raw)
	if err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return text
}

func TestSSBKeysVectors(t *testing.T) {
	vectors.Lines(t, vectors.Files(t, topic, "ssb-keys-box.jsonl"), func(line []byte) {
		var c struct {
			ID, Note string
			randomness
			Plaintext    []byte `json:"plaintext_b64"`
			Recipients   []identity
			Box          string
			Unboxes      bool     `json:"unbox_ok_for_all"`
			KeyOfFirst   hexBytes `json:"unbox_key_first"`
			NonRecipient struct {
				identity
				Result json.RawMessage
			} `json:"non_recipient"`
		}
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		name := c.ID + ", " + c.Note
		var to []refs.Feed
		for _, r := range c.Recipients {
			to = append(to, r.ID)
		}
		box, err := privatebox.Box(c.reader(), c.Plaintext, to)
		if err != nil || box != c.Box {
			t.Errorf("%s: boxed %s, %v, not %s", name, box, err, c.Box)
		}
		for i, r := range c.Recipients {
			key, ok := r.reader(t).Key(c.Box)
			content, opened := privatebox.Open(c.Box, key)
			if opened != c.Unboxes || opened && !bytes.Equal(content, c.Plaintext) { // JSON.stringify made it
				t.Errorf("%s: recipient %d opens %q, %v", name, i, content, opened)
			}
			if i == 0 && (!ok || !bytes.Equal(key[:], c.KeyOfFirst)) {
				t.Errorf("%s: the key of the first is %x, %v", name, key[:], ok)
			}
		}
		if got := unbox(c.NonRecipient.reader(t), c.Box); !bytes.Equal(got, canonical(t, c.NonRecipient.Result)) {
			t.Errorf("%s: a stranger opens %q", name, got)
		}
	})
}

func TestUnboxVectors(t *testing.T) {
	vectors.Lines(t, vectors.Files(t, topic, "unbox-strings.jsonl"), func(line []byte) {
		var c struct {
			ID, Note, Box, Private string
			Result                 json.RawMessage
		}
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		if got := unbox(identity{Private: c.Private}.reader(t), c.Box); !bytes.Equal(got, canonical(t, c.Result)) {
			t.Errorf("%s, %s: opened %q, not %s", c.ID, c.Note, got, c.Result)
		}
	})
}

// rawCase is a case of private-box itself, with X25519 keys.
type rawCase struct {
	ID, Note string
	randomness
	Error      *string
	Plaintext  []byte `json:"plaintext_b64"`
	Ciphertext []byte `json:"ctxt_b64"`
	Recipients []struct {
		Secret hexBytes `json:"curve_sk"`
		Public hexBytes `json:"curve_pk"`
	}
	WithMax7    []*string `json:"opens_with_max7"`
	WithSameMax []*string `json:"opens_with_same_max"`
	Results     []*string
}

// limit is the greatest number of recipients, and how many are asked for.
func (c *rawCase) limit() (recipients, limit int) {
	if n, _ := fmt.Sscanf(c.Note, "%d recipients, max %d", &recipients, &limit); n == 2 {
		return recipients, limit
	}
	return len(c.Recipients), privatebox.MaxRecipients
}

func TestRawVectors(t *testing.T) {
	vectors.Lines(t, vectors.Files(t, topic, "private-box-raw.jsonl"), func(line []byte) {
		var c rawCase
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		_, limit := c.limit()
		c.checkSeal(t, limit)
		c.checkOpen(t, c.WithMax7, privatebox.MaxRecipients)
		c.checkOpen(t, c.WithSameMax, limit)
		c.checkOpen(t, c.Results, privatebox.MaxRecipients)
	})
}

func (c *rawCase) checkSeal(t *testing.T, limit int) {
	t.Helper()
	n, _ := c.limit()
	to := make([][32]byte, n)
	switch {
	case c.Error != nil:
		if _, err := privatebox.SealRaw(bytes.NewReader(make([]byte, 88)), nil, to, limit); err == nil || err.Error() != *c.Error {
			t.Errorf("%s, %s: %v, not %s", c.ID, c.Note, err, *c.Error)
		}
	case c.Nonce != nil:
		for i, r := range c.Recipients {
			to[i] = [32]byte(r.Public)
		}
		raw, err := privatebox.SealRaw(c.reader(), c.Plaintext, to, limit)
		if err != nil || !bytes.Equal(raw, c.Ciphertext) {
			t.Errorf("%s, %s: sealed %x, %v", c.ID, c.Note, raw, err)
		}
	}
}

// checkOpen compares what each recipient reads; null and errors are nothing.
func (c *rawCase) checkOpen(t *testing.T, want []*string, limit int) {
	t.Helper()
	for i, result := range want {
		text, ok := privatebox.OpenRaw(c.Ciphertext, c.Recipients[i].Secret, limit)
		opens := result != nil && !strings.HasPrefix(*result, "throws ")
		if ok != opens || ok && string(text) != *result {
			t.Errorf("%s, %s: recipient %d of those up to %d opens %q, %v", c.ID, c.Note, i, limit, text, ok)
		}
	}
}

func TestSecretBoxVectors(t *testing.T) {
	vectors.Lines(t, vectors.Files(t, topic, "secretbox.jsonl"), func(line []byte) {
		var c struct {
			ID    string
			Key   hexBytes
			JSON  string
			Boxed []byte `json:"boxed_b64"`
		}
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		if got := privatebox.SealSecret([]byte(c.JSON), [32]byte(c.Key)); !bytes.Equal(got, c.Boxed) {
			t.Errorf("%s: sealed %x", c.ID, got)
		}
		if got, ok := privatebox.OpenSecret(c.Boxed, [32]byte(c.Key)); !ok || string(got) != c.JSON {
			t.Errorf("%s: opened %q, %v", c.ID, got, ok)
		}
		if _, ok := privatebox.OpenSecret(c.Boxed[:len(c.Boxed)-1], [32]byte(c.Key)); ok {
			t.Errorf("%s: opened what is cut short", c.ID)
		}
	})
}

// TestRustVector opens the box of another implementation's tests.
func TestRustVector(t *testing.T) {
	for _, path := range vectors.OptionalFiles(t, topic, "private-box-rs-simple.json") {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var c struct {
			Box  string `json:"cypher_text"`
			Msg  string
			Keys []struct{ Secret string }
		}
		if err := json.Unmarshal(raw, &c); err != nil || len(c.Keys) == 0 {
			t.Fatalf("%s: %v", path, err)
		}
		ciphertext, err := base64.StdEncoding.DecodeString(c.Box)
		if err != nil {
			t.Fatal(err)
		}
		for i, k := range c.Keys {
			secret, err := base64.StdEncoding.DecodeString(k.Secret)
			if err != nil || len(secret) != 64 {
				t.Fatal(err)
			}
			private := keys.FromSeed([32]byte(secret[:32])).Curve25519()
			if text, ok := privatebox.OpenRaw(ciphertext, private[:], privatebox.MaxRecipients); !ok || string(text) != c.Msg {
				t.Errorf("%s: key %d opens %q, %v", path, i, text, ok)
			}
		}
		t.Logf("%s: %d cases", path, len(c.Keys))
	}
}
