package keys

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// maxSecret bounds a secret file, in bytes. Those of ssb-keys have 800.
const maxSecret = 64 << 10

// curveName is the only curve there are feeds of.
const curveName = "ed25519"

// ParseSecret reads the secret file of an identity as the JavaScript programs
// and FormatSecret write it. Source: npm ssb-keys 8.5.0, storage.js.
//
// Every "#" begins a comment, even inside a string, that reaches to the end of
// the line and takes the white space before it along; so no value can hold
// one. What is left is one JSON object. Keys may lack the suffix ".ed25519".
//
// Stricter than ssb-keys: a key pair that does not belong together, that
// contradicts the file's id, or that is not Ed25519, is an error, not an
// identity that fails later. Errors do not repeat any of the file.
func ParseSecret(file []byte) (*Pair, error) {
	if len(file) > maxSecret {
		return nil, fmt.Errorf("secret file is %d bytes long, more than %d", len(file), maxSecret)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(stripComments(file), &fields); err != nil || fields == nil {
		return nil, errors.New("secret file is not a JSON object with comments")
	}
	if err := checkCurve(fields); err != nil {
		return nil, err
	}
	pair, err := parsePrivate(text(fields["private"]))
	if err != nil {
		return nil, err
	}
	public := strings.TrimSuffix(text(fields["public"]), "."+curveName)
	if "@"+public+"."+curveName != pair.feed.String() {
		return nil, errors.New("secret file: the public key is not that of the private key")
	}
	if id := text(fields["id"]); hasSigil(id) && id != pair.feed.String() {
		return nil, fmt.Errorf("secret file: its id is not that of its keys, %s", pair.feed)
	}
	return pair, nil
}

// stripComments returns the file without comments and line breaks. Like
// ssb-keys it reads the file as ASCII, by dropping the upper bit: whatever is
// not ASCII becomes something else.
func stripComments(file []byte) []byte {
	out := make([]byte, 0, len(file))
	comment := false
	for _, c := range file {
		c &= 0x7f
		switch {
		case c == '\n':
			comment = false
			out = append(out, c)
		case comment:
		case c == '#':
			comment = true
			out = bytes.TrimRight(out, " \t\n\v\f\r")
		default:
			out = append(out, c)
		}
	}
	return bytes.ReplaceAll(out, []byte("\n"), nil)
}

// checkCurve refuses keys of other curves. A file that names none leaves it to
// the suffix of its public key.
func checkCurve(fields map[string]json.RawMessage) error {
	curve := text(fields["curve"])
	if curve == "" {
		_, curve, _ = strings.Cut(text(fields["public"]), ".")
	}
	if curve != curveName {
		return fmt.Errorf("secret file: its keys are not of the curve %s", curveName)
	}
	return nil
}

func parsePrivate(s string) (*Pair, error) {
	s = strings.TrimSuffix(s, "."+curveName)
	raw, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(raw) != ed25519.PrivateKeySize || base64.StdEncoding.EncodeToString(raw) != s {
		return nil, errors.New("secret file: the private key is not the base64 of 64 bytes")
	}
	pair := FromSeed([32]byte(raw))
	if !pair.private.Equal(ed25519.PrivateKey(raw)) {
		return nil, errors.New("secret file: the halves of the private key do not belong together")
	}
	return pair, nil
}

// text returns the string that raw is in JSON, "" if it is none.
func text(raw json.RawMessage) (s string) {
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

func hasSigil(id string) bool { return id != "" && strings.IndexByte("@%&", id[0]) >= 0 }

// FormatSecret returns the secret file of p, the same bytes that ssb-keys
// writes: no line break at the end. It belongs into a file that nobody else
// can read.
func (p *Pair) FormatSecret() []byte {
	public := strings.TrimPrefix(p.feed.String(), "@")
	private := base64.StdEncoding.EncodeToString(p.private) + "." + curveName
	return fmt.Appendf(nil, secretForm, curveName, public, private, p.feed, p.feed)
}

const secretForm = `# WARNING: Never show this to anyone.
# WARNING: Never edit it or use it on multiple devices at once.
#
# This is your SECRET, it gives you magical powers. With your secret you can
# sign your messages so that your friends can verify that the messages came
# from you. If anyone learns your secret, they can use it to impersonate you.
#
# If you use this secret on more than one device you will create a fork and
# your friends will stop replicating your content.
#
{
  "curve": "%s",
  "public": "%s",
  "private": "%s",
  "id": "%s"
}
#
# The only part of this file that's safe to share is your public name:
#
#   %s`
