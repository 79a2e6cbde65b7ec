package graph_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/graph"
)

// author writes messages of one feed.
type author struct {
	pair *keys.Pair
	head message.Head
}

func newAuthor(n int) *author {
	pair := keys.FromSeed([32]byte{byte(n), byte(n >> 8), byte(n >> 16)})
	return &author{pair, message.Head{Feed: pair.Feed()}}
}

func (a *author) feed() refs.Feed { return a.pair.Feed() }

func (a *author) write(t testing.TB, content string) *message.Message {
	t.Helper()
	m, err := message.Create(a.pair, a.head, []byte(content), float64(a.head.Seq), nil)
	if err == nil {
		a.head, err = a.head.Next(m)
	}
	if err != nil {
		t.Fatalf("writing %s: %v", content, err)
	}
	return m
}

func contact(to refs.Feed, rest string) string {
	return fmt.Sprintf(`{"type":"contact","contact":"%s"%s}`, to, rest)
}

const (
	follow   = `,"following":true`
	unfollow = `,"following":false`
	block    = `,"blocking":true`
	unblock  = `,"blocking":false`
)

func openStore(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(filepath.Join(t.TempDir(), "store.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func appendAll(t testing.TB, s *store.Store, msgs ...*message.Message) {
	t.Helper()
	results, err := s.Append(msgs)
	for i, result := range results {
		if err == nil && result.Status != store.Stored {
			err = fmt.Errorf("message %d: %v", i, result.Status)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

func openGraph(t testing.TB, s *store.Store) *graph.Graph {
	t.Helper()
	g, err := graph.Open(s)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func update(t testing.TB, g *graph.Graph) *graph.Graph {
	t.Helper()
	if err := g.Update(context.Background()); err != nil {
		t.Fatal(err)
	}
	return g
}

func TestContents(t *testing.T) {
	to := newAuthor(99).feed()
	id := fmt.Sprintf(`"contact":"%s"`, to)
	cases := map[string]graph.Relation{
		contact(to, follow):   graph.Following,
		contact(to, unfollow): graph.Neutral,
		contact(to, block):    graph.Blocking,
		contact(to, unblock):  graph.Neutral,
		contact(to, ""):       graph.Neutral,
		contact(to, `,"following":true,"blocking":true`):                       graph.Blocking,
		contact(to, `,"following":true,"blocking":false`):                      graph.Following,
		contact(to, `,"following":true,"blocking":null`):                       graph.Following,
		contact(to, `,"flagged":true`):                                         graph.Blocking,
		contact(to, `,"flagged":{"reason":"spam"}`):                            graph.Blocking,
		contact(to, `,"flagged":false,"following":true`):                       graph.Following,
		contact(to, `,"blocking":1`):                                           graph.Blocking,
		contact(to, `,"blocking":0`):                                           graph.Neutral,
		contact(to, `,"blocking":""`):                                          graph.Neutral,
		contact(to, `,"blocking":"no"`):                                        graph.Blocking,
		contact(to, `,"blocking":[]`):                                          graph.Blocking,
		contact(to, `,"following":1`):                                          graph.Neutral,
		contact(to, `,"following":"true"`):                                     graph.Neutral,
		contact(to, `,"pub":true,"following":true`):                            graph.Following,
		`{"following":true,` + id + `,"type":"contact"}`:                       graph.Following,
		`{"type":"contact","following":true}`:                                  graph.None,
		`{"type":"contact","contact":null}`:                                    graph.None,
		`{"type":"contact","contact":{"link":"x"}}`:                            graph.None,
		`{"type":"contact","contact":["` + to.String() + `"]}`:                 graph.None,
		`{"type":"contact","contact":"@me","following":true}`:                  graph.None,
		`{"type":"contact","contact":"` + to.String() + `?","following":true}`: graph.None,
		`{"type":"about",` + id + `,"following":true}`:                         graph.None,
		`{"type":"about","about":{"type":"contact",` + id + `}}`:               graph.None,
		`{"type":"post","text":"\"type\":\"contact\"",` + id + `}`:             graph.None,
		`"AAAA.box"`: graph.None,
	}
	s := openStore(t)
	authors := map[string]*author{}
	for content := range cases {
		a := newAuthor(len(authors))
		authors[content] = a
		appendAll(t, s, a.write(t, content))
	}
	g := update(t, openGraph(t, s))
	for content, want := range cases {
		if got := g.Relation(authors[content].feed(), to); got != want {
			t.Errorf("%s: relation %d, want %d", content, got, want)
		}
	}
	t.Logf("%d contents", len(cases))
}

func TestLatestCounts(t *testing.T) {
	s := openStore(t)
	a, b, c := newAuthor(1), newAuthor(2).feed(), newAuthor(3).feed()
	g := openGraph(t, s)
	steps := []struct {
		to        refs.Feed
		rest      string
		following []refs.Feed
		blocks    []refs.Feed
	}{
		{b, follow, []refs.Feed{b}, nil},
		{c, block, []refs.Feed{b}, []refs.Feed{c}},
		{b, block, nil, []refs.Feed{b, c}},
		{c, unblock, nil, []refs.Feed{b}},
		{b, unfollow, nil, nil},
		{c, follow, []refs.Feed{c}, nil},
	}
	for n, step := range steps {
		appendAll(t, s, a.write(t, contact(step.to, step.rest)))
		update(t, g)
		slices.SortFunc(step.blocks, refs.Feed.Compare)
		if got := g.Following(a.feed()); !slices.Equal(got, step.following) {
			t.Errorf("step %d: follows %v, want %v", n, got, step.following)
		}
		if got := g.Blocks(a.feed()); !slices.Equal(got, step.blocks) {
			t.Errorf("step %d: blocks %v, want %v", n, got, step.blocks)
		}
		if g.IsFollowing(a.feed(), c) != slices.Contains(step.following, c) || g.IsBlocking(a.feed(), b) != slices.Contains(step.blocks, b) {
			t.Errorf("step %d: IsFollowing or IsBlocking disagree with the lists", n)
		}
	}
	edges, _ := g.Edges()
	if len(edges) != 2 || !slices.Equal(edges, g.EdgesFrom(a.feed())) {
		t.Errorf("edges are %v and %v", edges, g.EdgesFrom(a.feed()))
	}
	if got := g.EdgesFrom(b); got != nil {
		t.Errorf("a feed without contact messages has edges %v", got)
	}
}

// TestReopen stops at any place and goes on with a graph opened anew, as after
// a kill, and compares with a graph that saw all at once.
func TestReopen(t *testing.T) {
	s := openStore(t)
	authors := []*author{newAuthor(1), newAuthor(2), newAuthor(3), newAuthor(4)}
	g := openGraph(t, s)
	for n := range 60 {
		from, to := authors[n%4], authors[n*7/4%4].feed()
		content := contact(to, []string{follow, block, unfollow}[n%3])
		if n%5 == 0 {
			content = `{"type":"post","text":"hello"}`
		}
		appendAll(t, s, from.write(t, content))
		if n%2 == 0 {
			update(t, g)
		}
		if n%3 == 0 {
			g = openGraph(t, s)
		}
	}
	want, _ := update(t, g).Edges()
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	if err := g.Rebuild(); err != nil || g.Update(cancelled) == nil {
		t.Fatal("rebuilding failed, or updating ignored its context")
	}
	if edges, _ := g.Edges(); len(edges) != 0 {
		t.Fatalf("a cleared graph has edges %v", edges)
	}
	for name, again := range map[string]*graph.Graph{"rebuilt": update(t, g), "reopened": update(t, openGraph(t, s))} {
		if got, _ := again.Edges(); !slices.Equal(got, want) || len(want) == 0 {
			t.Errorf("%s: edges %v, want %v", name, got, want)
		}
	}
}

func TestDamagedTable(t *testing.T) {
	rows := map[string][]byte{
		"short":                        {1, 1},
		string(make([]byte, 64)):       {1},
		string(make([]byte, 63)) + "a": {7, 1},
		string(make([]byte, 63)) + "b": {1, 1, 1},
	}
	for key, value := range rows {
		s := openStore(t)
		a, b := newAuthor(1), newAuthor(2)
		appendAll(t, s, a.write(t, contact(b.feed(), follow)))
		update(t, openGraph(t, s))
		if err := s.Table("graph").Put([]byte(key), value); err != nil {
			t.Fatal(err)
		}
		edges, _ := update(t, openGraph(t, s)).Edges()
		if len(edges) != 1 || edges[0].To != b.feed() {
			t.Errorf("row %q: %x: graph was not built anew but has %v", key, value, edges)
		}
	}
}

func TestChanges(t *testing.T) {
	s := openStore(t)
	g := openGraph(t, s)
	a, b := newAuthor(1), newAuthor(2)
	version := g.Version()
	changed := g.Changed(version)
	appendAll(t, s, a.write(t, `{"type":"post"}`))
	update(t, g)
	select {
	case <-changed:
		t.Fatal("a post changed the graph")
	default:
	}
	appendAll(t, s, a.write(t, contact(b.feed(), follow)), a.write(t, contact(b.feed(), follow)), a.write(t, contact(b.feed(), block)))
	update(t, g)
	<-changed
	<-g.Changed(version)
	edges, now, ok := g.Since(version)
	if !ok || now != g.Version() || len(edges) != 2 || edges[0].Relation != graph.Following || edges[1].Relation != graph.Blocking {
		t.Fatalf("changes are %v, %d, %v; want a follow and a block", edges, now, ok)
	}
	if edges, _, ok := g.Since(now); !ok || len(edges) != 0 {
		t.Errorf("nothing happened since, but changes are %v, %v", edges, ok)
	}
	if _, _, ok := g.Since(now + 1); ok {
		t.Error("changes since a version of the future")
	}
	if err := g.Rebuild(); err != nil {
		t.Fatal(err)
	}
	<-g.Changed(now)
	if _, _, ok := g.Since(now); ok {
		t.Error("a rebuilt graph claims to know all changes")
	}
}

func TestOldChangesAreForgotten(t *testing.T) {
	s := openStore(t)
	g := update(t, openGraph(t, s))
	a, b := newAuthor(1), newAuthor(2)
	var msgs []*message.Message
	for n := range 2100 {
		msgs = append(msgs, a.write(t, contact(b.feed(), []string{follow, block}[n%2])))
	}
	appendAll(t, s, msgs...)
	update(t, g)
	if _, version, ok := g.Since(0); ok || version != 2100 {
		t.Errorf("all of %d changes are remembered", version)
	}
	edges, _, ok := g.Since(2100 - 1000)
	if !ok || len(edges) != 1000 || edges[999].Seq != 2100 {
		t.Errorf("%d of the last changes are remembered, %v", len(edges), ok)
	}
}

func FuzzParse(f *testing.F) {
	to := newAuthor(99).feed()
	for _, rest := range []string{follow, block, unfollow, `,"flagged":{}`} {
		m := newAuthor(1).write(f, contact(to, rest))
		if _, ok := graph.Parse(&store.Record{Value: m.Value()}); !ok {
			f.Fatalf("seed %s makes no edge", m.Value())
		}
		f.Add(m.Value())
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		edge, ok := graph.Parse(&store.Record{Value: value})
		if ok && edge.Relation == graph.None {
			t.Fatalf("%q makes an edge that says nothing", value)
		}
	})
}
