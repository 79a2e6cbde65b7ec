package space_test

import (
	"testing"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/space"
	"github.com/ssbsync/ssbsync/sync/vector"
)

// TestUsefulStrangersStay: people who do not all know each other share a stick;
// what one of them brought and another waits for does not go while there is
// something that nobody lacks.
func TestUsefulStrangersStay(t *testing.T) {
	m := &space.Medium{Stores: []space.Store{store(1, map[int]int64{1: 100})}}
	m.Bundles = []space.Bundle{
		bundle("known", 1000, 1, 1, 100),
		bundle("lacking", 1000, 4, 1, 10),
		bundle("junk", 1000, 1, 1, 100),
		bundle("useful", 1000, 2, 1, 50),
	}
	for i := 2; i < 4; i++ {
		m.Bundles[i].Stranger, m.Bundles[i].Runs[0].Counts = true, false
	}
	m.Bundles[2].Exporter = feed(201)
	wantNames(t, "order", names(m, space.NeedScore{}.Candidates(m)), "junk replaced", "known released", "useful excess", "lacking pressed")
	m.Bundles[2].Runs[0].Last = 101
	m.Stores[0].Holds = func(f refs.Feed) int64 { return map[refs.Feed]int64{feed(1): 101}[f] }
	wantNames(t, "order", names(m, space.NeedScore{}.Candidates(m)), "junk excess", "known released", "useful excess", "lacking pressed")
}

// TestSmallChangeDoesNotStop: a message that hardly anybody needs, and that
// fits at once, must not end the search for room for what is needed badly.
func TestSmallChangeDoesNotStop(t *testing.T) {
	m := &space.Medium{Stores: []space.Store{store(1, nil)}}
	m.Bundles = []space.Bundle{
		bundle("far", 500, 1, 100_000, 100_003),
		bundle("farther", 20_000, 2, 500, 510),
	}
	fit := space.Make(space.NeedScore{}, m, []space.Piece{
		{Span: vector.Span{Feed: feed(3), First: 1, Last: 32}, Bytes: 16_000},
		{Span: vector.Span{Feed: feed(4), First: 100_000, Last: 100_000}, Bytes: 400},
	})
	if len(fit.Remove) != 2 || len(fit.Write) == 0 || fit.Write[0].Len() != 32 {
		t.Errorf("%+v", fit)
	}
}
