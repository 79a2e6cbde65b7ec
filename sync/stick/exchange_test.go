package stick_test

import (
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/stick"
)

func TestTwoNodesExchange(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.post(1, 30)
	a.post(11, 500)
	b.post(2, 5)

	rep := a.visit(m)
	if rep.Export.Messages != 530 || rep.Export.Bundles != 1 || !rep.Have || rep.Export.Feeds != 2 {
		t.Errorf("first visit of a: %+v", rep)
	}
	rep = b.visit(m)
	if rep.Import.New != 530 || rep.Import.Messages != 530 || rep.Import.Feeds != 2 || len(rep.Import.Brought) != 2 {
		t.Errorf("import of b: %+v", rep.Import)
	}
	if rep.Export.Messages != 5 || rep.Export.Bundles != 1 {
		t.Errorf("export of b: %+v", rep.Export)
	}
	b.wantHead(1, 30)
	b.wantHead(11, 500)

	rep = a.visit(m)
	if rep.Import.New != 5 || rep.Export.Messages != 0 || !rep.Have {
		t.Errorf("second visit of a: %+v", rep)
	}
	a.wantHead(2, 5)

	// From now on nothing moves, and nothing is written. The first visit of b
	// learns only that a knows, which changes nothing that b has to say.
	for _, nd := range []*node{b, a, b, a} {
		m.unchanged(func() {
			if rep := nd.visit(m); rep.Have || rep.Import.Messages+rep.Export.Messages != 0 {
				t.Errorf("visit without news: %+v", rep)
			}
		})
	}
}

func TestOnlyTheNewMessageMoves(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.post(11, 300)
	a.visit(m)
	b.visit(m)
	a.visit(m)
	a.post(1, 1)
	rep := a.visit(m)
	if rep.Export.Messages != 1 || rep.Export.Bytes > 2048 {
		t.Errorf("export of one message: %+v", rep.Export)
	}
	if rep := b.visit(m); rep.Import.Messages != 1 || rep.Import.New != 1 || rep.Import.Bundles != 1 {
		t.Errorf("import of one message: %+v", rep.Import)
	}
	t.Logf("one message moved in %d bytes", rep.Export.Bytes)
}

func TestThreeNodesWithDifferentPolicies(t *testing.T) {
	a, b, c, m := newNode(t, 1), newNode(t, 2), newNode(t, 3), newMedium(t)
	b.policy.all, b.policy.wanted = false, []refs.Feed{feed(1), feed(12)}
	c.policy.all, c.policy.wanted = false, []refs.Feed{feed(1), feed(2), feed(11)}
	a.post(1, 10)
	a.post(11, 20)
	a.post(12, 30)
	b.post(2, 5)
	c.post(3, 7)
	for range 3 {
		for _, nd := range []*node{a, b, c} {
			nd.visit(m)
		}
	}
	for _, want := range []struct {
		nd                 *node
		f1, f2, f3, g1, g2 int64
	}{{a, 10, 5, 7, 20, 30}, {b, 10, 5, 0, 0, 30}, {c, 10, 5, 7, 20, 0}} {
		want.nd.wantHead(1, want.f1)
		want.nd.wantHead(2, want.f2)
		want.nd.wantHead(3, want.f3)
		want.nd.wantHead(11, want.g1)
		want.nd.wantHead(12, want.g2)
	}

	// A feed that was refused at first arrives at the visit after it was
	// followed.
	rep := b.visit(m)
	if rep.Import.RefusedFeeds != 2 || rep.Import.Refused != 27 {
		t.Errorf("refused: %+v", rep.Import)
	}
	b.policy.wanted = append(b.policy.wanted, feed(11))
	if rep := b.visit(m); rep.Import.New != 20 {
		t.Errorf("after following: %+v", rep.Import)
	}
	b.wantHead(11, 20)
}

// TestUnasked: a visit says how much it leaves out because nobody on the stick
// wants it, as long as the stick does not cover it.
func TestUnasked(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	b.policy.all, b.policy.wanted = false, []refs.Feed{feed(12)}
	a.post(11, 100)
	a.post(12, 10)
	b.visit(m)
	rep := a.visit(m)
	if rep.Export.Messages != 10 || len(rep.Export.Hints) != 1 || !strings.HasPrefix(rep.Export.Hints[0], "100 messages ") {
		t.Errorf("%d written, hints %q", rep.Export.Messages, rep.Export.Hints)
	}
	if rep := a.export(m, stick.ExportOptions{}); rep.Messages != 100 || len(rep.Hints) != 0 {
		t.Errorf("export: %+v", rep)
	}
	if rep := a.visit(m); rep.Export.Messages != 0 || len(rep.Export.Hints) != 0 {
		t.Errorf("afterwards: %+v", rep.Export)
	}
}

// TestDryVisit counts what a visit would take and write, and does neither.
func TestDryVisit(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.post(11, 30)
	b.post(12, 5)
	a.visit(m)
	m.unchanged(func() {
		rep, err := b.peer.Visit(t.Context(), m.open(), stick.VisitOptions{Export: stick.ExportOptions{DryRun: true}})
		if err != nil || !rep.Import.DryRun || rep.Import.Messages != 30 || rep.Import.Feeds != 1 || rep.Import.Bundles != 1 || rep.Export.Messages != 5 || rep.Have {
			t.Errorf("%v %+v", err, rep)
		}
	})
	b.wantHead(11, 0)
}

func TestNarrowedExports(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.post(11, 100)
	a.post(12, 100)
	m.open()
	m.unchanged(func() {
		if rep := a.export(m, stick.ExportOptions{DryRun: true}); rep.Messages != 200 || !rep.DryRun || rep.Bytes == 0 {
			t.Errorf("dry run: %+v", rep)
		}
	})
	only := func(f refs.Feed) bool { return f == feed(11) }
	if rep := a.export(m, stick.ExportOptions{Feed: only, NoHave: true}); rep.Messages != 100 || rep.Feeds != 1 {
		t.Errorf("export of one feed: %+v", rep)
	}
	if names := m.files(".have"); len(names) != 0 {
		t.Errorf("haves in spite of NoHave: %v", names)
	}
	if rep := a.export(m, stick.ExportOptions{}); rep.Messages != 100 {
		t.Errorf("export of the rest: %+v", rep)
	}
	if names := m.files(".have"); len(names) != 1 {
		t.Errorf("%d haves, want 1", len(names))
	}
	m.unchanged(func() {
		if rep := b.importAll(m); rep.New != 200 || rep.Bundles != 2 {
			t.Errorf("import: %+v", rep)
		}
		if rep := b.importAll(m); rep.New != 0 || rep.Messages != 0 {
			t.Errorf("second import: %+v", rep)
		}
	})
}

func TestMaxSize(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	for n := byte(11); n < 31; n++ {
		a.post(n, 80)
	}
	var total int64
	for round := 1; ; round++ {
		rep := a.export(m, stick.ExportOptions{MaxSize: 100_000})
		if rep.Bytes > 100_000 {
			t.Fatalf("export of %d bytes", rep.Bytes)
		}
		total += rep.Messages
		if rep.Left == 0 {
			t.Logf("%d exports", round)
			break
		}
		if rep.Messages == 0 || round > 20 {
			t.Fatalf("round %d: %+v", round, rep)
		}
	}
	if rep := b.importAll(m); total != 1600 || rep.New != 1600 {
		t.Errorf("%d messages written, %+v", total, rep)
	}
}

func TestExportTo(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.post(11, 100)
	if _, err := a.peer.Export(t.Context(), m.open(), stick.ExportOptions{To: feed(2)}); err == nil {
		t.Error("export to a node of which no have was seen")
	}
	a.visit(m)
	b.visit(m)
	a.visit(m)
	a.post(11, 7)
	other := newMedium(t)
	if rep := a.export(other, stick.ExportOptions{To: feed(2)}); rep.Messages != 7 {
		t.Errorf("delta for b: %+v", rep)
	}
	if rep := b.importAll(other); rep.New != 7 {
		t.Errorf("import of the delta: %+v", rep)
	}
}

func TestDeltaThatDoesNotAttach(t *testing.T) {
	a, b, c, m := newNode(t, 1), newNode(t, 2), newNode(t, 3), newMedium(t)
	a.post(11, 100)
	a.visit(m)
	b.visit(m)
	a.visit(m)
	a.post(11, 50)
	delta := newMedium(t)
	a.export(delta, stick.ExportOptions{To: feed(2), NoHave: true})
	rep := c.importAll(delta)
	if rep.Waiting != 50 || rep.New != 0 || len(rep.Hints) == 0 {
		t.Errorf("import of a delta: %+v", rep)
	}
	t.Log(rep.Hints)
	if rep := c.importAll(delta); rep.Messages != 0 {
		t.Errorf("what waits is read again: %+v", rep)
	}
	c.importAll(m)
	c.wantHead(11, 150)
}
