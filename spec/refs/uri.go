package refs

import (
	"errors"
	"fmt"
	"strings"
)

// URI is an ssb: URI taken apart.
//
//	ssb:TYPE/FORMAT/DATA[/EXTRA][?QUERY]   message, feed, blob, encryption-key, identity
//	ssb:address/multiserver?QUERY          with the address as multiserverAddress
//	ssb:experimental?QUERY                 with an action and its parameters
//
// Source: ssb-uri-spec. Also read, never written: ":" as the separator,
// "ssb://" before parts with "/", and the formats "ed25519" and "sha256",
// which mean "classic".
type URI struct {
	Type   string // "message", "feed", "blob", "address", "encryption-key", "identity" or "experimental"
	Format string // "classic", "bendybutt-v1", …; empty for "experimental"
	Data   string // 44 characters of standard base64; empty without data
	Extra  string // the parent message of a buttwoo-v1 feed, else empty
	Query  Query
}

// The types of URIs that have a meaning of their own here.
const (
	typeMessage      = "message"
	typeFeed         = "feed"
	typeBlob         = "blob"
	typeAddress      = "address"
	typeExperimental = "experimental"

	formatClassic     = "classic"
	formatCloaked     = "cloaked"
	formatMultiserver = "multiserver"
	formatButtwoo     = "buttwoo-v1"

	paramAddress = "multiserverAddress"
)

var errURIPath = errors.New("the path is not that of a known type and format")

// ParseURI reads an ssb: URI.
func ParseURI(s string) (URI, error) {
	u, err := parseURI(s)
	if err != nil {
		return URI{}, fmt.Errorf("ssb uri %q: %v", s[:min(len(s), maxQuoted)], err)
	}
	return u, nil
}

func parseURI(s string) (URI, error) {
	if len(s) > maxRef {
		return URI{}, fmt.Errorf("%d bytes are more than %d", len(s), maxRef)
	}
	rest, ok := strings.CutPrefix(s, "ssb:")
	if !ok {
		return URI{}, errors.New(`it does not begin with "ssb:"`)
	}
	for i := range len(rest) {
		if c := rest[i]; c <= ' ' || c >= 0x7f || c == '#' {
			return URI{}, fmt.Errorf("character %q is not allowed", c)
		}
	}
	path, query, _ := strings.Cut(rest, "?")
	u := URI{Query: parseQuery(query)}
	return u, u.setPath(splitPath(path))
}

// splitPath cuts a path at its separator: "/" after "//", else whichever of
// "/" and ":" comes first. A separator may end a path without data.
func splitPath(path string) []string {
	sep := "/"
	if after, ok := strings.CutPrefix(path, "//"); ok {
		path = after
	} else if i := strings.IndexAny(path, "/:"); i >= 0 {
		sep = path[i : i+1]
	}
	return strings.SplitN(path, sep, 5) // no path has more than four
}

// setPath fills in what the parts of the path say.
func (u *URI) setPath(parts []string) error {
	u.Type = parts[0]
	switch u.Type {
	case typeExperimental:
		return u.endPath(parts[1:])
	case typeAddress:
		return u.setAddress(parts[1:])
	}
	if len(parts) < 3 || !knownFormat(u.Type, parts[1]) {
		return errURIPath
	}
	u.Format = canonicalFormat(parts[1])
	u.Data = standardBase64(parts[2])
	if !isData(u.Data) || u.Format == formatClassic && u.id() == nil {
		return errors.New("the data is not the base64url of 32 bytes")
	}
	if len(parts) == 3 {
		return nil
	}
	u.Extra = standardBase64(parts[3])
	if len(parts) > 4 || u.Type != typeFeed || u.Format != formatButtwoo || !isData(u.Extra) {
		return errURIPath
	}
	return nil
}

func (u *URI) setAddress(parts []string) error {
	if len(parts) == 0 || parts[0] != formatMultiserver {
		return errURIPath
	}
	u.Format = formatMultiserver
	if u.MultiserverAddress() == "" {
		return fmt.Errorf("there is no %s", paramAddress)
	}
	return u.endPath(parts[1:])
}

// endPath takes what may follow the last part of a path without data: nothing
// or a separator.
func (u *URI) endPath(rest []string) error {
	if len(rest) > 1 || len(rest) == 1 && rest[0] != "" {
		return errURIPath
	}
	return nil
}

// knownFormat reports whether data of the type comes in that format.
func knownFormat(typ, format string) bool {
	switch typ {
	case typeFeed:
		return format == "ed25519" || isFeedFormat(format)
	case typeMessage:
		return format == "sha256" || format == formatCloaked || isFeedFormat(format)
	case typeBlob:
		return format == "sha256" || format == formatClassic
	case "encryption-key":
		return format == "box2-dm-dh"
	case "identity":
		return format == "po-box" || format == "group" || format == "fusion"
	}
	return false
}

// isFeedFormat reports whether there are feeds, and so messages, in that
// format.
func isFeedFormat(format string) bool {
	switch format {
	case formatClassic, formatButtwoo, "bendybutt-v1", "gabbygrove-v1", "indexed-v1":
		return true
	}
	return false
}

func canonicalFormat(format string) string {
	if format == "ed25519" || format == "sha256" {
		return formatClassic
	}
	return format
}

// isData reports whether s has the shape of the base64 of 32 bytes. Trailing
// bits are not looked at.
func isData(s string) bool {
	if len(s) != encodedLen || s[encodedLen-1] != '=' {
		return false
	}
	for i := range encodedLen - 1 {
		if alphabet[s[i]] == noDigit {
			return false
		}
	}
	return true
}

// standardBase64 turns the alphabet of URIs into that of ids. The characters
// that it produces are turned into others, so that they stay errors.
func standardBase64(s string) string {
	return strings.NewReplacer("-", "+", "_", "/", "+", "-", "/", "_").Replace(s)
}

// urlBase64 is the inverse of standardBase64.
func urlBase64(s string) string {
	return strings.NewReplacer("+", "-", "/", "_").Replace(s)
}
