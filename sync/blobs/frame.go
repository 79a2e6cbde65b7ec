package blobs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// note is one member of a frame: a want (number < 0) or the size of a blob that
// is there (number > 0).
type note struct {
	id     refs.Blob
	number int64
}

var errNoFrame = errors.New("not an object of blob ids and numbers")

// parseFrame calls each with the notes in a frame, in their order. As
// in ssb-blobs, members that are no blob id with a whole number other than 0 are
// passed over. The frame may be large: nothing of it is kept.
func parseFrame(body []byte, each func(note) error) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errNoFrame
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return fmt.Errorf("%w: %v", errNoFrame, err)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return fmt.Errorf("%w: %v", errNoFrame, err)
		}
		n, ok := parseNote(key.(string), value)
		if !ok {
			continue
		}
		if err := each(n); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("%w: %v", errNoFrame, err)
	}
	return nil
}

// maxNumber is the largest whole number that JavaScript counts with.
const maxNumber = 1<<53 - 1

func parseNote(key string, value []byte) (n note, ok bool) {
	id, err := refs.ParseBlob(key)
	if err != nil {
		return n, false
	}
	number, err := strconv.ParseFloat(string(value), 64)
	if err != nil || number != math.Trunc(number) || number == 0 || math.Abs(number) > maxNumber {
		return n, false
	}
	return note{id, int64(number)}, true
}

// maxNotes is how many notes stand in one frame that we send.
const maxNotes = 1000

// appendFrame writes a frame.
func appendFrame(dst []byte, notes []note) []byte {
	dst = append(dst, '{')
	for i, n := range notes {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '"')
		dst, _ = n.id.AppendText(dst) // never fails
		dst = append(dst, '"', ':')
		dst = strconv.AppendInt(dst, n.number, 10)
	}
	return append(dst, '}')
}
