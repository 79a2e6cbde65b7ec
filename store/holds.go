package store

import (
	"bytes"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// Holds sets held[i] to whether the store holds, at Seq of Feed, a message
// whose value is exactly Value, for each probes[i]; nothing else of a probe
// matters. held must be at least as long as probes. It looks at one snapshot,
// copies nothing, and is fastest when the probes of a feed stand together.
func (s *Store) Holds(probes []Record, held []bool) error {
	held = held[:len(probes)]
	err := s.view(func(tx *bolt.Tx) error {
		r := &reader{
			messages:  tx.Bucket(bucketMessages),
			feeds:     tx.Bucket(bucketFeeds),
			sequences: tx.Bucket(bucketSequences),
		}
		var feed feedHead
		var err error
		for i := range probes {
			p := &probes[i]
			if i == 0 || p.Feed != probes[i-1].Feed {
				if feed, err = r.headOf(p); err != nil {
					return err
				}
			}
			held[i] = r.holds(feed, p)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("comparing %d messages with the store: %w", len(probes), err)
	}
	return nil
}

// headOf returns the head of the probe's feed, zero if the store has none.
func (r *reader) headOf(p *Record) (feedHead, error) {
	if r.heads == nil {
		r.heads = r.feeds.Cursor()
	}
	found, v := r.heads.Seek(p.Feed[:])
	if !bytes.Equal(found, p.Feed[:]) {
		return feedHead{}, nil
	}
	return parseFeedHead(p.Feed[:], v)
}

// holds compares one probe. The comparison of all bytes stands in for the
// checksum.
func (r *reader) holds(feed feedHead, p *Record) bool {
	if p.Seq < 1 || p.Seq > feed.seq {
		return false
	}
	rx, err := r.rxAt(feed.number, p.Seq)
	if err != nil {
		return false
	}
	h, value, err := parseHeader(rx, r.raw(rx))
	return err == nil && h.seq == p.Seq && h.number == feed.number && bytes.Equal(value, p.Value)
}
