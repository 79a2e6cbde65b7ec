package stick_test

import (
	"bufio"
	"encoding/json"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/sync/stick"
	"github.com/ssbsync/ssbsync/sync/stick/internal/sim"
)

// fixtureContents returns what the messages of the small data set say.
func fixtureContents(t testing.TB) (list []json.RawMessage) {
	t.Helper()
	f, err := os.Open("../../testdata/fixtures-2k.jsonl.zst")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := bundle.NewZstdReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct {
			Value struct{ Content json.RawMessage }
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		list = append(list, line.Value.Content)
	}
	if len(list) == 0 {
		t.Fatal("the small data set is empty")
	}
	return list
}

// stage plays a scenario with real stores and a folder for each stick.
type stage struct {
	t      *testing.T
	s      sim.Scenario
	nodes  []*node
	peers  []*stick.Peer
	sticks []*medium
	say    []json.RawMessage
	said   int
	shake  *rand.Rand // changes the times of files before each visit

	bundles, removed       int64
	bundleBytes, haveBytes int64
}

// newStage makes the nodes. Each clock is off by so many years times the
// number of the node.
func newStage(t *testing.T, s sim.Scenario, years int) *stage {
	st := &stage{t: t, s: s, say: fixtureContents(t)}
	for range s.Sticks {
		st.sticks = append(st.sticks, newMedium(t))
	}
	for i := range s.Nodes {
		now := func() time.Time { return time.Now().AddDate(years*(i-1), 0, 0) }
		nd := newNodeAt(t, byte(i+1), now)
		peer, err := stick.New(stick.Config{
			Store: nd.store, Ingest: nd.ingest, Keys: nd.pair, Network: network, Policy: nd.policy,
			Now: now, FreeSpace: st.free,
		})
		if err != nil {
			t.Fatal(err)
		}
		st.nodes, st.peers = append(st.nodes, nd), append(st.peers, peer)
	}
	return st
}

// free is what a stick of the scenario's size would have free.
func (st *stage) free(dir string) (free, total uint64, err error) {
	for i, m := range st.sticks {
		if m.dir != dir {
			continue
		}
		if st.s.Sticks[i] == 0 {
			return 1 << 40, 1 << 41, nil
		}
		return uint64(max(0, st.s.Sticks[i]-st.used(m))), uint64(st.s.Sticks[i]), nil
	}
	return 0, 0, os.ErrNotExist
}

// used is what bundles and haves take on a stick.
func (st *stage) used(m *medium) (n int64) {
	err := filepath.WalkDir(m.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".ssb.zst") && !strings.HasSuffix(path, ".have") {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	if err != nil {
		st.t.Fatal(err)
	}
	return n
}

// play runs the script, and returns how many rounds it took until nothing moved.
func (st *stage) play() (rounds int) {
	steps, round := sim.Script(st.s)
	for _, step := range steps {
		st.visit(step)
	}
	for moved := true; moved && rounds < 100; rounds++ {
		moved = false
		for i, step := range round {
			moved = st.visit(step) || moved
			round[i].New = nil
		}
	}
	return rounds
}

// visit plays one step, and reports whether anything moved.
func (st *stage) visit(step sim.Step) bool {
	nd, m := st.nodes[step.Node], st.sticks[step.Stick]
	for _, a := range step.New {
		st.publish(nd, byte(a.Feed+1), a.Count)
	}
	if st.shake != nil {
		st.shakeTimes(m)
	}
	jsonl := stick.ExportOptions{Codec: bundle.CodecJSONL} // whose sizes the simulator knows
	rep, err := st.peers[step.Node].Visit(st.t.Context(), m.open(), stick.VisitOptions{Export: jsonl})
	if err != nil {
		st.t.Fatalf("visit: %v", err)
	}
	st.bundles += rep.Export.Bundles
	st.bundleBytes += rep.Export.Bytes
	st.removed += rep.Export.Removed
	if rep.Have {
		st.haveBytes += st.newestHave(m, nd)
	}
	return rep.Have || rep.Import.New+rep.Export.Messages+rep.Export.Removed > 0
}

// shakeTimes gives every file any time.
func (st *stage) shakeTimes(m *medium) {
	for name := range m.state() {
		at := time.Unix(st.shake.Int64N(1<<32), 0)
		if err := os.Chtimes(filepath.Join(m.dir, name), at, at); err != nil {
			st.t.Fatal(err)
		}
	}
}

// newestHave returns the size of the last have that a node left.
func (st *stage) newestHave(m *medium, nd *node) (size int64) {
	newest := uint64(0)
	for _, name := range m.files(".have") {
		b, err := os.ReadFile(name)
		if err != nil {
			st.t.Fatal(err)
		}
		h, err := stick.ParseHave(b)
		if err != nil {
			st.t.Fatal(err)
		}
		if h.Identity == nd.pair.Feed() && h.Counter > newest {
			newest, size = h.Counter, int64(len(b))
		}
	}
	return size
}

// publish appends messages that say what real ones do.
func (st *stage) publish(nd *node, n byte, count int) {
	head, err := nd.store.Head(feed(n))
	if err != nil {
		st.t.Fatal(err)
	}
	var batch []*message.Message
	for range count {
		m, err := message.Create(pair(n), head, st.say[st.said%len(st.say)], 1.5e12+float64(st.said), nil)
		if err == nil {
			head, err = head.Next(m)
		}
		if err != nil {
			st.t.Fatal(err)
		}
		st.said++
		batch = append(batch, m)
	}
	if _, err := nd.store.Append(batch); err != nil {
		st.t.Fatal(err)
	}
}

// close ends the nodes, which checks their stores.
func (st *stage) close() {
	for _, nd := range st.nodes {
		nd.stop()
	}
}

// TestClocksChangeNothing plays the same visits with clocks that are years
// apart, the stick's file times changed at random: the same bundles come to
// lie there.
func TestClocksChangeNothing(t *testing.T) {
	s := sim.Scenario{Name: "clocks", Seed: 3, Days: 4, Nodes: 3, Feeds: 12, Rate: 2, Sticks: []int64{0}}
	right, wrong := newStage(t, s, 0), newStage(t, s, 20)
	wrong.shake = rand.New(rand.NewPCG(1, 2))
	right.play()
	wrong.play()
	names := func(st *stage) (list []string) {
		for _, name := range st.sticks[0].files(".ssb.zst") {
			list = append(list, filepath.Base(name)) // the hash of the content
		}
		return list
	}
	a, b := names(right), names(wrong)
	if len(a) < s.Nodes || !slices.Equal(a, b) || right.haveBytes != wrong.haveBytes {
		t.Errorf("with right clocks\n%s\nwith wrong ones\n%s", a, b)
	}
	t.Logf("%d bundles, the same with clocks 20 years apart", len(a))
}
