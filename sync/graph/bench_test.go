package graph_test

import (
	"context"
	"testing"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/graph"
)

const (
	benchPeople  = 500
	benchFollows = 20 // of each
	benchPosts   = 20
)

// benchStore holds posts and a follow graph.
func benchStore(b *testing.B) (*store.Store, []*author) {
	s := openStore(b)
	var authors []*author
	for n := range benchPeople {
		authors = append(authors, newAuthor(n))
	}
	for n, a := range authors {
		var msgs []*message.Message
		for i := range benchFollows {
			msgs = append(msgs, a.write(b, contact(authors[(n*3+i*i)%benchPeople].feed(), follow)))
		}
		for range benchPosts {
			msgs = append(msgs, a.write(b, `{"type":"post","text":"a post that says something about a contact"}`))
		}
		appendAll(b, s, msgs...)
	}
	return s, authors
}

func BenchmarkGraph(b *testing.B) {
	s, authors := benchStore(b)
	g := openGraph(b, s)
	perMessage := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(s.Last()), "ns/message")
	}
	b.Run("Update", func(b *testing.B) {
		for b.Loop() {
			if err := g.Rebuild(); err != nil {
				b.Fatal(err)
			}
			if err := g.Update(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
		perMessage(b)
	})
	edges, _ := g.Edges()
	b.Run("Open", func(b *testing.B) {
		for b.Loop() {
			if _, err := graph.Open(s); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(edges)), "ns/edge")
	})
	b.Run("Hops", func(b *testing.B) {
		for b.Loop() {
			g.Hops(authors[0].feed(), 3)
		}
		b.ReportMetric(float64(len(g.Hops(authors[0].feed(), 3))), "feeds")
	})
}
