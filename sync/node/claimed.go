package node

import (
	"context"
	"encoding/binary"
	"math"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/store"
)

// newClaimedIndex orders messages by the time they resolve to: the time their
// author claims or, where that is earlier, that of their arrival; those of one
// time by author, as ssb-db does. Its keys are that time, as 8 bytes that sort
// like the number, and the beginning of the author without sigil.
func newClaimedIndex() *index {
	return &index{name: "node.claimed.2", title: "feed", was: []string{"node.claimed"}, rows: func(rec *store.Record, add func([]byte)) {
		add(append(timeKey(resolvedTime(rec)), rec.Feed.String()[1:1+authorPart]...))
	}}
}

// timeLen is the length of the time at the beginning of a key, in bytes.
const timeLen = 8

// createFeedStream sends all messages by resolved time, each with that time as
// rts; gt, gte, lt and lte are resolved times.
func (n *Node) createFeedStream(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	q, err := streamQuery(c)
	if err != nil {
		return err
	}
	n.privately(&q)
	low, high := q.timeKeys()
	return n.streamIndex(ctx, st, &q, &span{index: n.claimed, low: low, high: high,
		items: func(key []byte, rec *store.Record, yield func([]byte)) { yield(q.resolved(key, rec)) }})
}

// resolved returns a message in the shape the query asks for, with its resolved
// time.
func (q *query) resolved(key []byte, rec *store.Record) []byte {
	item := q.shape(*rec)
	if q.Keys && q.Values {
		item = append(item[:len(item)-1], `,"rts":`...)
		item = append(ecmajson.AppendNumber(item, keyTime(key)), '}')
	}
	return item
}

// resolvedTime is the claimed time, or the arrival where that is earlier.
func resolvedTime(rec *store.Record) float64 { return min(claimedTime(*rec), rec.Received) }

// timeKeys returns the keys from which and to below which the bounds of the
// query lie. As in ssb-db, whose keys go on with the author, gt takes in what
// is equal and lte leaves it out.
func (q *query) timeKeys() (low, high []byte) {
	for _, bound := range []*float64{q.GT, q.GTE} {
		if bound != nil {
			low = higher(low, timeKey(*bound))
		}
	}
	for _, bound := range []*float64{q.LT, q.LTE} {
		if bound != nil {
			high = lower(high, timeKey(*bound))
		}
	}
	return low, high
}

// higher returns the greater of two keys.
func higher(a, b []byte) []byte {
	if string(a) > string(b) {
		return a
	}
	return b
}

// lower returns the smaller of two keys, of which an empty one is no bound.
func lower(a, b []byte) []byte {
	if len(a) > 0 && string(a) < string(b) {
		return a
	}
	return b
}

// timeKey returns a time as 8 bytes that sort like the number.
func timeKey(t float64) []byte {
	bits := math.Float64bits(t + 0) // a negative zero becomes a positive one
	if bits>>63 == 1 {
		bits = ^bits
	} else {
		bits |= 1 << 63
	}
	return binary.BigEndian.AppendUint64(make([]byte, 0, timeLen+authorPart), bits)
}

// keyTime is the time of a key.
func keyTime(key []byte) float64 {
	bits := binary.BigEndian.Uint64(key)
	if bits>>63 == 1 {
		return math.Float64frombits(bits &^ (1 << 63))
	}
	return math.Float64frombits(^bits)
}
