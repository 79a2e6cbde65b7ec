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

// tally counts the cases in which we are stricter on purpose, by the rule of
// the package documentation that they fall under.
type tally map[string]int

// refCase is what ssb-ref answers for one input. The fields on addresses and
// invites are checked in package multiserver.
type refCase struct {
	ID, Input      string
	IsFeedID       bool `json:"isFeedId"`
	IsMsgID        bool `json:"isMsgId"`
	IsBlobID       bool `json:"isBlobId"`
	IsCloakedMsgID bool `json:"isCloakedMsgId"`
	IsLink         bool
	Type, Extract  any // a string, or false or null
	ParseLink      *struct {
		Link  string
		Query map[string]any
	}
}

// canonicalID is the grammar of ids that this package goes by.
var canonicalID = regexp.MustCompile(strings.ReplaceAll(
	`^(@KEY\.ed25519|%KEY\.(sha256|cloaked)|&KEY\.sha256)$`,
	"KEY", `[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=`))

func TestSSBRefVectors(t *testing.T) {
	stricter := tally{}
	vectors.Lines(t, vectors.Files(t, "refs", "ssb-ref.jsonl"), func(line []byte) {
		var c refCase
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		checkKind(t, c, stricter)
		checkLink(t, c, stricter)
		checkExtract(t, c, stricter)
	})
	t.Logf("stricter by rule: %v", stricter)
}

// checkKind compares the four parsers and ParseID with ssb-ref's predicates.
func checkKind(t *testing.T, c refCase, stricter tally) {
	feed, feedErr := refs.ParseFeed(c.Input)
	msg, msgErr := refs.ParseMessage(c.Input)
	blob, blobErr := refs.ParseBlob(c.Input)
	cloaked, cloakedErr := refs.ParseCloaked(c.Input)
	for _, k := range []struct {
		kind   refs.Kind
		id     refs.ID
		err    error
		theirs bool
	}{
		{refs.KindFeed, feed, feedErr, c.IsFeedID},
		{refs.KindMessage, msg, msgErr, c.IsMsgID},
		{refs.KindBlob, blob, blobErr, c.IsBlobID},
		{refs.KindCloaked, cloaked, cloakedErr, c.IsCloakedMsgID},
	} {
		want := k.theirs && canonicalID.MatchString(c.Input)
		if k.theirs != want {
			stricter["suffix"]++
		}
		if (k.err == nil) != want {
			t.Errorf("%s: %q as %s: error %v, want an id: %v", c.ID, c.Input, k.kind, k.err, want)
		}
		if k.err == nil && (k.id.String() != c.Input || k.id.Kind() != k.kind) {
			t.Errorf("%s: %q prints as %s of kind %s", c.ID, c.Input, k.id, k.id.Kind())
		}
	}
	id, err := refs.ParseID(c.Input)
	if err != nil || id.Kind() == refs.KindCloaked {
		return
	}
	if c.Type != string(id.Kind()) {
		t.Errorf("%s: %q is a %s, want %v", c.ID, c.Input, id.Kind(), c.Type)
	}
}

func checkLink(t *testing.T, c refCase, stricter tally) {
	text, _, _ := strings.Cut(c.Input, "?")
	want := c.IsLink && canonicalID.MatchString(text)
	switch {
	case c.IsLink && !want:
		stricter["suffix"]++
	case c.ParseLink != nil && !want:
		stricter["canonical"]++
	}
	link, err := refs.ParseLink(c.Input)
	if (err == nil) != want {
		t.Errorf("%s: link %q: error %v, want a link: %v", c.ID, c.Input, err, want)
	}
	if err != nil || c.ParseLink == nil {
		return
	}
	if link.ID.String() != c.ParseLink.Link {
		t.Errorf("%s: link to %s, want %s", c.ID, link.ID, c.ParseLink.Link)
	}
	checkQuery(t, c.ID, link.Query, c.ParseLink.Query)
	again, err := refs.ParseLink(link.String())
	if err != nil || !slices.Equal(again.Query, link.Query) || again.ID != link.ID {
		t.Errorf("%s: %s was read back as %v, %v", c.ID, link, again, err)
	}
}

// checkQuery compares with node's form: a string, or an array of strings
// where a name occurs more than once.
func checkQuery(t *testing.T, id string, got refs.Query, want map[string]any) {
	values := map[string]any{}
	for _, p := range got {
		switch v := values[p.Name].(type) {
		case nil:
			values[p.Name] = p.Value
		case string:
			values[p.Name] = []any{v, p.Value}
		case []any:
			values[p.Name] = append(v, p.Value)
		}
	}
	ours, _ := json.Marshal(values)
	if want == nil {
		want = map[string]any{}
	}
	theirs, _ := json.Marshal(want)
	if string(ours) != string(theirs) {
		t.Errorf("%s: query %s, want %s", id, ours, theirs)
	}
}

func checkExtract(t *testing.T, c refCase, stricter tally) {
	id, ok := refs.Extract(c.Input)
	want, _ := c.Extract.(string)
	switch {
	case want != "" && !canonicalID.MatchString(want):
		stricter["canonical"]++
		if ok && id.String() == want {
			t.Errorf("%s: extracted %s", c.ID, id)
		}
	case ok != (want != "") || ok && id.String() != want:
		t.Errorf("%s: extracted %v from %q, want %q", c.ID, id, c.Input, want)
	}
}
