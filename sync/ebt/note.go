package ebt

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// MaxNoteSeq is the highest sequence that a note can say: the JavaScript
// implementation shifts in 32 bits, so that anything above arrives wrong.
const MaxNoteSeq = 1<<30 - 1

// Note is what one peer says to another about one feed.
type Note struct {
	// Seq is how far the sender of the note holds the feed.
	Seq int64
	// Replicate is false when the sender does not want to hear of the feed.
	Replicate bool
	// Receive asks for the messages after Seq, now and as they come. Without
	// it the note only tells, and nothing shall be sent.
	Receive bool
}

// FeedNote is a Note and the feed that it is about.
type FeedNote struct {
	Feed refs.Feed
	Note
}

// declined is the note that refuses a feed.
var declined = Note{Seq: -1}

// EncodeNote returns the number that stands for a note: -1 to refuse a feed,
// else the sequence shifted left by one with the lowest bit clear to receive
// ("even means receive"). Above MaxNoteSeq it wraps around in 32 bits.
func EncodeNote(seq int64, receive bool) int64 {
	if seq == -1 {
		return -1
	}
	note := int32(seq) << 1
	if !receive {
		note |= 1
	}
	return int64(note)
}

// number returns the number that stands for n.
func (n Note) number() int64 {
	if !n.Replicate {
		return -1
	}
	return EncodeNote(n.Seq, n.Receive)
}

// valid reports whether n means anything: whatever is no number of a note
// decodes to a sequence below 0 of a feed to be replicated.
func (n Note) valid() bool { return n.Seq >= 0 || !n.Replicate }

// DecodeNote reads the JSON value of one note as JavaScript does: it takes
// anything, and what is no integer has the sequence -1 and is to be
// replicated all the same. It fails only for what is not JSON.
func DecodeNote(raw []byte) (Note, error) {
	if len(raw) > 0 && '1' <= raw[0] && raw[0] <= '9' {
		if n, err := strconv.ParseInt(string(raw), 10, 32); err == nil {
			return fromNumber(float64(n)), nil
		}
	}
	var value any
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil || len(bytes.TrimSpace(raw[decoder.InputOffset():])) != 0 {
		return Note{}, fmt.Errorf("note %.80q is not JSON", raw)
	}
	if number, ok := value.(json.Number); ok {
		return fromNumber(parseFloat(string(number))), nil
	}
	return Note{Seq: -1, Replicate: true, Receive: toInt32(toNumber(value))&1 == 0}, nil
}

func fromNumber(n float64) Note {
	note := Note{Seq: -1, Replicate: n != -1, Receive: toInt32(n)&1 == 0}
	if n == math.Trunc(n) && !math.IsInf(n, 0) {
		note.Seq = int64(toInt32(n) >> 1)
	}
	return note
}

// toInt32 is the conversion of the same name in ECMAScript.
func toInt32(n float64) int32 {
	if math.IsNaN(n) || math.IsInf(n, 0) {
		return 0
	}
	return int32(uint32(int64(math.Mod(math.Trunc(n), 1<<32))))
}

// toNumber is the conversion of the same name in ECMAScript, for a value
// that came out of JSON.
func toNumber(value any) float64 {
	switch v := value.(type) {
	case nil:
		return 0
	case bool:
		if v {
			return 1
		}
		return 0
	case json.Number:
		return parseFloat(string(v))
	case string:
		return stringToNumber(v)
	case []any:
		return arrayToNumber(v)
	}
	return math.NaN()
}

// arrayToNumber converts by way of the text of an array, which is that of
// its elements between commas: only an array of at most one is a number.
func arrayToNumber(array []any) float64 {
	if len(array) == 0 {
		return 0
	}
	if _, isBool := array[0].(bool); isBool || len(array) > 1 {
		return math.NaN()
	}
	return toNumber(array[0])
}

// parseFloat is strconv's without its error: beyond the range is infinite.
func parseFloat(s string) float64 {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil && !math.IsInf(n, 0) {
		return math.NaN()
	}
	return n
}

func stringToNumber(s string) float64 {
	s = strings.TrimFunc(s, isSpace)
	if s == "" {
		return 0
	}
	if len(s) > 2 && s[0] == '0' {
		if base := map[byte]int{'x': 16, 'o': 8, 'b': 2}[s[1]|0x20]; base != 0 {
			return integerInBase(s[2:], base)
		}
	}
	if strings.Trim(s, "0123456789+-.eE") != "" {
		return math.NaN() // or infinite, which makes no difference to a note
	}
	return parseFloat(s)
}

func integerInBase(digits string, base int) float64 {
	n := 0.0
	for _, digit := range strings.ToLower(digits) {
		value := strings.IndexRune("0123456789abcdef"[:base], digit)
		if value < 0 {
			return math.NaN()
		}
		n = n*float64(base) + float64(value)
	}
	return n
}

// isSpace is what ECMAScript trims from a string before it reads a number.
func isSpace(r rune) bool {
	return strings.ContainsRune("\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"+
		"\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff", r)
}
