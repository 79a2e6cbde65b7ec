package gossip_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/gossip"
	"github.com/ssbsync/ssbsync/sync/ingest"
)

// feedsOf returns the ids of authors with the numbers.
func feedsOf(numbers ...int) []refs.Feed {
	var feeds []refs.Feed
	for _, n := range numbers {
		feeds = append(feeds, pair(n).Feed())
	}
	return feeds
}

func TestTwoNodes(t *testing.T) {
	for _, test := range []struct {
		name string
		a, b options
		want gossip.Protocol
	}{
		{"ebt", options{}, options{}, gossip.EBT},
		{"callee without ebt", options{}, options{noEBT: true}, gossip.History},
	} {
		t.Run(test.name, func(t *testing.T) {
			authors := []int{10, 11, 12, 13, 14}
			all := append(feedsOf(authors...), feedsOf(1, 2)...)
			test.a.policy, test.b.policy = newPolicy(all...), newPolicy(all...)
			a, b := startNode(t, 1, test.a), startNode(t, 2, test.b)
			a.fill(authors[:3], 50)
			b.fill(authors[2:], 70)
			a.publish(`{"type":"post","text":"a"}`)
			b.publish(`{"type":"post","text":"b"}`)
			a.connect(b)
			waitFor(t, "history of b", func() bool { return a.head(pair(14).Feed()) == 70 && a.head(b.id) == 1 })
			if test.want == gossip.EBT {
				sameVector(t, a, b)
			}
			b.publish(`{"type":"post","text":"live"}`)
			waitFor(t, "live message", func() bool { return a.head(b.id) == 2 })
			peers := a.Peers()
			if len(peers) != 1 || peers[0].Feed != b.id || peers[0].Protocol != test.want || peers[0].Received == 0 {
				t.Errorf("peers of a: %+v", peers)
			}
			t.Logf("%+v", peers)
		})
	}
}

// TestMixedNetwork lets nodes of both kinds, each with other parts of the
// feeds, find the same messages over a ring of connections with chords.
func TestMixedNetwork(t *testing.T) {
	for seed := range uint64(2) {
		rng := rand.New(rand.NewPCG(seed, 7))
		const nodes, authors = 6, 12
		var numbers []int
		for n := range authors {
			numbers = append(numbers, 100+n)
		}
		for n := range nodes {
			numbers = append(numbers, n+1)
		}
		var list []*node
		for n := range nodes {
			nd := startNode(t, n+1, options{policy: newPolicy(feedsOf(numbers...)...), noEBT: rng.IntN(3) == 0,
				limits: gossip.Limits{Grace: 50 * time.Millisecond}, tick: 100 * time.Millisecond})
			for a := range authors {
				if rng.IntN(3) == 0 {
					nd.fill([]int{100 + a}, 1+rng.IntN(60))
				}
			}
			for range rng.IntN(5) {
				nd.publish(`{"type":"post","text":"mine"}`)
			}
			list = append(list, nd)
		}
		for n := range nodes {
			list[n].connect(list[(n+1)%nodes])
			if other := rng.IntN(nodes); other != n {
				list[n].connect(list[other])
			}
		}
		list[0].publish(`{"type":"post","text":"later"}`)
		for n := 1; n < nodes; n++ {
			sameVector(t, list[0], list[n])
		}
		var sum gossip.Peer
		for _, nd := range list {
			for _, p := range nd.Peers() {
				sum.Received += p.Received
				sum.Duplicate += p.Duplicate
				sum.Refused += p.Refused
				sum.Rejected += p.Rejected
			}
			nd.end()
		}
		if sum.Rejected > 0 {
			t.Errorf("seed %d: %d messages were rejected", seed, sum.Rejected)
		}
		t.Logf("seed %d: %d nodes, %d messages received, %d of them twice, %d refused", seed, nodes, sum.Received, sum.Duplicate, sum.Refused)
	}
}

// TestManyFeeds runs EBT with clocks of more feeds than fit one frame of notes.
func TestManyFeeds(t *testing.T) {
	const feeds = 3500
	var ids []refs.Feed
	for n := range feeds {
		ids = append(ids, pair(10_000+n).Feed())
	}
	a := startNode(t, 1, options{policy: newPolicy(ids...)})
	b := startNode(t, 2, options{policy: &policy{all: true, feeds: map[refs.Feed]bool{}}})
	var some, others []int
	for n := range feeds {
		if n%3 == 0 {
			some = append(some, 10_000+n)
		}
		if n%7 == 0 {
			others = append(others, 10_000+n)
		}
	}
	a.fill(some, 1)
	b.fill(others, 2)
	b.connect(a)
	sameVector(t, a, b)
	t.Logf("%d feeds, %d messages", feeds, a.store.Last())
}

// TestPolicyChanges follows and blocks while a session runs.
func TestPolicyChanges(t *testing.T) {
	x, y := pair(20).Feed(), pair(21).Feed()
	a, b := startNode(t, 1, options{policy: newPolicy(x)}), startNode(t, 2, options{policy: newPolicy(x, y)})
	b.fill([]int{20, 21}, 30)
	a.connect(b)
	waitFor(t, "the feed that is wanted", func() bool { return a.head(x) == 30 })
	if a.head(y) != 0 {
		t.Fatal("a feed that is not wanted came")
	}
	a.policy.set(func() { a.policy.feeds[y] = true })
	a.PolicyChanged()
	waitFor(t, "the feed that is wanted now", func() bool { return a.head(y) == 30 })

	a.policy.set(func() { delete(a.policy.feeds, y) })
	a.PolicyChanged()
	a.policy.set(func() { a.policy.blocked[b.id] = true })
	a.PolicyChanged()
	waitFor(t, "the end of the session with who is blocked", func() bool { return len(a.Peers()) == 0 && len(b.Peers()) == 0 })
	if _, err := a.Connect(t.Context(), b.addr); !errors.Is(err, gossip.ErrBlocked) {
		t.Errorf("dialling who is blocked: %v", err)
	}
	if _, err := b.Connect(t.Context(), a.addr); err == nil {
		t.Error("who is blocked could connect")
	}
	a.policy.set(func() { delete(a.policy.blocked, b.id) })
	a.PolicyChanged()
	b.connect(a)
	waitFor(t, "a session", func() bool { return len(a.Peers()) == 1 })
}

// TestBlockBetweenOthers keeps a feed from a peer that its author blocks.
func TestBlockBetweenOthers(t *testing.T) {
	author, other := pair(30), pair(31).Feed()
	all := []refs.Feed{author.Feed(), other}
	a, b := startNode(t, 1, options{policy: newPolicy(all...)}), startNode(t, 2, options{policy: newPolicy(all...)})
	a.fill([]int{31}, 5)
	head := message.Head{Feed: author.Feed()}
	intake := a.ingest.Open(ingest.Source{})
	for _, content := range []string{`{"type":"post","text":"hello"}`, fmt.Sprintf(`{"type":"contact","contact":"%s","blocking":true}`, b.id)} {
		m, err := message.Create(author, head, []byte(content), float64(head.Seq+1), nil)
		if err != nil {
			t.Fatal(err)
		}
		head, _ = head.Next(m)
		intake.Add(t.Context(), m.Value())
	}
	if _, err := intake.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := a.graph.Update(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.PolicyChanged()
	time.Sleep(50 * time.Millisecond)
	b.connect(a)
	waitFor(t, "the other feed", func() bool { return b.head(other) == 5 })
	time.Sleep(100 * time.Millisecond)
	if b.head(author.Feed()) != 0 {
		t.Error("a feed was given to whom its author blocks")
	}
}

// TestRemembered restarts both sides: what the other holds is not told again.
func TestRemembered(t *testing.T) {
	var ids []refs.Feed
	for n := range 300 {
		ids = append(ids, pair(1000+n).Feed())
	}
	ids = append(ids, feedsOf(1, 2)...)
	a, b := startNode(t, 1, options{policy: newPolicy(ids...)}), startNode(t, 2, options{policy: newPolicy(ids...)})
	var numbers []int
	for n := range 300 {
		numbers = append(numbers, 1000+n)
	}
	a.fill(numbers, 1)
	b.connect(a)
	sameVector(t, a, b)
	const enough, rounds = 4000, 20 // bytes; sessions, of which a busy machine may cut some too early
	for round := range rounds {
		time.Sleep(50 * time.Millisecond) // for the last notes
		a.end()
		b.end()
		a.start()
		b.start()
		b.connect(a)
		a.publish(`{"type":"post","text":"new"}`)
		waitFor(t, "the new message", func() bool { return b.head(a.id) == int64(round+1) })
		p := b.Peers()[0]
		t.Logf("session %d: %d bytes for 300 feeds", round+2, p.BytesReceived+p.BytesSent)
		if p.BytesReceived+p.BytesSent <= enough {
			return
		}
	}
	t.Error("the clock was told again in every session")
}
