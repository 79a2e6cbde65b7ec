package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"

	bolt "go.etcd.io/bbolt"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// Fork is the proof that an author made two messages of one sequence. The
// branch that was stored first stays; the feed takes nothing more.
type Fork struct {
	Feed     refs.Feed
	Seq      int64
	Have     refs.Message // the message of our branch
	Other    refs.Message // the one kept as evidence
	Received float64      // when it came, milliseconds since 1970
	Value    []byte       // the value of Other; Forks leaves it out
}

const forkHeader = 4 + 32 + 32 + 8 + 4

// putFork keeps m as the evidence that its feed is forked.
func putFork(forks *bolt.Bucket, m *message.Message, have refs.Message, received float64) error {
	feed, id := m.Feed(), m.ID()
	b := make([]byte, 0, forkHeader+len(m.Value()))
	b = binary.BigEndian.AppendUint32(b, uint32(m.Seq()))
	b = append(b, have[:]...)
	b = append(b, id[:]...)
	b = binary.BigEndian.AppendUint64(b, math.Float64bits(received))
	b = binary.BigEndian.AppendUint32(b, forkSum(b, m.Value()))
	return forks.Put(feed[:], append(b, m.Value()...))
}

// forkSum is the checksum of the evidence.
func forkSum(head, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, value)
}

// parseFork decodes the evidence; its value points into b.
func parseFork(feed, b []byte) (f Fork, err error) {
	const sum = forkHeader - 4
	if len(feed) != 32 || len(b) < forkHeader || binary.BigEndian.Uint32(b[sum:]) != forkSum(b[:sum], b[forkHeader:]) {
		return f, fmt.Errorf("%w: evidence of the fork of feed %x has changed on disk", ErrDamaged, feed)
	}
	f.Feed = refs.Feed(feed)
	f.Seq = int64(binary.BigEndian.Uint32(b))
	copy(f.Have[:], b[4:])
	copy(f.Other[:], b[36:])
	f.Received = math.Float64frombits(binary.BigEndian.Uint64(b[68:]))
	f.Value = b[forkHeader:]
	return f, nil
}

// Forks returns all forked feeds, sorted by feed, without the values.
func (s *Store) Forks() ([]Fork, error) {
	var all []Fork
	err := s.view(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketForks).ForEach(func(k, v []byte) error {
			f, err := parseFork(k, v)
			f.Value = nil
			all = append(all, f)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("reading the forks: %w", err)
	}
	return all, nil
}

// Fork returns the evidence that a feed is forked, with the value of the other
// message, or ErrNotFound.
func (s *Store) Fork(feed refs.Feed) (f Fork, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		v := tx.Bucket(bucketForks).Get(feed[:])
		if v == nil {
			return ErrNotFound
		}
		f, err = parseFork(feed[:], v)
		f.Value = bytes.Clone(f.Value)
		return err
	})
	if err != nil {
		return f, fmt.Errorf("reading the fork of feed %s: %w", feed, err)
	}
	return f, nil
}

// Frozen reports whether a feed is forked and takes nothing more.
func (s *Store) Frozen(feed refs.Feed) (frozen bool, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		frozen = tx.Bucket(bucketForks).Get(feed[:]) != nil
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("looking for a fork of feed %s: %w", feed, err)
	}
	return frozen, nil
}
