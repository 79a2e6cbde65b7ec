package ebt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// Two kinds of frame go over the stream, both JSON objects: messages as
// their author signed them, and notes:
//
//	{"@…=.ed25519": NOTE, …}             or
//	{"clock": {"@…=.ed25519": NOTE, …}}  (accepted, never sent)

var errNotObject = errors.New("not a JSON object")

// AppendNotes appends the frame of the given notes to dst, in their order.
func AppendNotes(dst []byte, notes []FeedNote) []byte {
	dst = append(dst, '{')
	for i, n := range notes {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '"')
		dst, _ = n.Feed.AppendText(dst)
		dst = append(dst, '"', ':')
		dst = strconv.AppendInt(dst, n.number(), 10)
	}
	return append(dst, '}')
}

// DecodeNotes reads a frame of notes as others read it: keys that are no
// feed ids are passed over, and of a key written twice the last value counts.
// A frame of more than maxFeeds feeds is refused.
func DecodeNotes(frame []byte, maxFeeds int) ([]FeedNote, error) {
	notes, err := decodeNotes(frame, maxFeeds)
	if err != nil {
		return nil, fmt.Errorf("reading notes: %v", err)
	}
	return notes, nil
}

func decodeNotes(frame []byte, maxFeeds int) ([]FeedNote, error) {
	if notes, ok := plainNotes(frame, maxFeeds); ok {
		return notes, nil
	}
	notes, clock, err := collect(frame, maxFeeds)
	switch {
	case err != nil || len(clock) == 0:
		return notes, err
	case clock[0] == '{':
		notes, _, err = collect(clock, maxFeeds)
		return notes, err
	case clock[0] == '[':
		return nil, nil // an object to JavaScript, and one without feeds
	}
	return notes, nil
}

const (
	feedLen = len(`@`) + 44 + len(`.ed25519`)
	// maxNoteLen is the length of the longest number that plainNotes reads.
	maxNoteLen = 9
)

// plainNotes reads a frame that is spelt as AppendNotes and all others spell
// it, without white space, escapes, repetitions or anything but ids and
// numbers. It fails for the rest, which is rare and left to the slow way.
func plainNotes(frame []byte, maxFeeds int) ([]FeedNote, bool) {
	if len(frame) < 2 || frame[0] != '{' || frame[len(frame)-1] != '}' {
		return nil, false
	}
	body := frame[1 : len(frame)-1]
	notes := make([]FeedNote, 0, min(maxFeeds, len(body)/feedLen))
	seen := make(map[refs.Feed]bool, cap(notes))
	for more := len(body) > 0; more; {
		var member []byte
		member, body, more = bytes.Cut(body, []byte{','})
		note, ok := plainNote(member)
		if !ok || seen[note.Feed] || len(notes) == maxFeeds {
			return nil, false
		}
		seen[note.Feed] = true
		notes = append(notes, note)
	}
	return notes, true
}

// plainNote reads one member of such a frame.
func plainNote(member []byte) (FeedNote, bool) {
	if len(member) < feedLen+4 || member[0] != '"' || string(member[feedLen+1:feedLen+3]) != `":` {
		return FeedNote{}, false
	}
	feed, err := refs.ParseFeed(string(member[1 : feedLen+1]))
	if err != nil {
		return FeedNote{}, false
	}
	digits := member[feedLen+3:]
	if string(digits) == "-1" {
		return FeedNote{feed, declined}, true
	}
	if len(digits) > maxNoteLen || len(digits) > 1 && digits[0] == '0' {
		return FeedNote{}, false
	}
	number := 0
	for _, digit := range digits {
		if digit < '0' || digit > '9' {
			return FeedNote{}, false
		}
		number = number*10 + int(digit-'0')
	}
	return FeedNote{feed, fromNumber(float64(number))}, true
}

// collect reads the notes of an object, and finds its member "clock".
func collect(object []byte, maxFeeds int) (notes []FeedNote, clock []byte, err error) {
	at := make(map[refs.Feed]int)
	err = eachField(object, func(key string, value []byte) error {
		if key == "clock" {
			clock = value
			return nil
		}
		feed, err := refs.ParseFeed(key)
		if err != nil {
			return nil
		}
		i, twice := at[feed]
		if !twice {
			if len(notes) == maxFeeds {
				return fmt.Errorf("more than %d feeds", maxFeeds)
			}
			i = len(notes)
			at[feed] = i
			notes = append(notes, FeedNote{Feed: feed})
		}
		notes[i].Note, err = DecodeNote(value)
		return err
	})
	return notes, clock, err
}

// eachField calls f with each key and value of a JSON object.
func eachField(object []byte, f func(key string, value []byte) error) error {
	decoder := json.NewDecoder(bytes.NewReader(object))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return errNotObject
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return errNotObject
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return errNotObject
		}
		if err := f(key.(string), value); err != nil {
			return err
		}
	}
	if _, err := decoder.Token(); err != nil || len(bytes.TrimSpace(object[decoder.InputOffset():])) != 0 {
		return errNotObject
	}
	return nil
}

// IsMessage tells a frame that holds a message from one that holds notes, by
// its first key alone: it is cheap enough for every frame. Whether it is a
// message indeed is for the verifier to say.
func IsMessage(frame []byte) bool {
	rest, ok := bytes.CutPrefix(bytes.TrimLeft(frame, " \t\r\n"), []byte("{"))
	if !ok {
		return false
	}
	rest, ok = bytes.CutPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte(`"`))
	if !ok {
		return false
	}
	key, _, _ := bytes.Cut(rest, []byte(`"`))
	switch string(key) {
	case "previous", "author", "sequence", "timestamp", "hash", "content", "signature":
		return true
	}
	return false
}
