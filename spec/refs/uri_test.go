package refs_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/spec/internal/vectors"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// uriCase is what ssb-uri2 answers for one input.
type uriCase struct {
	ID, Input        string
	Is               []string
	Decompose        struct{ Type, Format, Data, ExtraData, Throws string }
	Recompose        any
	FromMessageSigil *string
	FromFeedSigil    *string
	FromBlobSigil    *string
	ToMessageSigil   *string
	ToFeedSigil      *string
	ToBlobSigil      *string
	FromMultiserver  *string `json:"fromMultiserverAddress"`
	ToMultiserver    *string `json:"toMultiserverAddress"`
}

// strictURI is the grammar of URIs that this package goes by: the rules
// "data", "path" and "fragment" of its documentation. "/" stands for either
// separator, FEED, ID and DATA for what the replacer makes of them.
var strictURI = func() *regexp.Regexp {
	paths := strings.Join([]string{
		`feed/(ed25519|FEED)/DATA`, `feed/buttwoo-v1/DATA/DATA`, `message/(sha256|cloaked|FEED)/DATA`,
		`blob/(classic|sha256)/DATA`, `encryption-key/box2-dm-dh/DATA`, `identity/(po-box|group|fusion)/DATA`,
		`address/multiserver/?`, `experimental/?`,
	}, "|")
	paths = strings.NewReplacer("DATA", "[A-Za-z0-9_-]{43}=",
		"FEED", "classic|bendybutt-v1|gabbygrove-v1|buttwoo-v1|indexed-v1").Replace(paths)
	return regexp.MustCompile(`^ssb:((//)?(` + paths + `)|` + strings.ReplaceAll(paths, "/", ":") + `)(\?[!-"$-~]*)?$`)
}()

var classicURI = regexp.MustCompile(`^ssb:(//)?(feed|message|blob)[:/](classic|ed25519|sha256)[:/]`)
var canonicalURI = regexp.MustCompile(`[:/][A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]=(\?.*)?$`)

func TestSSBURIVectors(t *testing.T) {
	stricter := tally{}
	vectors.Lines(t, vectors.Files(t, "refs", "ssb-uri2.jsonl"), func(line []byte) {
		var c uriCase
		// The outcome of decompose is an object in either case.
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		checkFromSigil(t, c, stricter)
		if c.FromMultiserver != nil {
			if got := refs.AddressURI(c.Input).String(); got != *c.FromMultiserver {
				t.Errorf("%s: %s, want %s", c.ID, got, *c.FromMultiserver)
			}
		}
		checkURI(t, c, stricter)
	})
	t.Logf("stricter by rule: %v", stricter)
}

// checkFromSigil compares the URI of an id with ssb-uri2's.
func checkFromSigil(t *testing.T, c uriCase, stricter tally) {
	id, err := refs.ParseID(c.Input)
	for kind, want := range map[refs.Kind]*string{
		refs.KindMessage: c.FromMessageSigil, refs.KindFeed: c.FromFeedSigil, refs.KindBlob: c.FromBlobSigil,
	} {
		ours := err == nil && id.Kind() == kind
		switch {
		case ours && (want == nil || id.URI() != *want):
			t.Errorf("%s: %s", c.ID, id.URI())
		case want != nil && !ours:
			stricter["canonical"]++
		}
	}
}

// checkURI compares ParseURI with ssb-uri2's predicates and conversions.
func checkURI(t *testing.T, c uriCase, stricter tally) {
	want := len(c.Is) > 0
	if want && !(strictURI.MatchString(c.Input) && (!classicURI.MatchString(c.Input) || canonicalURI.MatchString(c.Input))) {
		stricter["data, path or fragment"]++
		want = false
	}
	u, err := refs.ParseURI(c.Input)
	if (err == nil) != want {
		t.Errorf("%s: %q: error %v, want a URI: %v", c.ID, c.Input, err, want)
	}
	if err != nil {
		if c.Decompose.Throws == "" {
			stricter["decompose"]++
		}
		return
	}
	if got := predicates(u); !slices.Equal(got, sorted(c.Is)) {
		t.Errorf("%s: %q is %v, want %v", c.ID, c.Input, got, c.Is)
	}
	checkToSigil(t, c, u)
	if address := u.MultiserverAddress(); c.ToMultiserver != nil && address != *c.ToMultiserver || c.ToMultiserver == nil && address != "" {
		t.Errorf("%s: address %q", c.ID, address)
	}
	if c.Decompose.Throws != "" || strings.Contains(c.Input, "?") {
		return // a spelling that decompose does not know
	}
	d := c.Decompose
	if u.Type != d.Type || u.Format != d.Format || u.Data != d.Data || u.Extra != d.ExtraData {
		t.Errorf("%s: %+v, want %+v", c.ID, u, d)
	}
	if u.String() != c.Recompose {
		t.Errorf("%s: %s, want %v", c.ID, u, c.Recompose)
	}
}

func checkToSigil(t *testing.T, c uriCase, u refs.URI) {
	id, ok := u.ID()
	for kind, want := range map[refs.Kind]*string{
		refs.KindMessage: c.ToMessageSigil, refs.KindFeed: c.ToFeedSigil, refs.KindBlob: c.ToBlobSigil,
	} {
		ours := ok && id.Kind() == kind
		if ours != (want != nil) || ours && id.String() != *want {
			t.Errorf("%s: %q stands for %v, want %v", c.ID, c.Input, id, want)
		}
	}
}

// predicates returns the names of ssb-uri2's predicates that hold for u.
func predicates(u refs.URI) []string {
	formats := map[string]string{
		"classic": "Classic", "bendybutt-v1": "BendyButtV1", "gabbygrove-v1": "GabbyGroveV1",
		"buttwoo-v1": "ButtwooV1", "indexed-v1": "IndexedV1", "cloaked": "CloakedV1",
		"po-box": "POBox", "group": "Group", "fusion": "Fusion",
	}
	is := []string{"isSSBURI"}
	switch u.Type {
	case "feed":
		is = append(is, "isFeedSSBURI", "is"+formats[u.Format]+"FeedSSBURI")
	case "message":
		is = append(is, "isMessageSSBURI", "is"+formats[u.Format]+"MessageSSBURI")
	case "blob":
		is = append(is, "isClassicBlobSSBURI")
	case "identity":
		is = append(is, "isIdentitySSBURI", "isIdentity"+formats[u.Format]+"SSBURI")
	case "encryption-key":
		is = append(is, "isEncryptionKeyBox2DMDiffieHellmanSSBURI")
	case "address":
		is = append(is, "isAddressSSBURI")
	case "experimental":
		is = append(is, "isExperimentalSSBURI")
	}
	return sorted(is)
}

func sorted(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return s
}

func TestIDURIRoundTrip(t *testing.T) {
	for _, text := range idTexts {
		id, err := refs.ParseID(text)
		if err != nil {
			t.Fatal(err)
		}
		u, err := refs.ParseURI(id.URI())
		if err != nil {
			t.Fatal(err)
		}
		if again, ok := u.ID(); !ok || again != id || u.String() != id.URI() {
			t.Errorf("%s: %s, %v", text, id.URI(), again)
		}
	}
}

func TestURINormalised(t *testing.T) {
	data := "g3hPVPDEO1Aj_uPl0-J2NlhFB2bbFLIHlty-YuqFZ3w="
	for in, want := range map[string]string{
		"ssb:message:sha256:" + data:                              "ssb:message/classic/" + data,
		"ssb://message/sha256/" + data:                            "ssb:message/classic/" + data,
		"ssb:feed:ed25519:" + data:                                "ssb:feed/classic/" + data,
		"ssb:blob/classic/" + data + "?unbox=a+b&&c":              "ssb:blob/classic/" + data + "?unbox=a%20b&c=",
		"ssb://experimental/?action=x&y=%zz":                      "ssb:experimental?action=x&y=%25zz",
		"ssb:address:multiserver:?multiserverAddress=net%3Aa%3A1": "ssb:address/multiserver?multiserverAddress=net%3Aa%3A1",
		"ssb:feed:buttwoo-v1:" + data + ":" + data:                "ssb:feed/buttwoo-v1/" + data + "/" + data,
	} {
		u, err := refs.ParseURI(in)
		if err != nil || u.String() != want {
			t.Errorf("%s: %s, %v; want %s", in, u, err, want)
		}
	}
}

func TestURIRefused(t *testing.T) {
	data := "g3hPVPDEO1Aj_uPl0-J2NlhFB2bbFLIHlty-YuqFZ3w="
	for _, s := range []string{
		"", "ssb", "ssb:", "ssb://", "ssb:message", "ssb:message/classic", "ssb:message/classic/",
		"SSB:message/classic/" + data, "message/classic/" + data, "ssb:/message/classic/" + data,
		"ssb:message/classic/" + data + "/", "ssb:message/classic/" + data + "/" + data, "ssb:message/classic/" + data + "#x",
		"ssb:message/ed25519/" + data, "ssb:feed/sha256/" + data, "ssb:blob/bendybutt-v1/" + data, "ssb:feed/cloaked/" + data,
		"ssb:message:classic/" + data, "ssb://message:classic:" + data, "ssb:message/classic/" + data[:43],
		"ssb:message/classic/" + strings.NewReplacer("_", "/", "-", "+").Replace(data),
		"ssb:message/classic/" + data[:42] + "x=", "ssb:message/classic/ " + data, "ssb:message/classic/" + data + "\n",
		"ssb:feed/buttwoo-v1/" + data + "/" + data + "/" + data, "ssb:feed/buttwoo-v1/" + data + "/x",
		"ssb:experimental/x", "ssb:experimentalx?a=b", "ssb:address", "ssb:address/multiserver", "ssb:address/multiserver?multiserverAddress=",
		"ssb:address/multiserver/x?multiserverAddress=a", "ssb:experimental?" + strings.Repeat("a", 1<<20),
	} {
		if u, err := refs.ParseURI(s); err == nil {
			t.Errorf("%.100q was read as %s", s, u)
		} else if len(err.Error()) > 500 {
			t.Errorf("error of %d bytes", len(err.Error()))
		}
	}
}
