package refs_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// FuzzID: an id prints as it was written.
func FuzzID(f *testing.F) {
	for _, s := range idTexts {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := refs.ParseID(s)
		if err != nil {
			return
		}
		if id.String() != s || !canonicalID.MatchString(s) {
			t.Errorf("%q was read as %s", s, id)
		}
		if found, ok := refs.Extract(s); !ok || found != id {
			t.Errorf("extracted %v from %q", found, s)
		}
	})
}

// FuzzLink: parse → format → parse gives the same.
func FuzzLink(f *testing.F) {
	for _, s := range []string{feedText, blobText + "?unbox=a+b/c=.boxs", messageText + "?a=%zz&a=%ff&=&b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		refs.Extract(s)
		link, err := refs.ParseLink(s)
		if err != nil || 3*len(s) > 8192 { // escapes may make it too long
			return
		}
		again, err := refs.ParseLink(link.String())
		if err != nil || again.ID != link.ID || !slices.Equal(again.Query, link.Query) {
			t.Errorf("%q: %v was read back as %v, %v", s, link, again, err)
		}
	})
}

// FuzzURI: parse → format → parse gives the same.
func FuzzURI(f *testing.F) {
	data := "g3hPVPDEO1Aj_uPl0-J2NlhFB2bbFLIHlty-YuqFZ3w="
	for _, s := range []string{
		"ssb:message:sha256:" + data, "ssb://feed/classic/" + data, "ssb:blob/classic/" + data + "?unbox=x",
		"ssb:feed/buttwoo-v1/" + data + "/" + data, "ssb:address/multiserver?multiserverAddress=net%3Aa",
		"ssb:experimental?action=a&b=%zz", "ssb:identity/po-box/" + data, "ssb:encryption-key/box2-dm-dh/" + data,
	} {
		if _, err := refs.ParseURI(s); err != nil {
			f.Fatal(err)
		}
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := refs.ParseURI(s)
		if err != nil || 3*len(s) > 8192 {
			return
		}
		again, err := refs.ParseURI(u.String())
		if err != nil || again.String() != u.String() || !strings.HasPrefix(again.String(), "ssb:"+u.Type) {
			t.Errorf("%q: %s was read back as %s, %v", s, u, again, err)
		}
	})
}
