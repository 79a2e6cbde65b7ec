package store

import (
	"context"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// maxProblems bounds how many problems a CheckReport names.
const maxProblems = 1000

// CheckReport is what Check found.
type CheckReport struct {
	Messages int64 // messages read
	Feeds    int64
	Forks    int64
	Waiting  int64 // waiting messages read
	Bytes    int64 // size of all values read
	Size     int64 // size of the database file

	Problems []Problem // the first 1,000
	Found    int64     // how many problems there are in all
}

// OK reports whether nothing is wrong.
func (r *CheckReport) OK() bool { return r.Found == 0 }

// Problem is one thing that is wrong with the store.
type Problem struct {
	Feed refs.Feed // zero when it concerns no single feed
	Seq  int64     // 0 when it concerns no single message
	What string
}

// String names the feed and the sequence as far as they are known.
func (p Problem) String() string {
	switch {
	case p.Feed.IsZero():
		return p.What
	case p.Seq == 0:
		return fmt.Sprintf("feed %s: %s", p.Feed, p.What)
	}
	return fmt.Sprintf("feed %s, message %d: %s", p.Feed, p.Seq, p.What)
}

// CheckOptions say how thorough Check is.
type CheckOptions struct {
	// Signatures asks to verify every message anew, as if it had come from
	// outside. It takes most of the time.
	Signatures bool

	// Net is the network's HMAC key, nil on the main network.
	Net *keys.HMAC
}

// Check reads the whole store and looks whether it is consistent: the pages of
// the database, every message and its checksum, every feed complete from 1 to
// its head and chained by previous ids, the receive log and both indexes in
// agreement, the evidence of forks, the account of waiting messages. Writers
// wait while it runs. The error is about checking itself; what is wrong with
// the store is in the report.
func (s *Store) Check(ctx context.Context, o CheckOptions) (CheckReport, error) {
	c := &checker{ctx: ctx, options: o, perFeed: make(map[uint32]int64)}
	if o.Signatures {
		c.verifier = keys.NewVerifier()
	}
	err := s.update(func(tx *bolt.Tx) (bool, error) {
		c.reader = s.newReader(tx)
		// The last transaction is the one before this.
		if err := checkFile(s.path, tx, uint64(tx.ID()-1), true); err != nil {
			return false, err
		}
		return false, c.run(tx)
	})
	if errors.Is(err, ErrDamaged) {
		c.problem(refs.Feed{}, 0, "%v; the rest was not looked at", err)
		err = nil
	}
	if err != nil {
		return c.report, fmt.Errorf("checking the store: %w", err)
	}
	return c.report, nil
}
