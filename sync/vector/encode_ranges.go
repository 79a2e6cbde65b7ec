package vector

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/ssbsync/ssbsync/spec/refs"
)

var errNoRuns = errors.New("feed without a range")

// minRun is the least size of a run in the encoding, in bytes.
const minRun = 2

// AppendBinary appends the encoding of r to dst. It never fails.
//
//	count  uvarint
//	feeds  count × 32 bytes, strictly ascending
//	then for each feed
//	runs   uvarint, at least 1
//	run    runs × { skip uvarint, more uvarint }
//
// A run begins skip after the lowest sequence at which it could begin, which
// is 1 for the first run of a feed and the end of the run before plus 2 for
// the others, and has more further messages after its first.
func (r *Ranges) AppendBinary(dst []byte) ([]byte, error) {
	feeds := r.sorted()
	dst = appendFeeds(dst, feeds)
	for _, feed := range feeds {
		runs := r.feeds[feed]
		dst = binary.AppendUvarint(dst, uint64(len(runs)))
		lowest := int64(1)
		for _, run := range runs {
			dst = binary.AppendUvarint(dst, uint64(run.First-lowest))
			dst = binary.AppendUvarint(dst, uint64(run.Last-run.First))
			lowest = run.Last + 2
		}
	}
	return dst, nil
}

// DecodeRanges reads what AppendBinary wrote, and nothing else: b holds one
// set with at most maxFeeds feeds, without a byte before or after it.
func DecodeRanges(b []byte, maxFeeds int) (*Ranges, error) {
	r, err := decodeRanges(b, maxFeeds)
	if err != nil {
		return nil, fmt.Errorf("decoding ranges: %v", err)
	}
	return r, nil
}

func decodeRanges(b []byte, maxFeeds int) (*Ranges, error) {
	feeds, rest, err := decodeFeeds(b, maxFeeds, 1+minRun)
	if err != nil {
		return nil, err
	}
	r := &Ranges{make(map[refs.Feed][]Range, len(feeds))}
	for _, feed := range feeds {
		if r.feeds[feed], rest, err = decodeRuns(rest); err != nil {
			return nil, fmt.Errorf("feed %q: %v", feed, err)
		}
	}
	if len(rest) != 0 {
		return nil, errTrailing
	}
	return r, nil
}

// decodeRuns reads the runs of one feed.
func decodeRuns(b []byte) ([]Range, []byte, error) {
	count, b, err := decodeNumber(b)
	switch {
	case err != nil:
		return nil, nil, err
	case count == 0:
		return nil, nil, errNoRuns
	case count > int64(len(b)/minRun):
		return nil, nil, errTruncated
	}
	runs := make([]Range, count)
	lowest := int64(1)
	for i := range runs {
		if runs[i], b, err = decodeRun(b, lowest); err != nil {
			return nil, nil, err
		}
		lowest = runs[i].Last + 2
	}
	return runs, b, nil
}

// decodeRun reads one run that begins at lowest or later.
func decodeRun(b []byte, lowest int64) (Range, []byte, error) {
	skip, b, err := decodeNumber(b)
	if err != nil {
		return Range{}, nil, err
	}
	more, b, err := decodeNumber(b)
	if err != nil {
		return Range{}, nil, err
	}
	// Neither sum can overflow: each term is at most MaxSeq + 2.
	first := lowest + skip
	if first+more > MaxSeq {
		return Range{}, nil, errNumber
	}
	return Range{first, first + more}, b, nil
}
