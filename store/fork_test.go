package store_test

import (
	"bytes"
	"testing"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/store"
)

func TestFork(t *testing.T) {
	s := temp(t)
	ours := feed(t, 6, author(1))
	theirs := chain(t, author(1), message.Head{Feed: author(1).Feed(), Seq: 2, ID: ours[1].ID()}, 3, "branch")
	mustAppend(t, s, store.Stored, ours[:4]...)
	id := author(1).Feed()
	_, err := s.Fork(id)
	isErr(t, 0, err, store.ErrNotFound)

	r := mustAppend(t, s, store.Forked, theirs[1])
	if r[0].Have != 4 {
		t.Errorf("head is %d", r[0].Have)
	}
	mustAppend(t, s, store.Frozen, theirs[0], theirs[1], theirs[2], ours[4], ours[5])
	mustAppend(t, s, store.Duplicate, ours[:4]...)
	readFeed(t, s, ours[:4])

	f, err := s.Fork(id)
	if err != nil || f.Feed != id || f.Seq != 4 || f.Have != ours[3].ID() || f.Other != theirs[1].ID() || !bytes.Equal(f.Value, theirs[1].Value()) {
		t.Errorf("evidence: %+v, %v", f, err)
	}
	forks, err := s.Forks()
	if err != nil || len(forks) != 1 || forks[0].Other != f.Other || forks[0].Value != nil {
		t.Errorf("forks: %+v, %v", forks, err)
	}
	for n, want := range map[int]bool{1: true, 2: false} {
		if frozen, err := s.Frozen(author(n).Feed()); err != nil || frozen != want {
			t.Errorf("author %d frozen: %v, %v", n, frozen, err)
		}
	}
	report, err := s.Check(t.Context(), store.CheckOptions{Signatures: true})
	if err != nil || !report.OK() || report.Forks != 1 {
		t.Errorf("check: %+v, %v", report, err)
	}
}

// TestForkInOneAppend meets both branches in one transaction.
func TestForkInOneAppend(t *testing.T) {
	s := temp(t)
	ours, theirs := feed(t, 3, author(1)), chain(t, author(1), message.Head{}, 3, "branch")
	other := feed(t, 2, author(2))
	results, err := s.Append([]*message.Message{ours[0], other[0], ours[1], theirs[0], ours[2], theirs[1], other[1]})
	if err != nil {
		t.Fatal(err)
	}
	want := []store.Status{
		store.Stored, store.Stored, store.Stored, store.Forked, store.Frozen, store.Frozen, store.Stored,
	}
	for i, r := range results {
		if r.Status != want[i] {
			t.Errorf("message %d: %v, want %v", i, r.Status, want[i])
		}
	}
	readFeed(t, s, ours[:2])
	readFeed(t, s, other)
}

// TestForkAtFirst forks feeds at their first message: what came first stays.
func TestForkAtFirst(t *testing.T) {
	s := temp(t)
	for n := range 5 {
		ours, theirs := feed(t, 3, author(n)), chain(t, author(n), message.Head{}, 3, "branch")
		mustAppend(t, s, store.Stored, ours...)
		mustAppend(t, s, store.Forked, theirs[0])
	}
	forks, err := s.Forks()
	if err != nil || len(forks) != 5 {
		t.Errorf("%d forks, %v", len(forks), err)
	}
}
