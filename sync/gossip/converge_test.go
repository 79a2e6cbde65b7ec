package gossip_test

import (
	"testing"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/gossip"
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
