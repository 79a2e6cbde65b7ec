package store

import (
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/vector"
)

// Growth returns which feeds the messages after a receive number belong to,
// each once with the highest sequence among them, and the receive number of
// the last message looked at: after itself when there are none. It looks at no
// more than limit messages, and copies none of them, so that it is far cheaper
// than LogPage for whoever follows only how far feeds go.
func (s *Store) Growth(after uint64, limit int) (grown []vector.Entry, last uint64, err error) {
	last = after
	err = s.view(func(tx *bolt.Tx) error {
		r := s.newReader(tx)
		at := make(map[uint32]int)
		c := r.messages.Cursor()
		for key, raw := seekLog(c, after, maxRx+1, false); key != nil && limit > 0; key, raw = c.Next() {
			limit--
			last = parseRxKey(key)
			h, _, err := parseHeader(last, raw)
			if err != nil {
				return err
			}
			i, ok := at[h.number]
			if !ok {
				i = len(grown)
				at[h.number] = i
				var feed refs.Feed
				if feed, err = r.feedOf(h.number); err != nil {
					return err
				}
				grown = append(grown, vector.Entry{Feed: feed})
			}
			grown[i].Seq = max(grown[i].Seq, h.seq)
		}
		return nil
	})
	if err != nil {
		return nil, after, fmt.Errorf("reading what feeds have grown: %w", err)
	}
	return grown, last, nil
}
