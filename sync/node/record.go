package node

import (
	"errors"
	"strconv"

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
	dst = appendNumber(dst, rec.Received)
	return append(dst, '}')
}

// appendNumber appends a time in milliseconds as JavaScript prints it.
func appendNumber(dst []byte, f float64) []byte {
	return strconv.AppendFloat(dst, f, 'f', -1, 64)
}

// shape returns what a read stream sends for a message: the whole, the id
// alone or the value alone, by the options keys and values.
func (q *query) shape(rec store.Record) []byte {
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
