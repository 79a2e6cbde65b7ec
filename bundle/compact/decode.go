package compact

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"github.com/ssbsync/ssbsync/spec/refs"
)

var errShort = errors.New("a column ends early")
var errLong = errors.New("the lines are longer than stated")

// Decode returns the lines of a message frame, each ending in a line feed. It
// fails when contents are not what Encode writes or would have more than limit
// bytes of lines. Its memory is bounded by that and by the contents.
func Decode(contents []byte, limit int) ([]byte, error) {
	limit = min(limit, MaxLines)
	if len(contents) == 0 {
		return nil, errShort
	}
	switch form := contents[0]; {
	case form == formLines && len(contents)-1 <= limit:
		return contents[1:], nil
	case form == formLines:
		return nil, fmt.Errorf("%d bytes of lines, more than %d", len(contents)-1, limit)
	case form != formColumns:
		return nil, fmt.Errorf("form %d of contents", form)
	}
	r := &reader{}
	r.parser.MaxUnits = maxUnits
	if err := r.cut(contents[1:], limit); err != nil {
		return nil, err
	}
	return r.read()
}

// reader reads columns: what is left of each is what was not read yet.
type reader struct {
	columns
	state
	lines []byte // has room for all lines from the start
	met   [idKinds][][32]byte
	known []byte   // the column of words, whole
	ends  []uint32 // of the words that were met, in it
	err   error    // the first; nothing is appended to lines after it
}

// cut divides contents into columns.
func (r *reader) cut(contents []byte, limit int) error {
	size, n := binary.Uvarint(contents)
	if n <= 0 || size > uint64(limit) {
		return fmt.Errorf("%d bytes of lines, more than %d", size, limit)
	}
	contents = contents[n:]
	var lengths [columnCount]uint64
	for i := range lengths {
		if lengths[i], n = binary.Uvarint(contents); n <= 0 {
			return errShort
		}
		contents = contents[n:]
	}
	for i, column := range r.all() {
		if lengths[i] > uint64(len(contents)) {
			return errShort
		}
		*column, contents = contents[:lengths[i]], contents[lengths[i]:]
	}
	if len(contents) > 0 {
		return errors.New("bytes after the columns")
	}
	r.known = r.words
	r.lines = make([]byte, 0, size)
	return nil
}

// read returns all lines.
func (r *reader) read() ([]byte, error) {
	for n, shape := range r.shapes {
		if r.line(shape); r.err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, r.err)
		}
	}
	r.shapes = nil
	for i, column := range r.all() {
		if len(*column) > 0 {
			return nil, fmt.Errorf("column %d goes on after the last line", i)
		}
	}
	if len(r.lines) != cap(r.lines) {
		return nil, errors.New("the lines are shorter than stated")
	}
	return r.lines, nil
}

// line appends one line.
func (r *reader) line(shape byte) {
	start := len(r.lines)
	switch {
	case shape < verbatim:
		r.message(shape)
		r.follow(start)
	case shape == verbatim:
		r.text()
	default:
		r.fail(fmt.Errorf("shape %#x", shape))
	}
	r.put("\n")
}

// follow makes the message that begins at start the one before.
func (r *reader) follow(start int) {
	if r.err != nil {
		return
	}
	text, err := r.parser.Parse(r.lines[start:])
	if err != nil {
		r.fail(err)
		return
	}
	r.id = refs.SumMessage(text.Indented)
	r.met[messageID] = append(r.met[messageID], r.id)
}

// message appends the members of a message in their order.
func (r *reader) message(shape byte) {
	if shape&newAuthor != 0 {
		r.feed, r.seq, r.id = r.reference(feedID), 0, refs.Message{}
	}
	r.sequence(shape)
	previous := r.id
	if shape&newPrevious != 0 {
		previous = r.reference(messageID)
	}
	r.put(`{"previous":`)
	if previous.IsZero() {
		r.put("null")
	} else {
		r.quotedID(messageID, previous)
	}
	if shape&sequenceFirst != 0 {
		r.put(`,"sequence":`)
		r.integer(r.seq)
	}
	r.put(`,"author":`)
	r.quotedID(feedID, r.feed)
	if shape&sequenceFirst == 0 {
		r.put(`,"sequence":`)
		r.integer(r.seq)
	}
	r.put(`,"timestamp":`)
	r.timestamp(shape)
	r.put(`,"hash":"sha256","content":`)
	r.text()
	r.put(`,"signature":"`)
	r.base64(r.take(&r.signatures, sigLen))
	r.put(sigTail + `"}`)
}

// sequence reads the sequence of a message.
func (r *reader) sequence(shape byte) {
	seq := uint64(r.seq) + 1
	if shape&newSequence != 0 {
		seq = r.number(&r.numbers)
	}
	if seq < 1 || seq > maxSequence {
		r.fail(fmt.Errorf("sequence %d", seq))
	}
	r.seq = int64(seq)
}

// timestamp appends the time of a message.
func (r *reader) timestamp(shape byte) {
	if shape&textTime != 0 {
		r.text()
		return
	}
	n := r.number(&r.times)
	r.time += int64(n>>1) ^ -int64(n&1)
	r.integer(r.time)
}

// text appends what the tokens up to the next end stand for.
func (r *reader) text() {
	word := false // the token before is a word
	for {
		n := r.number(&r.tokens)
		switch {
		case r.err != nil || n == tokenEnd:
			return
		case n == tokenNew || n >= tokenWord:
			w := r.word(n)
			between := word
			word = len(w) > 0 && isWord[w[0]]
			r.piece(w, between && word)
			continue
		case n == tokenBox:
			r.base64(r.take(&r.boxes, r.number(&r.numbers)))
		default:
			k := int(n - tokenID)
			r.id64(k, r.reference(k))
		}
		word = false
	}
}

// word returns the word of a token.
func (r *reader) word(token uint64) []byte {
	if token != tokenNew {
		return r.knownWord(token - tokenWord)
	}
	word, rest, found := bytes.Cut(r.words, []byte{'\n'})
	if !found || len(word) == 0 {
		r.fail(errShort)
		return nil
	}
	r.words = rest
	r.ends = append(r.ends, uint32(len(r.known)-len(rest)))
	return word
}

// knownWord returns a word that was met.
func (r *reader) knownWord(n uint64) []byte {
	if n >= uint64(len(r.ends)) {
		r.fail(fmt.Errorf("word %d of %d", n, len(r.ends)))
		return nil
	}
	start := uint32(0)
	if n > 0 {
		start = r.ends[n-1]
	}
	return r.known[start : r.ends[n]-1]
}

// reference reads an id.
func (r *reader) reference(k int) (id [32]byte) {
	back := r.number(&r.numbers)
	switch n := uint64(len(r.met[k])); {
	case r.err != nil:
	case back > n:
		r.fail(fmt.Errorf("an id that was met %d ids ago, of %d", back, n))
	case back > 0:
		return r.met[k][n-back]
	default:
		if copy(id[:], r.take(&r.ids[k], 32)) > 0 {
			r.met[k] = append(r.met[k], id)
		}
	}
	return id
}

// number reads a number from the front of a column.
func (r *reader) number(column *[]byte) uint64 {
	if c := *column; len(c) > 0 && c[0] < 0x80 {
		*column = c[1:]
		return uint64(c[0])
	}
	n, size := binary.Uvarint(*column)
	if size <= 0 {
		r.fail(errShort)
		return 0
	}
	*column = (*column)[size:]
	return n
}

// take takes n bytes from the front of a column, none if there are fewer.
func (r *reader) take(column *[]byte, n uint64) []byte {
	if n > uint64(len(*column)) {
		r.fail(errShort)
		return nil
	}
	part := (*column)[:n]
	*column = (*column)[n:]
	return part
}

// fail keeps the first error.
func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// room reports whether n bytes more fit into the lines.
func (r *reader) room(n int) bool {
	if r.err == nil && n > cap(r.lines)-len(r.lines) {
		r.err = errLong
	}
	return r.err == nil
}

func (r *reader) put(s string) {
	if r.room(len(s)) {
		r.lines = append(r.lines, s...)
	}
}

// piece appends a word or what is between words, and perhaps a space first.
func (r *reader) piece(w []byte, space bool) {
	if !r.room(len(w) + 1) {
		return
	}
	if space {
		r.lines = append(r.lines, ' ')
	}
	r.lines = append(r.lines, w...)
}

func (r *reader) integer(n int64) {
	var buf [20]byte
	r.put(string(strconv.AppendInt(buf[:0], n, 10)))
}

func (r *reader) base64(b []byte) {
	if r.room(b64.EncodedLen(len(b))) {
		r.lines = b64.AppendEncode(r.lines, b)
	}
}

// id64 appends an id.
func (r *reader) id64(k int, id [32]byte) {
	if r.room(1) {
		r.lines = append(r.lines, kinds[k].sigil)
	}
	r.base64(id[:])
	r.put(kinds[k].suffix)
}

func (r *reader) quotedID(k int, id [32]byte) {
	r.put(`"`)
	r.id64(k, id)
	r.put(`"`)
}
