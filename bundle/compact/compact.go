// Package compact is the second encoding of the message frames of bundles
// (spec/bundle.md, "Message frames, codec compact"): the same lines as with
// codec jsonl, in less space.
//
// It leaves out what a reader computes: the id of the message before, the
// sequence that follows, the names of members, base64. What remains stands in
// columns, like beside like. An id or a word is written once in a frame and
// then by its number. Every line comes back byte for byte; one that has not the
// usual form is kept as text.
//
// A frame needs nothing but itself. Contents come from anyone: Decode bounds
// what it makes of them, and a frame is right or lost as a whole.
package compact

import (
	"encoding/base64"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// MaxLines bounds the lines of a frame, in bytes.
const MaxLines = 8<<20 - 1

// MaxContents bounds what Encode makes of at most MaxLines bytes of lines.
const MaxContents = MaxLines + 1

// maxUnits bounds a message that is written in columns: longer ones are not
// valid, and indenting them for their id would cost a reader too much.
const maxUnits = 8192

// maxSequence is the highest sequence of a message in columns.
const maxSequence = 1<<31 - 1

// The forms of a frame's contents, in their first byte.
const (
	formLines   = 0 // the lines follow as they are
	formColumns = 1
)

// columns are the parts of a frame's contents, in the order in which they
// stand there: what compresses well comes first.
type columns struct {
	shapes     []byte          // one byte for each line
	tokens     []byte          // numbers: the text that is left
	words      []byte          // words met for the first time, each with a line feed
	numbers    []byte          // numbers: back references, lengths, sequences
	times      []byte          // numbers: differences of timestamps
	ids        [idKinds][]byte // ids met for the first time, 32 bytes each
	signatures []byte          // 64 bytes each
	boxes      []byte          // bytes of private contents
}

const columnCount = 7 + idKinds

// all returns the columns in order.
func (c *columns) all() [columnCount]*[]byte {
	return [...]*[]byte{&c.shapes, &c.tokens, &c.words, &c.numbers, &c.times,
		&c.ids[messageID], &c.ids[feedID], &c.ids[blobID], &c.signatures, &c.boxes}
}

// What is unusual about a line, in its shape. Zero is a message that follows
// the one before.
const (
	newAuthor     = 1 << iota // the author is not that of the message before
	newSequence               // the sequence is not the one after
	newPrevious               // previous is not the id of the message before
	textTime                  // the timestamp is not a plain integer: it stands in tokens
	sequenceFirst             // sequence stands before author
	verbatim                  // the whole line stands in tokens; excludes all others
	shapes                    // no shape
)

// The kinds of ids.
const (
	messageID = iota
	feedID
	blobID
	idKinds
)

// kind is how an id of a kind is spelt, around its base64.
type kind struct {
	sigil  byte
	suffix string
}

var kinds = [idKinds]kind{messageID: {'%', ".sha256"}, feedID: {'@', ".ed25519"}, blobID: {'&', ".sha256"}}

// Tokens. Those from tokenWord on are words by their number in the order of
// their appearance.
const (
	tokenEnd  = iota // the text ends
	tokenNew         // the next word of the column words
	tokenBox         // base64 of bytes of the column boxes
	tokenID          // an id of a kind: tokenID + kind
	tokenWord = tokenID + idKinds
)

const (
	idChars  = 44 // base64 of 32 bytes
	sigChars = 88 // base64 of 64 bytes
	sigLen   = 64
	sigTail  = ".sig.ed25519"
)

// b64 refuses every spelling but one, so that decoding and encoding again
// gives the same text.
var b64 = base64.StdEncoding.Strict()

// isWord tells the bytes of words: letters, digits and all that is not ASCII.
var isWord = func() (table [256]bool) {
	for c := range table {
		table[c] = c >= 0x80 || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
	}
	return table
}()

// state is what a message is told relative to: the message before in columns.
// Writer and reader keep equal ones.
type state struct {
	feed   refs.Feed
	seq    int64
	id     refs.Message // zero when the message is by another author than the one before
	time   int64        // milliseconds, of the last plain integer
	parser ecmajson.Parser
}
