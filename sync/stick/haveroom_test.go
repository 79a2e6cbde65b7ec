package stick_test

import (
	"errors"
	"maps"
	"strings"
	"syscall"
	"testing"

	"github.com/ssbsync/ssbsync/sync/stick"
)

// fill makes the medium full to the last byte in the eyes of a node: what goes
// makes room for a have, but for no bundle.
func (m *medium) fill(nd *node) {
	full := m.size(".")
	nd.peer.FreeSpace = func(string) (free, total uint64, err error) {
		return uint64(max(0, full-m.size("."))), uint64(full), nil
	}
	nd.peer.SetFault(func(step, _ string) error {
		if step == "have" && m.size(".") >= full {
			return syscall.ENOSPC
		}
		return nil
	})
}

// TestNoRoomForAHave: on a medium that somebody else filled nothing goes for a
// have that anybody may lack; who it is for need not be known.
func TestNoRoomForAHave(t *testing.T) {
	for name, who := range map[string]func(a *node, m *medium){
		"nobody":   func(*node, *medium) {},
		"a friend": func(_ *node, m *medium) { newNode(t, 2).visit(m) },
		"a stranger": func(_ *node, m *medium) {
			stranger := newNode(t, 60)
			stranger.policy.all = false
			stranger.visit(m)
		},
		"a friend who is long gone": func(a *node, m *medium) {
			newNode(t, 2).visit(m)
			for range 8 {
				a.post(1, 1)
				a.visit(m)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, m := newNode(t, 1), newMedium(t)
			who(a, m)
			a.post(11, 300)
			a.export(m, stick.ExportOptions{})
			m.fill(a)
			cargo := m.state()
			a.post(1, 1)
			rep := a.visit(m)
			if !rep.Partly() || !rep.Export.NoHave || rep.Have || rep.Export.Removed != 0 {
				t.Errorf("visit: %+v", rep)
			}
			if w := rep.Export.Warnings; len(w) != 1 || !strings.Contains(w[0], "no room for our have") || len(rep.Export.Hints) == 0 {
				t.Errorf("warnings %q, hints %q", w, rep.Export.Hints)
			}
			a.post(1, 1)
			if rep := a.export(m, stick.ExportOptions{}); !rep.Partly() || rep.Removed != 0 {
				t.Errorf("export: %+v", rep)
			}
			if !maps.Equal(cargo, m.state()) {
				t.Errorf("%d files before, %d after", len(cargo), len(m.state()))
			}
		})
	}
}

// TestHaveSparesStrangers: on a medium that is full what a stranger brought, and a
// friend lacks, does not go for a have of ours, who could not write it again.
func TestHaveSparesStrangers(t *testing.T) {
	a, b, stranger, m := newNode(t, 1), newNode(t, 2), newNode(t, 60), newMedium(t)
	a.policy.all = false
	b.visit(m)
	stranger.post(60, 300)
	stranger.visit(m)
	a.post(1, 1)
	m.fill(a)
	if rep := a.visit(m); rep.Export.Removed != 0 || !rep.Export.NoHave {
		t.Errorf("visit: %+v", rep.Export)
	}
	b.visit(m)
	b.wantHead(60, 300)
}

// TestRoomForAHave: what a friend has taken goes when there is no room for a
// have, and a dry run says so.
func TestRoomForAHave(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.post(11, 300)
	a.visit(m)
	b.visit(m)
	m.fill(a)
	a.post(1, 1)
	m.unchanged(func() {
		rep, err := a.peer.Visit(t.Context(), m.open(), stick.VisitOptions{Export: stick.ExportOptions{DryRun: true}})
		if err != nil || rep.Export.Removed != 1 {
			t.Errorf("dry run: %v %+v", err, rep.Export)
		}
	})
	rep := a.visit(m)
	if rep.Export.Removed != 1 || !rep.Have || rep.Export.NoHave || rep.Partly() {
		t.Errorf("visit: %+v", rep)
	}
}

// TestOwnStoreFull: when our own disk is full nothing goes from the medium for
// that, and nobody is told to make room there.
func TestOwnStoreFull(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	for n := byte(11); n < 13; n++ {
		a.post(n, 300)
		a.visit(m)
	}
	b.visit(m)
	m.fill(a)
	var steps []string
	a.peer.SetFault(func(step, _ string) error {
		if steps = append(steps, step); step == "counter" {
			return syscall.ENOSPC
		}
		return nil
	})
	a.post(1, 1)
	rep, err := a.peer.Visit(t.Context(), m.open(), stick.VisitOptions{})
	if !errors.Is(err, syscall.ENOSPC) || rep.Export.NoHave || len(rep.Export.Hints) != 0 || steps[len(steps)-1] != "counter" {
		t.Errorf("%v after %q: %+v", err, steps, rep.Export)
	}
}

// TestNothingGoesInVain: nothing that a live store lacks goes for something that
// it needs more, when there would be no room for that either.
func TestNothingGoesInVain(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	b.visit(m)
	a.post(11, 300)
	a.visit(m)
	m.fill(a)
	a.peer.Reserve = 1 << 20
	for n := byte(12); n < 40; n++ {
		a.post(n, 1)
	}
	if rep := a.visit(m); rep.Export.Removed != 0 || rep.Export.Left == 0 {
		t.Errorf("%+v", rep.Export)
	}
}
