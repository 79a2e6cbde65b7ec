package store_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
)

// growth makes messages of many feeds, mixed, as long as it is asked.
type growth struct {
	authors []grower
	rng     *rand.Rand
	made    int
}

type grower struct {
	pair *keys.Pair
	head message.Head
}

func newGrowth(feeds int) *growth {
	g := &growth{authors: make([]grower, feeds), rng: rand.New(rand.NewPCG(1, 2))}
	for i := range g.authors {
		g.authors[i].pair = author(i)
		g.authors[i].head.Feed = g.authors[i].pair.Feed()
	}
	return g
}

// text is what messages are about: with it they are as long as real ones.
var text = strings.Repeat("Lorem ipsum dolor sit amet, consectetur adipisici elit. ", 7)

// next makes n messages. Signing is all that takes time: the text is in its
// canonical form already.
func (g *growth) next(t testing.TB, n int) []*message.Message {
	raws := make([][]byte, n)
	for i := range raws {
		// Some write much, most little.
		a := &g.authors[int(float64(len(g.authors))*g.rng.Float64()*g.rng.Float64())]
		raws[i] = a.write(text[:g.rng.IntN(len(text))], g.made)
		g.made++
	}
	msgs := make([]*message.Message, n)
	var group sync.WaitGroup
	for start := 0; start < n; start += 2048 {
		group.Go(func() {
			part := raws[start:min(start+2048, n)]
			for i, r := range message.VerifyBatch(part, nil, keys.NewVerifier()) {
				if r.Err != nil {
					t.Error(r.Err)
				}
				msgs[start+i] = r.Message
			}
		})
	}
	group.Wait()
	return msgs
}

// write signs the next message of a feed.
func (a *grower) write(text string, n int) []byte {
	previous := "null"
	if a.head.Seq > 0 {
		previous = strconv.Quote(a.head.ID.String())
	}
	a.head.Seq++
	var b bytes.Buffer
	fmt.Fprintf(&b, "{\n  \"previous\": %s,\n  \"author\": \"%s\",\n  \"sequence\": %d,\n  \"timestamp\": %d,\n  \"hash\": \"sha256\",\n"+
		"  \"content\": {\n    \"type\": \"post\",\n    \"text\": \"%s\"\n  }", previous, a.pair.Feed(), a.head.Seq, 1_500_000_000_000+int64(n), text)
	signed := append(bytes.Clone(b.Bytes()), "\n}"...)
	fmt.Fprintf(&b, ",\n  \"signature\": \"%s\"\n}", signature(a.pair, signed))
	a.head.ID = refs.Message(sha256.Sum256(b.Bytes()))
	return b.Bytes()
}

// BenchmarkMillion measures a store as it grows to the number of messages that
// SSBSYNC_MESSAGES says, of one feed for each hundred (2,000 unless it is set;
// a million takes minutes to make): what appending costs at a tenth of the size
// and at the whole, opening it, reading at random, the size of the file against
// the values in it.
func BenchmarkMillion(b *testing.B) {
	total := 2000
	if n, err := strconv.Atoi(os.Getenv("SSBSYNC_MESSAGES")); err == nil {
		total = max(n, 1000)
	}
	step := min(total/10, 16<<10)
	for range b.N {
		path := filepath.Join(b.TempDir(), "store.db")
		s, err := store.Open(path, store.Options{})
		if err != nil {
			b.Fatal(err)
		}
		g := newGrowth(total / 100)
		var bytes int64
		grow := func(to int) (perMessage float64) {
			for g.made < to {
				msgs := g.next(b, min(step, to-g.made))
				bytes += valueBytes(msgs)
				start := time.Now()
				mustAppend(b, s, store.Stored, msgs...)
				perMessage = float64(time.Since(start).Nanoseconds()) / float64(len(msgs))
			}
			return perMessage
		}
		b.ReportMetric(grow(total/10), "ns/append-at-tenth")
		b.ReportMetric(grow(total), "ns/append-at-whole")
		b.ReportMetric(float64(diskUse(b, path))/float64(bytes), "disk/raw")
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		if s, err = store.Open(path, store.Options{}); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(time.Since(start).Microseconds())/1000, "ms/open")
		readAtRandom(b, s, g)
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// readAtRandom reads by feed and sequence, then the same by id.
func readAtRandom(b *testing.B, s *store.Store, g *growth) {
	const reads = 2000
	all := make([]refs.Message, 0, reads)
	start := time.Now()
	for len(all) < reads {
		a := &g.authors[g.rng.IntN(len(g.authors))]
		if a.head.Seq == 0 {
			continue
		}
		rec, err := s.Get(a.head.Feed, 1+g.rng.Int64N(a.head.Seq))
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, rec.ID)
	}
	b.ReportMetric(float64(time.Since(start).Nanoseconds())/reads, "ns/get")
	start = time.Now()
	for _, id := range all {
		if _, err := s.ByID(id); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(time.Since(start).Nanoseconds())/reads, "ns/by-id")
}

// signature returns a signature as messages hold it.
func signature(pair *keys.Pair, signed []byte) string {
	sig := pair.Sign(signed)
	return base64.StdEncoding.EncodeToString(sig[:]) + ".sig.ed25519"
}
