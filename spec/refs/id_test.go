package refs_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/spec/refs"
)

const (
	feedText    = "@+oaWWDs8g73EZFUMfW37R/ULtFEjwKN/DczvdYihjbU=.ed25519"
	messageText = "%g3hPVPDEO1Aj/uPl0+J2NlhFB2bbFLIHlty+YuqFZ3w=.sha256"
	blobText    = "&sbBmsB7XWvmIzkBzreYcuzPpLtpeCMDIs6n/OJGSC1U=.sha256"
	cloakedText = "%zoYYzPzPqekTHlErnLC29mrkofpPDuQbUh+DgQYD6H4=.cloaked"
)

var idTexts = []string{feedText, messageText, blobText, cloakedText}

func TestIDRoundTrip(t *testing.T) {
	kinds := []refs.Kind{refs.KindFeed, refs.KindMessage, refs.KindBlob, refs.KindCloaked}
	for i, text := range idTexts {
		id, err := refs.ParseID(text)
		if err != nil {
			t.Fatal(err)
		}
		if id.String() != text || id.Kind() != kinds[i] {
			t.Errorf("%s: printed as %s, kind %s", text, id, id.Kind())
		}
	}
}

// TestIDMangled changes every byte of every id to every other value: the
// result is an error or prints as it was written.
func TestIDMangled(t *testing.T) {
	cases := 0
	for _, text := range idTexts {
		for i := range len(text) {
			for c := range 256 {
				mangled := text[:i] + string([]byte{byte(c)}) + text[i+1:]
				cases++
				if id, err := refs.ParseID(mangled); err == nil && id.String() != mangled {
					t.Errorf("%q was read as %s", mangled, id)
				}
			}
		}
		for i := range len(text) {
			cases++
			if _, err := refs.ParseID(text[:i]); err == nil {
				t.Errorf("%q was read", text[:i])
			}
		}
	}
	t.Logf("%d mangled ids", cases)
}

// TestIDRefused names what lenient decoders let pass.
func TestIDRefused(t *testing.T) {
	for _, s := range []string{
		"", "@", "%", "&", "@.ed25519",
		feedText + " ", " " + feedText, feedText + "\n", feedText[1:],
		strings.Replace(feedText, "jbU=", "jbV=", 1),
		strings.Replace(feedText, ".ed25519", ".sha256", 1),
		strings.Replace(feedText, ".ed25519", ".Ed25519", 1),
		strings.Replace(feedText, ".ed25519", "xed25519", 1),
		strings.Replace(feedText, "+oaW", "+o\nW", 1),
		strings.Replace(feedText, "+oaWWDs8", "-oaWWDs8", 1),
		strings.Replace(feedText, "=.", "==.", 1),
		strings.Replace(messageText, "%", "&", 1) + "x",
		strings.Replace(cloakedText, "%", "@", 1),
		strings.Repeat("@", 1<<20),
	} {
		if id, err := refs.ParseID(s); err == nil || id != nil {
			t.Errorf("%.80q was read as %v", s, id)
		} else if len(err.Error()) > 500 {
			t.Errorf("error of %d bytes", len(err.Error()))
		}
	}
}

func TestIDText(t *testing.T) {
	var set struct {
		Feed    refs.Feed
		Message refs.Message
		Blob    refs.Blob
		Cloaked refs.Cloaked
		Heads   map[refs.Feed]refs.Message
	}
	text := `{"Feed":"` + feedText + `","Message":"` + messageText + `","Blob":"` + blobText + `","Cloaked":"` + cloakedText +
		`","Heads":{"` + feedText + `":"` + messageText + `"}}`
	if err := json.Unmarshal([]byte(text), &set); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(set)
	var want, got any
	if err != nil || json.Unmarshal(again, &got) != nil || json.Unmarshal([]byte(text), &want) != nil {
		t.Fatalf("marshalled %s, error %v", again, err)
	}
	if string(again) != strings.NewReplacer("&", `\u0026`).Replace(text) {
		t.Errorf("marshalled %s", again)
	}
	for _, bad := range []string{`{"Feed":""}`, `{"Message":"` + blobText + `"}`, `{"Blob":"` + messageText + `"}`, `{"Cloaked":"x"}`} {
		if err := json.Unmarshal([]byte(bad), &set); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}

func TestIDOrder(t *testing.T) {
	low, high := refs.Feed{1}, refs.Feed{2}
	if low.Compare(high) != -1 || high.Compare(low) != 1 || low.Compare(low) != 0 {
		t.Error("feeds are not ordered by their bytes")
	}
	if (refs.Message{0: 1}).Compare(refs.Message{1: 1}) != 1 || (refs.Blob{31: 1}).Compare(refs.Blob{}) != 1 {
		t.Error("ids are not ordered by their bytes")
	}
	if !(refs.Feed{}).IsZero() || !(refs.Message{}).IsZero() || !(refs.Blob{}).IsZero() || low.IsZero() {
		t.Error("zero values are not recognised")
	}
}

// TestDecodeAgainstStandard compares our base64 with encoding/base64.
func TestDecodeAgainstStandard(t *testing.T) {
	key := [32]byte{}
	for range 10000 {
		key = sha256.Sum256(key[:])
		text := "@" + base64.StdEncoding.EncodeToString(key[:]) + ".ed25519"
		feed, err := refs.ParseFeed(text)
		if err != nil || feed != refs.Feed(key) || feed.String() != text {
			t.Fatalf("%s: %v, %v", text, feed, err)
		}
	}
}

func TestParseDoesNotAllocate(t *testing.T) {
	text := []byte(feedText)
	var feed refs.Feed
	allocs := testing.AllocsPerRun(100, func() {
		if feed.UnmarshalText(text) != nil {
			t.Fatal("not read")
		}
		if _, err := refs.ParseFeed(feedText); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func BenchmarkParseFeed(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := refs.ParseFeed(feedText); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFeedAppendText(b *testing.B) {
	feed, err := refs.ParseFeed(feedText)
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = feed.AppendText(buf[:0])
	}
}
