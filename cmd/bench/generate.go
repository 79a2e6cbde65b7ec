package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// blockSize is how many messages are signed at a time. They refer only to
// messages of earlier blocks, so that the feeds of a block can be signed side by
// side.
const blockSize = 2048

// firstTime is when the made messages begin, in milliseconds since 1970.
const firstTime = 1_500_000_000_000

// generator makes a data set from a seed: the same messages on every machine.
// It holds the heads of the feeds and the ids of the newest messages, so that
// millions of messages need no more memory than thousands.
type generator struct {
	pairs  []*keys.Pair
	heads  []message.Head
	recent []refs.Message // a ring of ids that others refer to
	made   int
	random *rand.Rand
	seed   [32]byte
	writer contents
}

// draft is a message before it is signed.
type draft struct {
	feed    int
	content []byte
	time    float64
	message *message.Message
	err     error
}

func newGenerator(feeds int, seed uint64) *generator {
	g := &generator{pairs: make([]*keys.Pair, feeds), heads: make([]message.Head, feeds)}
	binary.LittleEndian.PutUint64(g.seed[:], seed)
	g.random = rand.New(rand.NewChaCha8(g.seed))
	g.writer = newContents(g.random)
	for i := range g.pairs {
		own := g.seed
		binary.LittleEndian.PutUint64(own[8:], uint64(i)+1)
		g.pairs[i] = keys.FromSeed(own)
		g.heads[i] = message.Head{Feed: g.pairs[i].Feed()}
	}
	return g
}

// generate writes a data set of {key, value, timestamp} lines, in an order in
// which they could have been received.
func generate(ctx context.Context, dst io.Writer, messages, feeds int, seed uint64, progress func(done int)) error {
	if feeds < 1 || messages < feeds {
		return fmt.Errorf("%d messages of %d feeds cannot be: each feed has one at least", messages, feeds)
	}
	g := newGenerator(feeds, seed)
	var line []byte
	for g.made < messages && ctx.Err() == nil {
		drafts := g.plan(min(blockSize, messages-g.made))
		g.sign(drafts)
		for _, d := range drafts {
			if d.err != nil {
				return d.err
			}
			line = appendLine(line[:0], d.message, d.time+1)
			if _, err := dst.Write(line); err != nil {
				return err
			}
		}
		g.take(drafts)
		progress(g.made)
	}
	return ctx.Err()
}

func appendLine(line []byte, m *message.Message, received float64) []byte {
	line = fmt.Appendf(line, `{"key":"%s","value":`, m.ID())
	line = append(line, m.Value()...)
	return fmt.Appendf(line, `,"timestamp":%.0f}`+"\n", received)
}

// plan says what the next messages are.
func (g *generator) plan(n int) []draft {
	drafts := make([]draft, n)
	for i := range drafts {
		at := g.made + i
		feed := at // first each feed once: nobody refers to feeds that are not there
		if at >= len(g.pairs) {
			feed = g.author()
		}
		drafts[i] = draft{feed: feed, time: firstTime + float64(at)*1000}
		drafts[i].content = g.writer.next(g, feed)
	}
	return drafts
}

// author picks whose message comes next: few write much, most write little.
func (g *generator) author() int {
	u := g.random.Float64()
	return int(u * u * float64(len(g.pairs)))
}

// sign makes the messages, on all cores: each feed from its first to its last.
func (g *generator) sign(drafts []draft) {
	ofFeed := map[int][]*draft{}
	for i := range drafts {
		d := &drafts[i]
		ofFeed[d.feed] = append(ofFeed[d.feed], d)
	}
	work := make(chan []*draft, len(ofFeed))
	for _, chain := range ofFeed {
		work <- chain
	}
	close(work)
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for chain := range work {
				for _, d := range chain {
					g.signOne(d)
				}
			}
		})
	}
	group.Wait()
}

// signOne makes a message the next one of its feed.
func (g *generator) signOne(d *draft) {
	head := &g.heads[d.feed]
	if d.message, d.err = message.Create(g.pairs[d.feed], *head, d.content, d.time, nil); d.err == nil {
		*head = message.Head{Feed: head.Feed, Seq: d.message.Seq(), ID: d.message.ID()}
	}
}

// take makes the messages ones that later ones may refer to.
func (g *generator) take(drafts []draft) {
	const ring = 4096
	for _, d := range drafts {
		if len(g.recent) < ring {
			g.recent = append(g.recent, d.message.ID())
		} else {
			g.recent[g.made%ring] = d.message.ID()
		}
		g.made++
	}
}
