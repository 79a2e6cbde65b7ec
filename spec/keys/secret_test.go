package keys_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/spec/internal/vectors"
	"github.com/ssbsync/ssbsync/spec/keys"
)

// loadedKeys is what ssb-keys makes of a secret file.
type loadedKeys struct{ Curve, Public, Private, ID string }

// UnmarshalJSON takes whatever the JSON of a secret file was: what is no
// string, or in no object, is left out.
func (k *loadedKeys) UnmarshalJSON(raw []byte) error {
	var fields map[string]any
	if json.Unmarshal(raw, &fields) == nil {
		k.Curve, _ = fields["curve"].(string)
		k.Public, _ = fields["public"].(string)
		k.Private, _ = fields["private"].(string)
		k.ID, _ = fields["id"].(string)
	}
	return nil
}

// usable reports whether these are an Ed25519 identity that does not
// contradict itself: the rule by which ParseSecret is stricter than ssb-keys,
// which returns whatever the JSON holds.
func (k *loadedKeys) usable() bool {
	public, suffix, _ := strings.Cut(k.Public, ".")
	if k.Curve != "" && k.Curve != "ed25519" || k.Curve == "" && suffix != "ed25519" {
		return false
	}
	private, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(k.Private, ".ed25519"))
	if err != nil || len(private) != 64 {
		return false
	}
	pair := keys.FromSeed([32]byte(private))
	return bytes.Equal(pair.Private(), private) && pair.Feed().String() == "@"+public+".ed25519" &&
		strings.TrimSuffix(k.ID, ".ed25519") == "@"+public
}

func TestSecretVectors(t *testing.T) {
	refused, stricter, same := 0, 0, 0
	vectors.Lines(t, vectors.Files(t, "secret-file", "secret-files.jsonl"), func(line []byte) {
		var c struct {
			ID, Note string
			File     []byte `json:"file_b64"`
			Loaded   *loadedKeys
		}
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		want := c.Loaded != nil && c.Loaded.usable()
		pair, err := keys.ParseSecret(c.File)
		if (err == nil) != want {
			t.Errorf("%s (%s): error %v, want a pair: %v", c.ID, c.Note, err, want)
			return
		}
		switch {
		case want:
			private := base64.StdEncoding.EncodeToString(pair.Private())
			if pair.Feed().String() != strings.TrimSuffix(c.Loaded.ID, ".ed25519")+".ed25519" || private != strings.TrimSuffix(c.Loaded.Private, ".ed25519") {
				t.Errorf("%s: read as %s", c.ID, pair)
			}
			if bytes.Equal(pair.FormatSecret(), c.File) {
				same++
			} else if strings.HasPrefix(c.Note, "as created by ssb-keys") {
				t.Errorf("%s: FormatSecret differs from ssb-keys:\n%s", c.ID, c.File)
			}
		case c.Loaded != nil:
			stricter++
		default:
			refused++
		}
	})
	if same == 0 {
		t.Error("no file was written as by ssb-keys")
	}
	t.Logf("%d files as FormatSecret writes them, %d refused by both, %d stricter", same, refused, stricter)
}

func TestSecretRoundTrip(t *testing.T) {
	for i := range 100 {
		pair := keys.FromSeed([32]byte{byte(i)})
		file := pair.FormatSecret()
		again, err := keys.ParseSecret(file)
		if err != nil || again.Feed() != pair.Feed() || !again.Private().Equal(pair.Private()) {
			t.Fatalf("%d: %v", i, err)
		}
		if crlf, err := keys.ParseSecret(bytes.ReplaceAll(file, []byte("\n"), []byte("\r\n"))); err != nil || crlf.Feed() != pair.Feed() {
			t.Fatalf("%d with CRLF: %v", i, err)
		}
	}
}

// TestSecretMangled changes every byte of the file. Nothing but another
// spelling of the same identity may be read, and no error holds a secret.
func TestSecretMangled(t *testing.T) {
	pair := keys.FromSeed([32]byte{7})
	file := pair.FormatSecret()
	secret := base64.StdEncoding.EncodeToString(pair.Private())
	cases, read := 0, 0
	for i := range file {
		for _, flip := range []byte{1 << (i % 7), 0xff ^ file[i], '#' ^ file[i], '"' ^ file[i], '\n' ^ file[i]} {
			mangled := bytes.Clone(file)
			mangled[i] ^= flip
			cases++
			got, err := keys.ParseSecret(mangled)
			if err == nil && got.Feed() != pair.Feed() {
				t.Errorf("byte %d ^ %#x: read as %s", i, flip, got)
			}
			if err == nil {
				read++
			} else if leaks(err.Error(), secret) {
				t.Errorf("byte %d ^ %#x: the error holds part of the secret", i, flip)
			}
		}
	}
	for i := range file {
		cases++
		if got, err := keys.ParseSecret(file[:i]); err == nil && got.Feed() != pair.Feed() {
			t.Errorf("cut at %d: read as %s", i, got)
		}
	}
	t.Logf("%d mangled files, %d changed only comments", cases, read)
}

// leaks reports whether s holds eight characters in a row of the secret half.
func leaks(s, secret string) bool {
	for i := 0; i+8 <= len(secret)/2; i++ {
		if strings.Contains(s, secret[i:i+8]) {
			return true
		}
	}
	return false
}

func TestSecretRefused(t *testing.T) {
	a, b := keys.FromSeed([32]byte{1}), keys.FromSeed([32]byte{2})
	private := func(p *keys.Pair) string { return base64.StdEncoding.EncodeToString(p.Private()) }
	public := func(p *keys.Pair) string { return strings.TrimPrefix(p.Feed().String(), "@") }
	mixed := append(bytes.Clone(a.Private()[:32]), b.Private()[32:]...)
	for name, file := range map[string]string{
		"keys of two":        `{"curve":"ed25519","public":"` + public(a) + `","private":"` + private(b) + `.ed25519"}`,
		"halves of two":      `{"curve":"ed25519","public":"` + public(b) + `","private":"` + base64.StdEncoding.EncodeToString(mixed) + `.ed25519"}`,
		"id of another":      `{"curve":"ed25519","public":"` + public(a) + `","private":"` + private(a) + `","id":"` + b.Feed().String() + `"}`,
		"id of a message":    `{"curve":"ed25519","public":"` + public(a) + `","private":"` + private(a) + `","id":"%` + public(a) + `"}`,
		"no public key":      `{"curve":"ed25519","private":"` + private(a) + `"}`,
		"no private key":     `{"curve":"ed25519","public":"` + public(a) + `"}`,
		"no curve, no tag":   `{"public":"` + strings.TrimSuffix(public(a), ".ed25519") + `","private":"` + private(a) + `"}`,
		"upper-case names":   `{"curve":"ed25519","Public":"` + public(a) + `","Private":"` + private(a) + `"}`,
		"number for a key":   `{"curve":"ed25519","public":1,"private":2}`,
		"array":              `["` + private(a) + `"]`,
		"string":             `"` + private(a) + `"`,
		"null":               `null`,
		"two objects":        string(a.FormatSecret()) + "\n" + string(a.FormatSecret()),
		"comments only":      "# a\n# b",
		"too long":           string(a.FormatSecret()) + strings.Repeat("\n", 64<<10),
		"url-safe alphabet":  `{"curve":"ed25519","public":"` + public(a) + `","private":"` + base64.URLEncoding.EncodeToString(a.Private()) + `"}`,
		"no padding":         `{"curve":"ed25519","public":"` + public(a) + `","private":"` + strings.TrimRight(private(a), "=") + `"}`,
		"line break escaped": `{"curve":"ed25519","public":"` + public(a) + `","private":"` + private(a)[:8] + `\n` + private(a)[8:] + `"}`,
	} {
		if name == "url-safe alphabet" && !strings.ContainsAny(base64.URLEncoding.EncodeToString(a.Private()), "-_") {
			t.Fatal("this key has no character that the alphabets differ in")
		}
		if pair, err := keys.ParseSecret([]byte(file)); err == nil {
			t.Errorf("%s: read as %s", name, pair)
		} else if leaks(err.Error(), private(a)) || leaks(err.Error(), private(b)) {
			t.Errorf("%s: the error holds part of the secret", name)
		}
	}
}

// TestSecretOddities are files that ssb-keys loads although they look broken.
func TestSecretOddities(t *testing.T) {
	pair := keys.FromSeed([32]byte{3})
	public := strings.TrimPrefix(pair.Feed().String(), "@")
	private := base64.StdEncoding.EncodeToString(pair.Private())
	plain := `{"curve":"ed25519","public":"` + public + `","private":"` + private + `"}`
	for name, file := range map[string]string{
		"plain":                       plain,
		"no curve":                    strings.Replace(plain, `"curve":"ed25519",`, "", 1),
		"curve null":                  strings.Replace(plain, `"curve":"ed25519"`, `"curve":null`, 1),
		"id without sigil":            strings.Replace(plain, "{", `{"id":"x",`, 1),
		"id of another format":        strings.Replace(plain, "{", `{"id":"ssb:feed/bendybutt-v1/x",`, 1),
		"line break inside a string":  strings.Replace(plain, private[:9], private[:5]+"\n"+private[5:9], 1),
		"comment inside a string":     strings.Replace(plain, private[:9], private[:5]+" \t# x\r\n"+private[5:9], 1),
		"the last of duplicate names": strings.Replace(plain, `{`, `{"private":"x",`, 1),
		"upper bits set":              strings.Replace(plain, `{`, "\xfb", 1) + "\n\xa3 comment",
	} {
		got, err := keys.ParseSecret([]byte(file))
		if err != nil || got.Feed() != pair.Feed() {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzSecret: what is read can be written and read again, and no error repeats
// the file.
func FuzzSecret(f *testing.F) {
	pair := keys.FromSeed([32]byte{4})
	secret := base64.StdEncoding.EncodeToString(pair.Private())
	f.Add(pair.FormatSecret())
	f.Add([]byte(`{"curve":"ed25519","public":"` + strings.TrimPrefix(pair.Feed().String(), "@") + `","private":"` + secret + `"}`))
	f.Add([]byte("# x\n{\"id\":\"a\\u0041\"}#"))
	f.Fuzz(func(t *testing.T, file []byte) {
		got, err := keys.ParseSecret(file)
		if err != nil {
			if leaks(err.Error(), secret) {
				t.Errorf("the error holds part of the secret: %v", err)
			}
			return
		}
		again, err := keys.ParseSecret(got.FormatSecret())
		if err != nil || again.Feed() != got.Feed() {
			t.Errorf("%s: read back: %v", got, err)
		}
	})
}
