package node

import (
	"errors"
	"strconv"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/store"
)

// appendKVT appends a message as {"key":…,"value":…,"timestamp":…}, the shape
// in which ssb-server hands out messages. The value is the stored text itself.
func appendKVT(dst []byte, rec store.Record) []byte {
	dst = append(dst, `{"key":"`...)
	dst, _ = rec.ID.AppendText(dst) // never fails
	dst = append(dst, `","value":`...)
	dst = append(dst, rec.Value...)
	dst = append(dst, `,"timestamp":`...)
	dst = ecmajson.AppendNumber(dst, rec.Received)
	return append(dst, '}')
}

// appendNumbered appends a message as createRawLogStream sends it.
func appendNumbered(dst []byte, rec store.Record) []byte {
	dst = strconv.AppendUint(append(dst, `{"seq":`...), rec.Rx-1, 10)
	return append(appendKVT(append(dst, `,"value":`...), rec), '}')
}

// shape returns what a read stream sends for a message: the whole, the id
// alone or the value alone, by the options keys and values.
func (q *query) shape(rec store.Record) []byte {
	if q.reveal != nil && q.Values {
		rec = q.reveal(rec)
	}
	switch {
	case q.Keys && q.Values:
		return appendKVT(nil, rec)
	case q.Keys:
		text, _ := rec.ID.AppendText([]byte{'"'}) // never fails
		return append(text, '"')
	}
	return rec.Value
}

// ignoreNotFound returns nil for store.ErrNotFound, else err.
func ignoreNotFound(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
