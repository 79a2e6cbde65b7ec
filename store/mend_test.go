package store_test

import (
	"bytes"
	"encoding/binary"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/store"
)

// rot flips a bit of the record with a receive number.
func rot(t *testing.T, s *store.Store, rx uint64, at int) {
	t.Helper()
	err := s.Tamper(func(bucket func(string) *bolt.Bucket) error {
		key := binary.BigEndian.AppendUint64(nil, rx)
		rec := bytes.Clone(bucket("messages").Get(key))
		rec[at] ^= 1
		return bucket("messages").Put(key, rec)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestMend lets bits of a record rot, each byte of its header in turn, and
// offers the message again: it is mended, and no fork is seen. The closing of
// the store checks the rest.
func TestMend(t *testing.T) {
	s := temp(t)
	f := feed(t, 5, author(1))
	mustAppend(t, s, store.Stored, f...)
	for _, seq := range []int64{1, 3, 5} { // the first, one between, the head
		for at := range 60 {
			rot(t, s, uint64(seq), at)
			if _, err := s.Get(f[0].Feed(), seq); err == nil {
				t.Fatalf("byte %d of message %d: not noticed", at, seq)
			}
			mustAppend(t, s, store.Duplicate, f[seq-1])
			rec, err := s.Get(f[0].Feed(), seq)
			if err != nil {
				t.Fatalf("byte %d of message %d: %v", at, seq, err)
			}
			matches(t, rec, f[seq-1])
		}
	}
	mustAppend(t, s, store.Stored, chain(t, author(1), head(f[4]), 1, "note")...)
}

// TestMendNothingElse offers other messages for the place of a rotten record:
// a fork is one whatever became of the record, and where nobody knows which
// message belongs there nothing happens.
func TestMendNothingElse(t *testing.T) {
	s := temp(t)
	f := feed(t, 5, author(1))
	mustAppend(t, s, store.Stored, f...)
	branch := chain(t, author(1), head(f[1]), 1, "branch")
	rot(t, s, 3, 30)
	rot(t, s, 4, 30)
	mustAppend(t, s, store.Duplicate, branch...)
	if _, err := s.Get(f[0].Feed(), 3); err == nil {
		t.Error("mended with a message that may be another")
	}
	mustAppend(t, s, store.Duplicate, f[3], f[2])
	rot(t, s, 3, 30)
	mustAppend(t, s, store.Forked, branch...)
	if fork, err := s.Fork(f[0].Feed()); err != nil || fork.Have != f[2].ID() {
		t.Errorf("evidence of the fork: %+v, %v", fork, err)
	}
	mustAppend(t, s, store.Duplicate, f[2])
}

func head(m *message.Message) message.Head {
	return message.Head{Feed: m.Feed(), Seq: m.Seq(), ID: m.ID()}
}

// TestRottenIndex lets the index point to a sound record of another place: the
// message that belongs there is no fork, and Check names the place.
func TestRottenIndex(t *testing.T) {
	s, err := store.Open(filepath.Join(t.TempDir(), "store.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	f := feed(t, 5, author(1))
	mustAppend(t, s, store.Stored, f...)
	err = s.Tamper(func(bucket func(string) *bolt.Bucket) error {
		key, v := bucket("sequences").Cursor().First()
		chunk := bytes.Clone(v)
		copy(chunk[6:12], chunk[12:18]) // sequence 2 as sequence 3
		return bucket("sequences").Put(bytes.Clone(key), chunk)
	})
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, store.Duplicate, f...)
	_, err = s.Get(f[0].Feed(), 2)
	isErr(t, 0, err, store.ErrDamaged)
	report, err := s.Check(t.Context(), store.CheckOptions{})
	if err != nil || report.OK() || report.Problems[0].Feed != f[0].Feed() || report.Problems[0].Seq != 2 {
		t.Errorf("%v, %v", report.Problems, err)
	}
}
