package store

import (
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// WaitingOf returns how much of one feed waits; Messages is 0 when nothing
// does.
func (s *Store) WaitingOf(feed refs.Feed) (f WaitingFeed, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		v := tx.Bucket(bucketQueues).Get(feed[:])
		if v == nil {
			f.Feed = feed
			return nil
		}
		f, err = describeQueue(tx.Bucket(bucketWaiting).Cursor(), feed[:], v)
		return err
	})
	if err != nil {
		return f, fmt.Errorf("counting the waiting messages of feed %s: %w", feed, err)
	}
	return f, nil
}
