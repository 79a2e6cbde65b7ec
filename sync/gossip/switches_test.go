package gossip_test

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/spec/multiserver"
	"github.com/ssbsync/ssbsync/sync/gossip"
)

// TestSwitches switches groups of addresses off and on: what the schedule
// dials, and that it dials nobody while it is paused.
func TestSwitches(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	g, s := idle(t, filepath.Join(t.TempDir(), "store.db"), newPolicy(pair(5).Feed()), gossip.Limits{}, func() time.Time { return now })
	defer s.Close()
	defer g.Close()
	names := map[string]string{}
	for n, source := range map[int]gossip.Source{4: gossip.Pub, 5: gossip.Pub, 6: gossip.Seed} {
		if err := g.Remember(peerAddr(n), pair(n).Feed(), source); err != nil {
			t.Fatal(err)
		}
		names[peerAddr(n).String()] = map[int]string{4: "pub", 5: "friend", 6: "seed"}[n]
	}
	tunnel := multiserver.Tunnel(pair(6).Feed(), pair(8).Feed())
	if fresh, err := g.Stage(tunnel, pair(8).Feed()); err != nil || !fresh {
		t.Fatal(fresh, err)
	}
	if fresh, _ := g.Stage(tunnel, pair(8).Feed()); fresh {
		t.Error("staged twice")
	}
	names[tunnel.String()] = "staged"
	names[peerAddr(9).String()] = "lan"
	dialled := func() (list []string) {
		now = now.Add(24 * time.Hour)
		g.Discovered(peerAddr(9), pair(9).Feed())
		picks, _ := g.Plan(now)
		for _, address := range picks {
			list = append(list, names[address])
		}
		slices.Sort(list)
		return list
	}
	check := func(what string, want ...string) {
		t.Helper()
		if got := dialled(); !slices.Equal(got, want) {
			t.Errorf("%s: dials %q, want %q", what, got, want)
		}
	}
	check("at first", "friend", "lan", "pub", "seed", "staged")
	g.Switch(gossip.GlobalGroup, false)
	check("without the others", "friend", "lan", "seed")
	g.Switch(gossip.FriendsGroup, false)
	check("without friends", "lan", "seed")
	g.Switch(gossip.LocalGroup, false)
	check("without the LAN", "seed")
	g.Switch(gossip.SeedGroup, false)
	g.Switch("nonsense", false)
	check("without all")
	g.Switch(gossip.GlobalGroup, true)
	check("with the others", "friend", "pub", "seed", "staged")
	g.Pause(true)
	check("paused")
	g.Pause(false)
	if !g.Unstage(tunnel.String()) || g.Unstage(tunnel.String()) {
		t.Error("not unstaged, or twice")
	}
	check("unstaged", "friend", "pub", "seed")
}
