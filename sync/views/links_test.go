package views_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/sync/views"
)

// TestEachLink compares the links of contents with what npm ssb-backlinks finds.
func TestEachLink(t *testing.T) {
	const msg, feed = "%6CAxOI3f+LUOVrbAl0IemqiS7ATpQvr9Mdw9LC4+Uv0=.sha256", "@6CAxOI3f+LUOVrbAl0IemqiS7ATpQvr9Mdw9LC4+Uv0=.ed25519"
	long := func(n int) string { return strings.Repeat("d", n) }
	tests := []struct {
		content string
		want    []string
	}{
		{`{"root":"` + msg + `","branch":["` + msg + `","` + feed + `"]}`, []string{msg, feed}},
		{`{"a":{"b":[{"c":"` + msg + `"}]},"` + feed + `":1,"text":"see ` + feed + `"}`, []string{msg}},
		{`{"channel":"ssb-dev","x":"#ssb-dev"}`, []string{"#ssb-dev"}},
		{`{"channel":"SSB Dev!"}`, []string{"#ssbdev"}},
		{`{"channel":"#ssb\"[dev"}`, []string{"#ssbdev"}},
		{`{"channel":["A","b.c",7,{"x":"D"}]}`, []string{"#a", "#bc", "#d"}},
		{`{"channel":7}`, nil},
		{`{"channel":""}`, nil},
		{`{"channel":"` + long(28) + `"}`, []string{"#" + long(28)}},
		{`{"channel":"` + long(29) + `"}`, nil},
		{`{"channel":"` + long(40) + `"}`, nil},
		{`{"channel":"` + msg + `"}`, nil},
		{`{"deep":{"channel":"a"}}`, nil},
		{`{"mentions":["#A.b","#a b","##a","#","#.","#Ümläut","#` + long(29) + `"]}`, []string{"#ab", "#null", "#ümläut"}},
		{`{"link":"` + msg + `?x=y"}`, nil},
	}
	for _, test := range tests {
		var got []string
		views.EachLink([]byte(test.content), func(dest []byte) { got = append(got, string(dest)) })
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.content, got, test.want)
		}
	}
	t.Logf("%d cases", len(tests))
}
