package compact

import (
	"bytes"
	"encoding/binary"
	"strconv"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// Encode returns the contents of a message frame for lines, each ending in a
// line feed, together at most MaxLines bytes. Ids are those of the messages of
// all lines, as somebody computed them who verified the messages; with none,
// Encode computes them. A wrong one makes a wrong message of one that names it.
func Encode(lines []byte, ids []refs.Message) []byte {
	w := newWriter(len(lines))
	for rest := lines; len(rest) > 0; {
		line, after, _ := bytes.Cut(rest, []byte{'\n'})
		var id refs.Message
		if len(ids) > 0 {
			id, ids = ids[0], ids[1:]
		}
		if !w.message(line, id) {
			w.verbatim(line)
		}
		rest = after
	}
	if out := w.contents(len(lines)); len(out) <= len(lines) {
		return out
	}
	return append(append(make([]byte, 0, 1+len(lines)), formLines), lines...)
}

// writer writes columns.
type writer struct {
	columns
	state
	met   [idKinds]map[[32]byte]int // the newest place of each id
	count [idKinds]int              // places so far
	known map[string]uint64         // number of each word
	key   [32]byte                  // the id that was read last
	sig   []byte                    // the signature that was read last
}

func newWriter(size int) *writer {
	w := &writer{known: make(map[string]uint64)}
	w.parser.MaxUnits = maxUnits
	for k := range w.met {
		w.met[k] = make(map[[32]byte]int)
	}
	w.tokens = make([]byte, 0, size/16)
	w.signatures = make([]byte, 0, size/8)
	w.boxes = make([]byte, 0, size/4)
	return w
}

// contents puts the columns together, behind their lengths.
func (w *writer) contents(lines int) []byte {
	out := binary.AppendUvarint([]byte{formColumns}, uint64(lines))
	size := 0
	for _, column := range w.all() {
		out = binary.AppendUvarint(out, uint64(len(*column)))
		size += len(*column)
	}
	out = append(make([]byte, 0, len(out)+size), out...)
	for _, column := range w.all() {
		out = append(out, *column...)
	}
	return out
}

// verbatim writes a line as text.
func (w *writer) verbatim(line []byte) {
	w.shapes = append(w.shapes, verbatim)
	w.text(line)
}

// message writes a line in columns. The zero id is not known. It reports false,
// and has written nothing, when the line has not the usual form.
func (w *writer) message(line []byte, id refs.Message) bool {
	text, err := w.parser.Parse(line)
	if err != nil || !bytes.Equal(text.Compact, line) {
		return false
	}
	p, ok := w.split(text.Members)
	if !ok {
		return false
	}
	shape := p.order
	if p.feed != w.feed {
		shape |= newAuthor
		w.reference(feedID, p.feed)
		w.feed, w.seq, w.id = p.feed, 0, refs.Message{}
	}
	if p.seq != w.seq+1 {
		shape |= newSequence
		w.number(uint64(p.seq))
	}
	if p.previous != w.id {
		shape |= newPrevious
		w.reference(messageID, p.previous)
	}
	shape |= w.timestamp(p.timestamp)
	w.shapes = append(w.shapes, shape)
	w.content(p.content)
	w.signatures = append(w.signatures, w.sig...)
	if id.IsZero() {
		id = refs.SumMessage(text.Indented)
	}
	w.seq, w.id = p.seq, id
	w.add(messageID, w.id)
	return true
}

// parts are the members of a message of the usual form.
type parts struct {
	feed               refs.Feed
	seq                int64
	previous           refs.Message // zero is null
	timestamp, content []byte
	order              byte // sequenceFirst or 0
}

// split takes a message apart, and leaves its signature in w.sig. It reports
// false for every form but the usual one.
func (w *writer) split(members []ecmajson.Member) (p parts, ok bool) {
	if len(members) != 7 {
		return p, false
	}
	author, sequence := members[1].Value, members[2].Value
	names := [...]string{`"previous"`, `"author"`, `"sequence"`, `"timestamp"`, `"hash"`, `"content"`, `"signature"`}
	if string(members[1].Key) == names[2] {
		p.order = sequenceFirst
		author, sequence = sequence, author
		names[1], names[2] = names[2], names[1]
	}
	for i, name := range names {
		if string(members[i].Key) != name {
			return p, false
		}
	}
	p.timestamp, p.content = members[3].Value, members[5].Value
	if string(members[4].Value) != `"sha256"` || !w.isSignature(members[6].Value) || !w.isID(author, feedID) {
		return p, false
	}
	p.feed = w.key
	if p.seq, ok = plainInt(sequence); !ok || p.seq < 1 || p.seq > maxSequence {
		return p, false
	}
	if string(members[0].Value) == "null" {
		return p, true
	}
	ok = w.isID(members[0].Value, messageID)
	p.previous = w.key
	return p, ok && !p.previous.IsZero()
}

// isSignature reads a signature in its one usual spelling.
func (w *writer) isSignature(value []byte) bool {
	if len(value) != 2+sigChars+len(sigTail) || string(value[1+sigChars:]) != sigTail+`"` {
		return false
	}
	var err error
	w.sig, err = b64.AppendDecode(w.sig[:0], value[1:1+sigChars])
	return err == nil && len(w.sig) == sigLen
}

// isID reads a JSON string that is an id.
func (w *writer) isID(value []byte, k int) bool {
	return len(value) == 3+idChars+len(kinds[k].suffix) && value[1] == kinds[k].sigil &&
		string(value[2+idChars:]) == kinds[k].suffix+`"` && w.decodeID(value[2:2+idChars])
}

// decodeID reads the one base64 spelling of an id.
func (w *writer) decodeID(text []byte) bool {
	var buf [33]byte
	n, err := b64.Decode(buf[:], text)
	copy(w.key[:], buf[:])
	return err == nil && n == len(w.key)
}

// plainInt reads an integer that strconv.AppendInt prints in the same way.
func plainInt(text []byte) (int64, bool) {
	if len(text) > 16 {
		return 0, false
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	var buf [20]byte
	return n, err == nil && bytes.Equal(strconv.AppendInt(buf[:0], n, 10), text)
}

func (w *writer) number(n uint64) { w.numbers = binary.AppendUvarint(w.numbers, n) }

// timestamp writes a time, and returns what it adds to the shape.
func (w *writer) timestamp(text []byte) byte {
	ms, ok := plainInt(text)
	if !ok {
		w.text(text)
		return textTime
	}
	w.times = binary.AppendVarint(w.times, ms-w.time)
	w.time = ms
	return 0
}

// reference writes an id: how many places back it was met or, for the first
// time, 0 and its bytes.
func (w *writer) reference(k int, id [32]byte) {
	if n, ok := w.met[k][id]; ok {
		w.number(uint64(w.count[k] - n))
		return
	}
	w.number(0)
	w.ids[k] = append(w.ids[k], id[:]...)
	w.add(k, id)
}

// add gives an id the next place.
func (w *writer) add(k int, id [32]byte) {
	w.met[k][id] = w.count[k]
	w.count[k]++
}
