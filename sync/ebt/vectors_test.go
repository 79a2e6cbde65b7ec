package ebt_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/ebt"
)

// maxFeeds is the limit that tests decode with.
const maxFeeds = 100_000

func unmarshal(t *testing.T, data []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("%v in %.200s", err, data)
	}
}

func TestNoteEncodeVectors(t *testing.T) {
	eachCase(t, "note-encode.jsonl", func(line []byte) {
		var c struct {
			ID        string
			Seq, Note int64
			Receive   bool
		}
		unmarshal(t, line, &c)
		if got := ebt.EncodeNote(c.Seq, c.Receive); got != c.Note {
			t.Errorf("%s: EncodeNote(%d, %v) = %d, want %d", c.ID, c.Seq, c.Receive, got, c.Note)
		}
	})
}

// wantNote is a decoded note as the vectors spell it.
type wantNote struct {
	Sequence           int64
	Replicate, Receive bool
}

func (w wantNote) note() ebt.Note {
	return ebt.Note{Seq: w.Sequence, Replicate: w.Replicate, Receive: w.Receive}
}

func TestNoteDecodeVectors(t *testing.T) {
	eachCase(t, "note-decode.jsonl", func(line []byte) {
		var c struct {
			ID   string
			Note json.RawMessage
			wantNote
		}
		unmarshal(t, line, &c)
		got, err := ebt.DecodeNote(c.Note)
		if err != nil || got != c.note() {
			t.Errorf("%s: DecodeNote(%s) = %+v, %v, want %+v", c.ID, c.Note, got, err, c.note())
		}
	})
}

func TestClockVectors(t *testing.T) {
	eachCase(t, "clocks.jsonl", func(line []byte) {
		var c struct {
			ID, Wire string
			Decoded  json.RawMessage
		}
		unmarshal(t, line, &c)
		want := orderedNotes(t, c.Decoded)
		got, err := ebt.DecodeNotes([]byte(c.Wire), maxFeeds)
		if err != nil || len(got) != len(want) {
			t.Fatalf("%s: %d notes, %v, want %d", c.ID, len(got), err, len(want))
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s: note %d is %+v, want %+v", c.ID, i, got[i], want[i])
			}
		}
		if wire := ebt.AppendNotes(nil, want); string(wire) != c.Wire {
			t.Errorf("%s: encoded as %s, want %s", c.ID, wire, c.Wire)
		}
	})
}

// orderedNotes reads an object of decoded notes in the order of its keys.
func orderedNotes(t *testing.T, object []byte) (notes []ebt.FeedNote) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(object))
	if _, err := decoder.Token(); err != nil {
		t.Fatal(err)
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			t.Fatal(err)
		}
		feed, err := refs.ParseFeed(key.(string))
		if err != nil {
			t.Fatal(err)
		}
		var want wantNote
		if err := decoder.Decode(&want); err != nil {
			t.Fatal(err)
		}
		notes = append(notes, ebt.FeedNote{Feed: feed, Note: want.note()})
	}
	return notes
}
