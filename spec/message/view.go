package message

import (
	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// View is what the fields of a message say, without any check that they are
// valid. A field that is missing or of another form is zero, a timestamp NaN.
type View struct {
	Feed      refs.Feed
	Seq       int64
	Previous  refs.Message
	Timestamp float64 // milliseconds since 1970
	Content   []byte  // as it is spelt, part of the value
}

// Fields reads the fields of a message's value: the stored form, or a foreign
// text of which it believes everything. The error says that the text is no
// object.
func Fields(value []byte) (View, error) {
	v := View{Timestamp: parseNumber(nil)}
	err := ecmajson.EachMember(value, func(key, value []byte) bool {
		switch string(key) {
		case previousKey:
			v.Previous, _ = parsePrevious(value)
		case authorKey:
			v.Feed, _ = parseFeed(value)
		case sequenceKey:
			v.Seq, _ = parseSeq(value)
		case timestampKey:
			v.Timestamp = parseNumber(value)
		case contentKey:
			v.Content = value
		}
		return true
	})
	return v, err
}

// Whose reads only author and sequence, as Fields does, and stops once it has
// both: it is enough to be given the beginning of a value. Of a member that is
// there twice it takes the first.
func Whose(value []byte) (feed refs.Feed, seq int64) {
	found := 0
	// What is cut off, or no object, has neither.
	_ = ecmajson.EachMember(value, func(key, value []byte) bool {
		switch string(key) {
		case authorKey:
			feed, _ = parseFeed(value)
			found++
		case sequenceKey:
			seq, _ = parseSeq(value)
			found++
		}
		return found < 2
	})
	return feed, seq
}

// invalid returns an *InvalidError that names what can be read of the text.
func invalid(text []byte, reason string) error {
	v, _ := Fields(text)
	return &InvalidError{Feed: v.Feed, Seq: v.Seq, Reason: reason}
}
