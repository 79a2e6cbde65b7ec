package ebt_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/ebt"
)

var feedA, feedB = refs.Feed{1}, refs.Feed{2}

func receive(feed refs.Feed, seq int64) ebt.FeedNote {
	return ebt.FeedNote{Feed: feed, Note: ebt.Note{Seq: seq, Replicate: true, Receive: true}}
}

func tell(feed refs.Feed, seq int64) ebt.FeedNote {
	return ebt.FeedNote{Feed: feed, Note: ebt.Note{Seq: seq, Replicate: true}}
}

func refusal(feed refs.Feed) ebt.FeedNote { return ebt.FeedNote{Feed: feed, Note: ebt.Note{Seq: -1}} }

func TestDecodeNotes(t *testing.T) {
	a, b := `"`+feedA.String()+`"`, `"`+feedB.String()+`"`
	cases := map[string][]ebt.FeedNote{
		`{}`:                                    nil,
		` { } ` + "\n":                          nil,
		`{` + a + `:4,` + b + `:-1}`:            {receive(feedA, 2), refusal(feedB)},
		`{` + a + `:4,` + b + `:7,` + a + `:6}`: {receive(feedA, 3), tell(feedB, 3)},
		`{"x":1,` + a + `:4,"` + feedB.String() + `?":3}`: {receive(feedA, 2)},
		`{"clock":{` + a + `:4}}`:                         {receive(feedA, 2)},
		`{"clock":{` + a + `:4},` + b + `:2}`:             {receive(feedA, 2)},
		`{"clock":{"clock":{` + a + `:4}}}`:               nil,
		`{"clock":[1],` + b + `:2}`:                       nil,
		`{"clock":3,` + b + `:2}`:                         {receive(feedB, 1)},
		`{"clock":null,` + b + `:2}`:                      {receive(feedB, 1)},
	}
	for frame, want := range cases {
		if got, err := ebt.DecodeNotes([]byte(frame), 2); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %+v, %v, want %+v", frame, got, err, want)
		}
	}
	bad := []string{``, `[]`, `null`, `{`, `{` + a + `}`, `{` + a + `:}`, `{` + a + `:4`, `{} {}`, `{}x`, `{` + a + `:04}`,
		`{` + a + `:4,}`, `"` + feedA.String() + `"`, `{"clock":{` + a + `:}}`}
	for _, frame := range bad {
		if got, err := ebt.DecodeNotes([]byte(frame), 2); err == nil {
			t.Errorf("%s: accepted as %+v", frame, got)
		}
	}
	if _, err := ebt.DecodeNotes([]byte(`{`+a+`:4,`+b+`:4}`), 1); err == nil {
		t.Error("two feeds accepted where one is the limit")
	}
	if _, err := ebt.DecodeNote([]byte(`1 2`)); err == nil {
		t.Error("two numbers accepted as one note")
	}
}

func TestIsMessage(t *testing.T) {
	cases := map[string]bool{
		`{"previous":null,"author":"@"}`:   true,
		` { "sequence" : 1}`:               true,
		`{"` + feedA.String() + `":2}`:     false,
		`{"clock":{}}`:                     false,
		`{}`:                               false,
		`{`:                                false,
		`{"author`:                         true,
		`[]`:                               false,
		`"author"`:                         false,
		``:                                 false,
		`{"auth\u006fr":1}`:                false,
		`{"key":"%","value":{"author":1}}`: false,
	}
	for frame, want := range cases {
		if got := ebt.IsMessage([]byte(frame)); got != want {
			t.Errorf("%s: IsMessage = %v", frame, got)
		}
	}
}

func FuzzDecodeNotes(f *testing.F) {
	seeds := []string{`{}`, `{"clock":{"` + feedA.String() + `":[["0x10"]]}}`,
		string(ebt.AppendNotes(nil, []ebt.FeedNote{receive(feedA, 7), tell(feedB, 0), refusal(refs.Feed{3})}))}
	for _, note := range strings.Fields(`0 -1 1.5 1e21 1e999 null true "2" [] [3] {} -2147483649`) {
		seeds = append(seeds, fmt.Sprintf(`{"%s":%s}`, feedA, note))
	}
	for _, seed := range seeds {
		if _, err := ebt.DecodeNotes([]byte(seed), maxFeeds); err != nil {
			f.Fatalf("seed %s: %v", seed, err)
		}
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		notes, err := ebt.DecodeNotes(frame, maxFeeds)
		if err != nil {
			return
		}
		// White space at the front leads past the short cut.
		slow, err := ebt.DecodeNotes(append([]byte(" "), frame...), maxFeeds)
		if err != nil || !slices.Equal(slow, notes) {
			t.Fatalf("read as %+v, and slowly as %+v, %v", notes, slow, err)
		}
		for i, n := range notes {
			if n.Seq < 0 { // what stands for no sequence does not survive
				notes[i] = refusal(n.Feed)
			}
		}
		again, err := ebt.DecodeNotes(ebt.AppendNotes(nil, notes), maxFeeds)
		if err != nil || !slices.Equal(again, notes) {
			t.Fatalf("%+v encodes to what decodes as %+v, %v", notes, again, err)
		}
	})
}

func FuzzDecodeMemory(f *testing.F) {
	s := ebt.New(feedA, ebt.Config{})
	s.Want(feedB, true)
	s.Connect(feedB, false, ebt.Memory{})
	s.NextNotes(feedB)
	s.Notes(feedB, []ebt.FeedNote{receive(feedB, 9), refusal(feedA)})
	m := s.Disconnect(feedB)
	seed, _ := m.AppendBinary(nil)
	back, err := ebt.DecodeMemory(seed, maxFeeds)
	if err != nil || !back.Holds.Equal(m.Holds) || !back.Refused.Equal(m.Refused) || m.Holds.Len() != 1 || m.Refused.Len() != 1 {
		f.Fatalf("memory %+v comes back as %+v, %v", m, back, err)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ebt.DecodeMemory(b, maxFeeds)
		if err != nil {
			return
		}
		if again, _ := m.AppendBinary(nil); string(again) != string(b) {
			t.Fatalf("%x decodes to a memory that encodes as %x", b, again)
		}
	})
}
