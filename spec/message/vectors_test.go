package message_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"testing"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/spec/internal/vectors"
	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
)

const topic = "legacy-message"

// vector is one case of any set but go-ssb-real-feed. What a set or a case
// lacks is nil and not checked.
type vector struct {
	ID, Kind, Note string
	HMACKey        any `json:"hmac_key"`
	State          *struct {
		ID       string
		Sequence int64
	}
	Raw           string
	RawBytes      []byte `json:"raw_b64"` // instead of Raw when that is not UTF-8
	Valid         bool
	Error         string
	Key           *string
	Encoded       *string
	Units         *int    `json:"encoded_utf16_len"`
	EncodedSum    *string `json:"encoded_sha256_utf8"`
	UnsignedSum   *string `json:"unsigned_sha256_utf8"`
	HashOfEncoded *string `json:"hash_of_encoded"`
	UTF8Bytes     *int    `json:"utf8_bytes"`
	CompactBytes  *int    `json:"compact_utf8_bytes"`
	CreateOK      *bool   `json:"create_ok"`
	KVTKey        *string `json:"kvt_key"`
	KVTKeyMatches *bool   `json:"kvt_key_matches"`
	ExpectedHash  *string `json:"expected_hash"`
	SameKey       *bool   `json:"same_key_as_original"`
	Agree         *bool   `json:"implementations_agree"`
}

func (c *vector) raw() []byte {
	if c.RawBytes != nil {
		return c.RawBytes
	}
	return []byte(c.Raw)
}

// net returns the case's network, false if its key is none. The sets print a
// key that is an empty string as null.
func (c *vector) net() (*keys.HMAC, bool) {
	key, isString := c.HMACKey.(string)
	if c.HMACKey == nil && c.Error != "invalid HMAC key" {
		return nil, true
	}
	if !isString && c.HMACKey != nil {
		return nil, false
	}
	net, err := keys.ParseHMAC(key)
	return net, err == nil
}

// head returns the feed before the case's message, whose author it has.
func (c *vector) head(t *testing.T, feed refs.Feed) message.Head {
	head := message.Head{Feed: feed}
	if c.State != nil {
		id, err := refs.ParseMessage(c.State.ID)
		if err != nil {
			t.Fatalf("%s: %v", c.ID, err)
		}
		head.Seq, head.ID = c.State.Sequence, id
	}
	return head
}

// choice names the rule by which we refuse what ssb-validate takes; it is
// empty when we follow it. The rules are those of spec/README.md.
func (c *vector) choice(text ecmajson.Text) string {
	if !c.Valid {
		return ""
	}
	var sig string
	json.Unmarshal(ecmajson.Get(text.Compact, "signature"), &sig)
	base, _, _ := bytes.Cut([]byte(sig), []byte(".sig."))
	if raw, err := base64.StdEncoding.DecodeString(string(base)); err != nil || len(raw) != 64 {
		return "the signature is not 64 bytes"
	}
	if string(ecmajson.Get(text.Compact, "timestamp")) == "null" && c.State == nil {
		return "valid as written, not as printed again"
	}
	return ""
}

// tally counts what the cases of a test were.
type tally struct {
	cases, valid, grey int
	choices            map[string]int
	values             map[refs.Message][]byte
	same               map[refs.Message]bool // whether an id is an original's
}

func TestVectors(t *testing.T) {
	for _, set := range []struct {
		name string
		ours bool
	}{
		{"generated-feeds.jsonl", true},
		{"mutations.jsonl", true},
		{"size-limit.jsonl", true},
		{"wire-variants.jsonl", true},
		{"ssb-keys-weird.jsonl", false},
		{"ssb-validation-dataset.jsonl", false},
		{"sunrise-ssb-validate-messages.jsonl", false},
	} {
		t.Run(set.name, func(t *testing.T) {
			find := vectors.OptionalFiles
			if set.ours {
				find = vectors.Files
			}
			n := tally{choices: make(map[string]int), values: make(map[refs.Message][]byte), same: make(map[refs.Message]bool)}
			vectors.Lines(t, find(t, topic, set.name), func(line []byte) {
				var c vector
				if err := json.Unmarshal(line, &c); err != nil {
					t.Fatalf("%.80s: %v", line, err)
				}
				n.check(t, &c)
			})
			t.Logf("%d cases: %d valid, implementations disagree on %d, refused by choice %v", n.cases, n.valid, n.grey, n.choices)
		})
	}
}

func (n *tally) check(t *testing.T, c *vector) {
	var parser ecmajson.Parser
	text, err := parser.Parse(c.raw())
	if err == nil {
		checkText(t, c, text)
	}
	want := c.Valid
	if rule := c.choice(text); rule != "" {
		n.choices[rule]++
		want = false
	}
	m := verifyInChain(t, c)
	if (m != nil) != want {
		t.Errorf("%s (%s): valid %v, want %v: %s", c.ID, c.Note, m != nil, want, c.Error)
	}
	n.cases++
	if c.Agree != nil && !*c.Agree {
		n.grey++
	}
	if m != nil {
		n.valid++
		checkMessage(t, c, m, text)
		n.checkSame(t, c, m)
	}
	checkCreate(t, c, text)
}

// verifyInChain returns the case's message if it is valid and attaches.
func verifyInChain(t *testing.T, c *vector) *message.Message {
	net, ok := c.net()
	if !ok {
		return nil
	}
	m, err := message.Verify(c.raw(), net)
	batch := message.VerifyBatch([][]byte{c.raw()}, net, keys.NewVerifier())[0]
	if (batch.Err == nil) != (err == nil) || (batch.Message != nil) != (m != nil) {
		t.Errorf("%s: alone %v, in a batch %v", c.ID, err, batch.Err)
	}
	if err != nil {
		if _, typed := err.(*message.InvalidError); !typed {
			t.Errorf("%s: error %T", c.ID, err)
		}
		return nil
	}
	head, err := c.head(t, m.Feed()).Next(m)
	if err != nil {
		return nil
	}
	if want := (message.Head{Feed: m.Feed(), Seq: m.Seq(), ID: m.ID()}); head != want {
		t.Errorf("%s: head %v, want %v", c.ID, head, want)
	}
	return m
}

// equal compares what the case says, if it says so, with what we have.
func equal[T comparable](t *testing.T, c *vector, what string, want *T, got T) {
	if want != nil && got != *want {
		t.Errorf("%s (%s): %s %v, want %v", c.ID, c.Note, what, got, *want)
	}
}

func hexSum(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// checkText checks the canonical text, also of values that are not valid.
func checkText(t *testing.T, c *vector, text ecmajson.Text) {
	equal(t, c, "units", c.Units, text.Units)
	equal(t, c, "sum", c.EncodedSum, hexSum(text.Indented))
	equal(t, c, "unsigned sum", c.UnsignedSum, hexSum(unsigned(t, text)))
	equal(t, c, "text", c.Encoded, string(text.Indented))
	equal(t, c, "bytes", c.UTF8Bytes, len(text.Indented))
	equal(t, c, "compact bytes", c.CompactBytes, len(text.Compact))
	id := refs.Message(sha256.Sum256(ecmajson.AppendLowBytes(nil, text.Indented)))
	equal(t, c, "hash", c.HashOfEncoded, id.String())
}

// unsigned returns the indented text without the member signature.
func unsigned(t *testing.T, text ecmajson.Text) []byte {
	if len(text.Members) == 0 {
		return text.Indented
	}
	var parts [][]byte
	for _, m := range text.Members {
		if string(m.Key) != `"signature"` {
			parts = append(parts, append(append(bytes.Clone(m.Key), ':'), m.Value...))
		}
	}
	indented, err := ecmajson.Indent(append(append([]byte{'{'}, bytes.Join(parts, []byte{','})...), '}'))
	if err != nil {
		t.Fatal(err)
	}
	return indented
}

func checkMessage(t *testing.T, c *vector, m *message.Message, text ecmajson.Text) {
	id := m.ID().String()
	equal(t, c, "key", c.Key, id)
	equal(t, c, "expected hash", c.ExpectedHash, id)
	if c.KVTKey != nil {
		equal(t, c, "published key matches", c.KVTKeyMatches, id == *c.KVTKey)
	}
	if !m.Valid() || !bytes.Equal(m.Value(), text.Compact) {
		t.Errorf("%s: value %s, want %s", c.ID, m.Value(), text.Compact)
	}
	if want := ecmajson.Get(text.Compact, "content"); !bytes.Equal(m.Content(), want) {
		t.Errorf("%s: content %s, want %s", c.ID, m.Content(), want)
	}
	view, err := message.Fields(m.Value())
	if err != nil || view.Feed != m.Feed() || view.Seq != m.Seq() || view.Previous != m.Previous() ||
		!bytes.Equal(view.Content, m.Content()) || !sameNumber(view.Timestamp, m.Timestamp()) {
		t.Errorf("%s: fields %+v, %v", c.ID, view, err)
	}
}

// sameNumber is == for which NaN equals NaN.
func sameNumber(a, b float64) bool { return a == b || a != a && b != b }

// checkSame checks that every spelling of a message gives the same bytes, and
// that what is another message has another id.
func (n *tally) checkSame(t *testing.T, c *vector, m *message.Message) {
	if other, ok := n.values[m.ID()]; ok && !bytes.Equal(other, m.Value()) {
		t.Errorf("%s: %s, with the same id before %s", c.ID, m.Value(), other)
	}
	n.values[m.ID()] = m.Value()
	if c.SameKey == nil {
		return
	}
	if same, ok := n.same[m.ID()]; ok && same != *c.SameKey {
		t.Errorf("%s: same id as the original: %v", c.ID, same)
	}
	n.same[m.ID()] = *c.SameKey
}

// checkCreate creates the case's message anew. Where ssb-validate creates
// what it then does not verify, we do not.
func checkCreate(t *testing.T, c *vector, text ecmajson.Text) {
	if c.CreateOK == nil {
		return
	}
	pair := keys.FromSeed([32]byte{})
	view, err := message.Fields(text.Compact)
	if err != nil {
		t.Fatal(err)
	}
	_, err = message.Create(pair, c.head(t, pair.Feed()), view.Content, view.Timestamp, nil)
	if want := *c.CreateOK && c.Valid; (err == nil) != want {
		t.Errorf("%s (%s): created %v, want %v", c.ID, c.Note, err, want)
	}
}

// One real feed, message after message.
func TestRealFeed(t *testing.T) {
	type realCase struct {
		ID       string
		KVT      string `json:"kvt_raw"`
		Encoded  string
		Unsigned string `json:"encoded_unsigned"`
		Key      string
		Recheck  bool `json:"js_recheck"`
	}
	var head message.Head
	vectors.Lines(t, vectors.OptionalFiles(t, topic, "go-ssb-real-feed.jsonl"), func(line []byte) {
		var c realCase
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		m, err := message.Verify(ecmajson.Get([]byte(c.KVT), "value"), nil)
		if (err == nil) != c.Recheck {
			t.Fatalf("%s: %v", c.ID, err)
		}
		if head.Seq >= m.Seq() || head.Seq == 0 { // the first of a set
			head = message.Head{Feed: m.Feed(), Seq: m.Seq() - 1, ID: m.Previous()}
		}
		if head, err = head.Next(m); err != nil || m.ID().String() != c.Key {
			t.Errorf("%s: %v, id %s, want %s", c.ID, err, m.ID(), c.Key)
		}
		var parser ecmajson.Parser
		text, err := parser.Parse(m.Value())
		if err != nil || string(text.Indented) != c.Encoded || string(unsigned(t, text)) != c.Unsigned {
			t.Errorf("%s: %s, %v, want %s", c.ID, text.Indented, err, c.Encoded)
		}
	})
}
