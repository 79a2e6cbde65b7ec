package ebt_test

import (
	"math/rand/v2"
	"testing"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/ebt"
)

// network is a simulated network of machines. Frames travel in order on each
// link and take their time; links are cut with everything that is under way;
// stores commit a while after a message came.
type network struct {
	rng   *rand.Rand
	nodes []*node
	wires map[[2]int]*wire // from, to
	sent  int              // messages that arrived at a peer
	twice int              // … that had arrived there before, or were held
	stray int              // … that were not asked for
	notes int
	harsh bool // stores lose messages, and nodes change what they want
}

type node struct {
	*ebt.State
	id       refs.Feed
	has      map[refs.Feed]int64
	pending  []arrival // not committed yet
	memories map[int]ebt.Memory
	seen     map[refs.Feed]map[int64]bool
}

type arrival struct {
	feed refs.Feed
	seq  int64
}

type wire struct{ frames []func() }

func nodeID(n int) refs.Feed { return refs.Feed{byte(n + 1), byte(n >> 8)} }

func newNetwork(seed uint64, nodes int) *network {
	w := &network{rng: rand.New(rand.NewPCG(seed, seed)), wires: map[[2]int]*wire{}}
	for n := range nodes {
		w.nodes = append(w.nodes, &node{
			State: ebt.New(nodeID(n), ebt.Config{StallTicks: 10, ResendTicks: 100, MaxNotes: 1 + w.rng.IntN(8)}),
			id:    nodeID(n), has: map[refs.Feed]int64{}, memories: map[int]ebt.Memory{},
			seen: map[refs.Feed]map[int64]bool{}})
		for f := range nodes {
			w.nodes[n].Want(nodeID(f), true)
		}
	}
	return w
}

func (w *network) connect(a, b int) {
	if a == b || w.wires[[2]int{a, b}] != nil {
		return
	}
	na, nb := w.nodes[a], w.nodes[b]
	if na.Connect(nb.id, true, na.memories[b]) != nil || nb.Connect(na.id, false, nb.memories[a]) != nil {
		panic("connect failed")
	}
	w.wires[[2]int{a, b}], w.wires[[2]int{b, a}] = &wire{}, &wire{}
}

// cut loses all frames under way. Every third time the memory is lost too.
func (w *network) cut(a, b int) {
	if w.wires[[2]int{a, b}] == nil {
		return
	}
	w.nodes[a].memories[b] = w.nodes[a].Disconnect(w.nodes[b].id)
	w.nodes[b].memories[a] = w.nodes[b].Disconnect(w.nodes[a].id)
	if w.rng.IntN(3) == 0 {
		w.nodes[a].memories[b] = ebt.Memory{}
	}
	delete(w.wires, [2]int{a, b})
	delete(w.wires, [2]int{b, a})
}

// write lets one node write to one of its links.
func (w *network) write(from, to int) {
	out := w.wires[[2]int{from, to}]
	if out == nil || len(out.frames) > 20 {
		return
	}
	sender, receiver := w.nodes[from], w.nodes[to]
	if notes, ok := sender.NextNotes(receiver.id); ok {
		w.notes += len(notes)
		out.frames = append(out.frames, func() { receiver.Notes(sender.id, notes) })
	} else if span, ok := sender.NextSend(receiver.id, 4); ok {
		for seq := span.First; seq <= span.Last; seq++ {
			out.frames = append(out.frames, func() { w.arrive(sender, receiver, span.Feed, seq) })
		}
	}
}

func (w *network) arrive(from, to *node, feed refs.Feed, seq int64) {
	w.sent++
	if !to.Received(from.id, feed, seq) {
		w.stray++
		return
	}
	if to.seen[feed] == nil {
		to.seen[feed] = map[int64]bool{}
	}
	if to.seen[feed][seq] || seq <= to.has[feed] {
		w.twice++
	}
	to.seen[feed][seq] = true
	to.pending = append(to.pending, arrival{feed, seq})
}

func (w *network) deliver(from, to int) {
	if in := w.wires[[2]int{from, to}]; in != nil && len(in.frames) > 0 {
		frame := in.frames[0]
		in.frames = in.frames[1:]
		frame()
	}
}

// commit stores what is pending and in order; the rest is lost.
func (n *node) commit() {
	for _, a := range n.pending {
		if a.seq == n.has[a.feed]+1 {
			n.has[a.feed]++
		}
	}
	for _, a := range n.pending {
		n.Append(a.feed, n.has[a.feed])
	}
	n.pending = nil
}

func (n *node) publish() {
	n.has[n.id]++
	n.Append(n.id, n.has[n.id])
}

// lose takes the newest messages of one foreign feed from a node's store.
func (w *network) lose(n *node, feed refs.Feed) {
	if feed == n.id || n.has[feed] == 0 {
		return
	}
	n.has[feed] = w.rng.Int64N(n.has[feed])
	n.Append(feed, n.has[feed])
	clear(n.memories)
}

// step does one random thing.
func (w *network) step(trouble bool) {
	a, b := w.rng.IntN(len(w.nodes)), w.rng.IntN(len(w.nodes))
	switch what := w.rng.IntN(1000); {
	case what < 400:
		w.write(a, b)
	case what < 800:
		w.deliver(a, b)
	case what < 960:
		w.nodes[a].commit()
	case what < 970:
		w.nodes[a].Tick()
	case trouble && what < 980:
		w.nodes[a].publish()
	case trouble && what < 984:
		w.cut(a, b)
	case trouble && what < 992:
		w.connect(a, b)
	case trouble && w.harsh && what < 994:
		w.lose(w.nodes[a], nodeID(b))
	case trouble && w.harsh && what < 997:
		w.nodes[a].Want(nodeID(b), w.rng.IntN(3) > 0)
	case trouble && w.harsh:
		w.nodes[a].Refuse(w.nodes[w.rng.IntN(len(w.nodes))].id, nodeID(b))
	}
}

func (w *network) converged() bool {
	for _, n := range w.nodes {
		for _, m := range w.nodes {
			if n.has[m.id] != m.has[m.id] {
				return false
			}
		}
	}
	return true
}

// run lets the nodes live with cuts and new messages, then joins them into
// one ring and waits until all hold everything.
func (w *network) run(t *testing.T, seed uint64, steps int) {
	t.Helper()
	for range steps {
		w.step(true)
	}
	for n := range w.nodes {
		for m := range w.nodes {
			w.nodes[n].Want(nodeID(m), true)
			if w.harsh {
				w.cut(n, m) // a refusal lasts as long as the session
			}
		}
	}
	for n := range w.nodes {
		w.connect(n, (n+1)%len(w.nodes))
	}
	for limit := 1_000_000; !w.converged(); limit-- {
		if limit == 0 {
			t.Fatalf("seed %d: no convergence", seed)
		}
		w.step(false)
	}
}

// runNetworks returns the sums of the counters, and how many deliveries were
// needed at least.
func runNetworks(t *testing.T, networks int, harsh bool) (total network, needed int64) {
	for seed := range uint64(networks) {
		w := newNetwork(seed, 2+int(seed%7))
		w.harsh = harsh
		w.run(t, seed, 6000)
		total.sent, total.twice = total.sent+w.sent, total.twice+w.twice
		total.stray, total.notes = total.stray+w.stray, total.notes+w.notes
		for _, n := range w.nodes {
			needed += n.has[n.id] * int64(len(w.nodes)-1)
		}
	}
	t.Logf("%d networks: %d deliveries needed, %d made, %d twice, %d stray, %d notes",
		networks, needed, total.sent, total.twice, total.stray, total.notes)
	return total, needed
}

func TestNetworkConverges(t *testing.T) {
	total, needed := runNetworks(t, 150, false)
	if total.twice*10 > total.sent || needed == 0 {
		t.Errorf("%d of %d messages were sent to a peer that had them", total.twice, total.sent)
	}
	if total.stray > 0 {
		t.Errorf("%d messages came that were not asked for", total.stray)
	}
}

// TestHarshNetworkConverges adds stores that lose messages, peers that are
// refused, and wishes that change.
func TestHarshNetworkConverges(t *testing.T) { runNetworks(t, 150, true) }
