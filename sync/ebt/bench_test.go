package ebt_test

import (
	"encoding/binary"
	"testing"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/ebt"
)

const benchFeeds = 20_000

func benchFeed(n int) (id refs.Feed) {
	binary.BigEndian.PutUint32(id[:], uint32(n)*2654435761)
	return id
}

func benchState() *ebt.State {
	s := ebt.New(me, ebt.Config{})
	for n := range benchFeeds {
		s.Append(benchFeed(n), int64(n%100))
		s.Want(benchFeed(n), true)
	}
	return s
}

// BenchmarkSession opens a session in which everything has to be told.
func BenchmarkSession(b *testing.B) {
	s := benchState()
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Connect(peerP, false, ebt.Memory{}); err != nil {
			b.Fatal(err)
		}
		for notes, ok := s.NextNotes(peerP); ok; notes, ok = s.NextNotes(peerP) {
			s.Notes(peerP, notes)
		}
		s.Disconnect(peerP)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchFeeds, "ns/feed")
}

// BenchmarkAppend tells a new message to ten peers.
func BenchmarkAppend(b *testing.B) {
	s := benchState()
	for n := range 10 {
		peer := refs.Feed{200, byte(n)}
		if err := s.Connect(peer, false, ebt.Memory{}); err != nil {
			b.Fatal(err)
		}
		for notes, ok := s.NextNotes(peer); ok; notes, ok = s.NextNotes(peer) {
			s.Notes(peer, notes)
		}
	}
	seq := int64(100)
	for b.Loop() {
		seq++
		s.Append(benchFeed(1), seq)
		for n := range 10 {
			s.NextNotes(refs.Feed{200, byte(n)})
			s.NextSend(refs.Feed{200, byte(n)}, 100)
		}
	}
}

func BenchmarkTick(b *testing.B) {
	s := benchState()
	if err := s.Connect(peerP, false, ebt.Memory{}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s.Tick()
	}
}

func BenchmarkDecodeNotes(b *testing.B) {
	var notes []ebt.FeedNote
	for n := range 1000 {
		notes = append(notes, receive(benchFeed(n), int64(n)))
	}
	frame := ebt.AppendNotes(nil, notes)
	b.SetBytes(int64(len(frame)))
	for b.Loop() {
		if _, err := ebt.DecodeNotes(frame, maxFeeds); err != nil {
			b.Fatal(err)
		}
	}
}
