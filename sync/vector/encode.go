package vector

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// feedSize is the size of a feed id in the encoding, in bytes.
const feedSize = len(refs.Feed{})

var (
	errTruncated = errors.New("truncated")
	errTrailing  = errors.New("trailing bytes")
	errNumber    = errors.New("number not in its shortest form or too large")
	errOrder     = errors.New("feeds not in ascending order")
)

// AppendBinary appends the encoding of c to dst. It never fails.
//
//	count     uvarint
//	feeds     count × 32 bytes, strictly ascending
//	sequences count × uvarint
//
// A uvarint is that of encoding/binary in its shortest form. Ids are random,
// so compressing the encoding gains next to nothing.
func (c Clock) AppendBinary(dst []byte) ([]byte, error) {
	dst = appendFeeds(dst, c.feeds)
	for _, seq := range c.seqs {
		dst = binary.AppendUvarint(dst, uint64(seq))
	}
	return dst, nil
}

// DecodeClock reads what AppendBinary wrote, and nothing else: b holds one
// clock of at most maxFeeds feeds, without a byte before or after it.
func DecodeClock(b []byte, maxFeeds int) (Clock, error) {
	c, err := decodeClock(b, maxFeeds)
	if err != nil {
		return Clock{}, fmt.Errorf("decoding vector: %v", err)
	}
	return c, nil
}

func decodeClock(b []byte, maxFeeds int) (Clock, error) {
	feeds, rest, err := decodeFeeds(b, maxFeeds, 1)
	if err != nil {
		return Clock{}, err
	}
	seqs := make([]int64, len(feeds))
	for i := range seqs {
		if seqs[i], rest, err = decodeNumber(rest); err != nil {
			return Clock{}, err
		}
	}
	if len(rest) != 0 {
		return Clock{}, errTrailing
	}
	return Clock{feeds, seqs}, nil
}

// appendFeeds appends the count and the column of feeds.
func appendFeeds(dst []byte, feeds []refs.Feed) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(feeds)))
	for i := range feeds {
		dst = append(dst, feeds[i][:]...)
	}
	return dst
}

// decodeFeeds reads the count and the column of feeds. Each feed is followed
// by at least tail bytes in later columns: a count that b cannot hold is
// refused before anything is allocated for it.
func decodeFeeds(b []byte, maxFeeds, tail int) (feeds []refs.Feed, rest []byte, err error) {
	count, b, err := decodeNumber(b)
	if err != nil {
		return nil, nil, err
	}
	if count > int64(maxFeeds) {
		return nil, nil, fmt.Errorf("%d feeds, at most %d allowed", count, maxFeeds)
	}
	if count > int64(len(b)/(feedSize+tail)) {
		return nil, nil, errTruncated
	}
	feeds = make([]refs.Feed, count)
	for i := range feeds {
		feeds[i], b = refs.Feed(b[:feedSize]), b[feedSize:]
		if i > 0 && compare(&feeds[i-1], &feeds[i]) >= 0 {
			return nil, nil, errOrder
		}
	}
	return feeds, b, nil
}

// decodeNumber reads a uvarint of 0 to MaxSeq in its shortest form.
func decodeNumber(b []byte) (int64, []byte, error) {
	v, n := binary.Uvarint(b)
	switch {
	case n == 0:
		return 0, nil, errTruncated
	case n < 0, v > MaxSeq, n > 1 && b[n-1] == 0:
		return 0, nil, errNumber
	}
	return int64(v), b[n:], nil
}
