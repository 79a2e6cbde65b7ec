package gossip_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/spec/multiserver"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/gossip"
	"github.com/ssbsync/ssbsync/sync/ingest"
)

// idle returns a Gossip that does nothing by itself.
func idle(t testing.TB, path string, p *policy, l gossip.Limits, now func() time.Time) (*gossip.Gossip, *store.Store) {
	t.Helper()
	s, err := store.Open(path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	g, err := gossip.New(gossip.Config{
		Keys: pair(1), Network: network, Store: s, Ingest: ingest.New(ingest.Config{Store: s}), Policy: p,
		Limits: l, Now: now, Random: rand.NewPCG(1, 1),
	})
	if err != nil {
		t.Fatal(err)
	}
	return g, s
}

// peerAddr is the made-up address of an identity.
func peerAddr(n int) multiserver.Address {
	return multiserver.Net(fmt.Sprintf("203.0.113.%d", n%250), 8008, pair(n).Feed())
}

func TestSchedule(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	now := time.Unix(1_700_000_000, 0)
	clock := func() time.Time { return now }
	p := newPolicy(pair(5).Feed())
	limits := gossip.Limits{Outbound: 3, LAN: 2, Backoff: 10 * time.Second, MaxBackoff: 10 * time.Minute}
	g, s := idle(t, path, p, limits, clock)
	remember := func(n int, source gossip.Source) string {
		if err := g.Remember(peerAddr(n), pair(n).Feed(), source); err != nil {
			t.Fatal(err)
		}
		return peerAddr(n).String()
	}
	plan := func(want ...string) time.Duration {
		t.Helper()
		got, wait := g.Plan(now)
		if !slices.Equal(got, want) {
			t.Errorf("dials %v, want %v", got, want)
		}
		if wait < 0 || wait > 30*time.Second {
			t.Errorf("sleeps %v", wait)
		}
		return wait
	}
	plan()
	stranger, friend := remember(4, gossip.Pub), remember(5, gossip.Pub)
	named, blocked := remember(6, gossip.Manual), remember(7, gossip.Manual)
	p.set(func() { p.blocked[pair(7).Feed()] = true })
	lan := peerAddr(8)
	g.Discovered(lan, pair(8).Feed())
	g.Discovered(lan, pair(9).Feed()) // another key than the address has
	plan(lan.String(), named, friend, stranger)
	plan() // all of them are left alone for a while
	_ = blocked

	now = now.Add(time.Hour)
	g.Discovered(lan, pair(8).Feed())
	plan(lan.String(), named, friend, stranger)
	for range 4 {
		g.Failed(named, now)
	}
	now = now.Add(20 * time.Second) // the first back-off is 5 to 15 s, the fourth 40 to 120 s
	plan(lan.String(), named, friend, stranger)
	now = now.Add(20 * time.Second) // the fifth is 80 to 240 s
	plan(lan.String(), friend, stranger)
	g.NetworkChanged()
	plan(lan.String(), named, friend, stranger)

	now = now.Add(time.Hour) // nobody hears the LAN any more
	g.Stood(friend, time.Minute, now)
	now = now.Add(16 * time.Second)
	plan(friend, named, stranger) // what answered before is as good as what was named
	if err := g.Forget(peerAddr(4)); err != nil {
		t.Error(err)
	}
	if err := g.Forget(peerAddr(4)); err == nil {
		t.Error("forgotten twice")
	}
	before := g.Known()
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	s.Close()

	g, s = idle(t, path, p, limits, clock)
	defer s.Close()
	if after := g.Known(); !slices.Equal(before, after) || len(after) != 3 {
		t.Errorf("after a restart %+v, before %+v", after, before)
	}
	plan(friend, named) // at once, whatever the clock says
	g.Close()
}

// TestBackoff follows one address that never answers for a week.
func TestBackoff(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	limits := gossip.Limits{Backoff: 5 * time.Second, MaxBackoff: time.Hour}
	g, s := idle(t, filepath.Join(t.TempDir(), "store.db"), newPolicy(), limits, func() time.Time { return now })
	defer s.Close()
	defer g.Close()
	g.Remember(peerAddr(4), pair(4).Feed(), gossip.Manual)
	end := now.Add(7 * 24 * time.Hour)
	dials, looks := 0, 0
	for now.Before(end) {
		picks, wait := g.Plan(now)
		for _, address := range picks {
			dials++
			g.Failed(address, now)
		}
		looks++
		now = now.Add(max(wait, time.Millisecond))
	}
	if dials < 100 || dials > 400 {
		t.Errorf("%d dials in a week", dials)
	}
	if looks > 7*24*3600/20 {
		t.Errorf("%d looks in a week", looks)
	}
	t.Logf("a dead address: %d dials and %d looks in a week", dials, looks)
}

// TestFullBook bounds the addresses that pub messages tell of.
func TestFullBook(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	g, s := idle(t, filepath.Join(t.TempDir(), "store.db"), newPolicy(), gossip.Limits{}, func() time.Time { return now })
	defer s.Close()
	full := 0
	for n := range 5100 {
		if g.Remember(peerAddr(n+10), pair(n+10).Feed(), gossip.Pub) != nil {
			full++
		}
	}
	if len(g.Known()) != 5000 || full != 100 {
		t.Errorf("%d addresses known, %d refused", len(g.Known()), full)
	}
	if err := g.Remember(peerAddr(9000), pair(9000).Feed(), gossip.Manual); err != nil {
		t.Errorf("an address that the user gives: %v", err)
	}
	if picks, _ := g.Plan(now); len(picks) != 8 {
		t.Errorf("%d dials at once, want 8", len(picks))
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
}

// TestScheduleRuns lets the schedule find its peers: one heard on the LAN, one
// named in a pub message, one that comes back.
func TestScheduleRuns(t *testing.T) {
	checkLeaks(t, func(t *testing.T) {
		limits := gossip.Limits{Backoff: 50 * time.Millisecond, MaxBackoff: 500 * time.Millisecond}
		all := feedsOf(1, 2, 3)
		a := startNode(t, 1, options{policy: newPolicy(all...), limits: limits})
		b := startNode(t, 2, options{policy: newPolicy(all...), limits: limits})
		c := startNode(t, 3, options{policy: newPolicy(all...), limits: limits})
		end, _ := c.addr.Endpoint()
		b.publish(fmt.Sprintf(`{"type":"pub","address":{"host":%q,"port":%d,"key":%q}}`, end.Host, end.Port, c.id))
		b.publish(fmt.Sprintf(`{"type":"pub","address":"net:%s:%d~shs:%s"}`, end.Host, end.Port, c.keyText()))
		for _, junk := range []string{`7`, `{}`, `"x"`, `{"host":"x y","port":1,"key":"@x"}`, `{"host":"a.example","port":99999,"key":"` + c.id.String() + `"}`, `"unix:/x~shs:` + c.keyText() + `"`} {
			b.publish(`{"type":"pub","address":` + junk + `}`)
		}
		c.publish(`{"type":"post","text":"from c"}`)
		a.Discovered(b.addr, b.id)
		if staged := a.StagedPeers(); len(staged) > 1 {
			t.Errorf("staged: %+v", staged)
		}
		waitFor(t, "the feed of c, of whom b told", func() bool { return a.head(c.id) == 1 })
		waitFor(t, "c in the peer book", func() bool { return len(a.Known()) > 0 })
		if known := a.Known(); len(known) != 1 || known[0].Feed != c.id || known[0].Source != gossip.Pub {
			t.Errorf("known: %+v", known)
		}
		for round := range 3 {
			a.Disconnect(b.id)
			b.publish(`{"type":"post","text":"again"}`)
			waitFor(t, "b to come back", func() bool { return a.head(b.id) == b.head(b.id) && len(a.Peers()) == 2 })
			t.Logf("round %d: %d events", round, a.LastEvent())
		}
	})
}
