package stick_test

import (
	"os"
	"testing"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// news asks a node whether a visit is worth while, which changes nothing.
func (nd *node) news(m *medium) (is bool) {
	nd.t.Helper()
	m.unchanged(func() {
		var err error
		if is, err = nd.peer.News(nd.t.Context(), m.open()); err != nil {
			nd.t.Fatalf("asking for news: %v", err)
		}
	})
	return is
}

func (nd *node) wantNews(m *medium, want bool, why string) {
	nd.t.Helper()
	if got := nd.news(m); got != want {
		nd.t.Errorf("news: %t, want %t: %s", got, want, why)
	}
}

// TestNews lets two nodes share a medium and visit it only when there is news:
// all moves, and then both are silent.
func TestNews(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.post(1, 3)
	a.visit(m)
	a.wantNews(m, false, "its own visit")
	b.wantNews(m, true, "bundles it never saw")
	b.post(2, 4)
	b.visit(m)
	a.wantNews(m, true, "a new store, and bundles")
	a.visit(m)
	a.wantHead(2, 4)
	b.wantNews(m, false, "an acknowledgement")
	a.wantNews(m, false, "nothing since")

	a.post(1, 1)
	a.visit(m)
	b.wantNews(m, true, "a bundle")
	b.visit(m)
	a.wantNews(m, false, "an acknowledgement")

	b.policy.all, b.policy.wanted = false, []refs.Feed{feed(1), feed(2)}
	b.visit(m)
	a.wantNews(m, true, "another wish")
	a.visit(m)
	b.policy.wanted = append(b.policy.wanted, feed(3))
	b.visit(m)
	a.wantNews(m, true, "a feed that was not asked for before")
	a.visit(m)

	if err := os.Remove(m.files(".ssb.zst")[0]); err != nil {
		t.Fatal(err)
	}
	b.wantNews(m, true, "a bundle that is gone")
	b.visit(m)
	b.wantNews(m, false, "it knows by now")

	c := newNode(t, 3)
	c.visit(m)
	b.wantNews(m, true, "a third store")
}

// TestNewsOfOurOwn tells a store that was restored from a copy, and one that is
// behind with its own feed.
func TestNewsOfOurOwn(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.post(1, 3)
	a.visit(m)
	b.visit(m)
	a.visit(m)
	older := newMedium(t)
	m.copyTo(older.dir)
	b.post(1, 2) // a message of a that a does not hold
	b.visit(m)
	for _, bundle := range m.files(".ssb.zst") { // only the have is left to tell
		if _, err := os.Stat(older.dir + bundle[len(m.dir):]); err != nil {
			os.Remove(bundle)
		}
	}
	a.wantNews(m, true, "somebody holds more of its feed")
}

// TestSurvey looks at a medium that three nodes have visited.
func TestSurvey(t *testing.T) {
	a, b, c, m := newNode(t, 1), newNode(t, 2), newNode(t, 3), newMedium(t)
	c.policy.all, c.policy.wanted = false, []refs.Feed{feed(2), feed(3)}
	a.post(1, 30)
	b.post(2, 5)
	c.post(3, 7)
	for _, nd := range []*node{a, b, c, b} {
		nd.visit(m)
	}
	var s stick.Survey
	m.unchanged(func() {
		var err error
		if s, err = a.peer.Survey(t.Context(), m.open()); err != nil {
			t.Fatal(err)
		}
	})
	if s.Messages != 42 || s.Feeds != 3 || s.Bundles != 3 || s.Bytes == 0 || s.Total < s.Free || s.Free == 0 || len(s.Visitors) != 3 {
		t.Errorf("survey: %+v", s)
	}
	want := []struct {
		feed     refs.Feed
		messages int64
		lacking  int64
		own      bool
	}{{feed(2), 42, 0, false}, {feed(3), 12, 0, false}, {feed(1), 30, 12, true}}
	for i, v := range s.Visitors {
		if w := want[i]; v.Identity != w.feed || v.Messages != w.messages || v.Lacking != w.lacking || v.Own != w.own || !v.Trusted {
			t.Errorf("visitor %d: %+v, want %+v", i, v, w)
		}
	}
}

// TestLabel makes media with labels, which stay.
func TestLabel(t *testing.T) {
	m := newMedium(t)
	for _, label := range []string{"Dorfplatz ✓", "another"} {
		st, err := stick.CreateLabelled(m.root(), label)
		if err != nil || st.Label() != "Dorfplatz ✓" {
			t.Errorf("label %q: %v", label, err)
		}
	}
	if st := m.open(); st.Label() != "Dorfplatz ✓" {
		t.Errorf("opened, it is called %q", st.Label())
	}
	for _, label := range []string{"a\nb", "\x1b[31m", "1234567890123456789012345678901234567890123456789012345678901234x", "\xff"} {
		if _, err := stick.CreateLabelled(newMedium(t).root(), label); err == nil {
			t.Errorf("label %q was taken", label)
		}
	}
}
