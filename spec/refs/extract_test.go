package refs_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/spec/refs"
)

func TestExtract(t *testing.T) {
	bad := strings.Replace(feedText, "jbU=", "jbV=", 1)
	for in, want := range map[string]string{
		"http://x/" + url.PathEscape(messageText):       messageText,
		"see " + blobText + ".":                         blobText,
		"(" + feedText + "),":                           feedText,
		bad + " " + messageText:                         messageText,
		"@" + feedText:                                  feedText,
		feedText + "x " + cloakedText:                   cloakedText,
		"http://x/&amp;" + blobText[1:] + "?x":          blobText,
		"100% http://x/" + url.QueryEscape(messageText): "", // decodeURIComponent refuses "% h"
		"%ff http://x/" + url.QueryEscape(messageText):  "", // not UTF-8
		bad: "", feedText[:52]: "", "": "", "@%&": "",
	} {
		id, ok := refs.Extract(in)
		if ok != (want != "") || ok && id.String() != want {
			t.Errorf("%q: %v, want %q", in, id, want)
		}
	}
}

// TestExtractHostile searches long texts that are nearly ids everywhere. A
// search that is not linear would not come back.
func TestExtractHostile(t *testing.T) {
	for _, s := range []string{strings.Repeat("@", 1<<20), strings.Repeat(feedText[:45]+".", 1<<15), feedText[:46] + strings.Repeat("x", 1<<20)} {
		if id, ok := refs.Extract(s); ok {
			t.Errorf("extracted %s", id)
		}
	}
}
