package main

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// contents writes what messages say, in the proportions of real feeds: votes
// and short posts most of all, some long posts, who follows whom, profiles,
// and private boxes.
type contents struct {
	random *rand.Rand
	words  []string
}

func newContents(random *rand.Rand) contents {
	const words = 6000
	c := contents{random: random}
	syllables := strings.Fields("ba den ti ko ra mu sel vor an pe lin gro üt hé ša no ka riv est lo mir tan be qua zy ol fen dra")
	for range words {
		var word strings.Builder
		for range 1 + random.IntN(4) {
			word.WriteString(syllables[random.IntN(len(syllables))])
		}
		c.words = append(c.words, word.String())
	}
	return c
}

// next is the content of the next message of a feed.
func (c *contents) next(g *generator, feed int) []byte {
	kind := c.random.IntN(100)
	switch {
	case kind < 12:
		return c.box()
	case kind < 22:
		other := g.pairs[c.random.IntN(len(g.pairs))].Feed()
		return fmt.Appendf(nil, `{"type":"contact","contact":"%s","following":%t}`, other, c.random.IntN(8) > 0)
	case kind < 24:
		return fmt.Appendf(nil, `{"type":"about","about":"%s","name":"%s","image":{"link":"%s","size":%d,"type":"image/jpeg"}}`,
			g.pairs[feed].Feed(), c.text(1+c.random.IntN(2)), c.blob(), 1000+c.random.IntN(500_000))
	case kind < 32:
		return fmt.Appendf(nil, `{"type":"gathering-progress","step":%d,"ratio":%g,"note":"%s"}`,
			c.random.IntN(1000), float64(c.random.IntN(1000))/1000, c.text(3))
	case kind < 62 && len(g.recent) > 0:
		return fmt.Appendf(nil, `{"type":"vote","channel":null,"vote":{"link":"%s","value":1,"expression":"Like"}}`, c.earlier(g))
	}
	return c.post(g)
}

func (c *contents) post(g *generator) []byte {
	length := 4 + c.random.IntN(60)
	if c.random.IntN(10) == 0 {
		length *= 10 // at most 640 words of at most 16 bytes: within a message's limit of 8,192 units
	}
	post := fmt.Appendf(nil, `{"type":"post","text":"%s"`, c.text(min(length, 480)))
	if len(g.recent) > 0 && c.random.IntN(2) == 0 {
		root := c.earlier(g)
		post = fmt.Appendf(post, `,"root":"%s","branch":"%s"`, root, c.earlier(g))
	}
	if c.random.IntN(5) == 0 {
		return fmt.Appendf(post, `,"mentions":[{"link":"%s","name":"%s"}]}`, g.pairs[c.random.IntN(len(g.pairs))].Feed(), c.text(1))
	}
	return append(post, `,"mentions":[]}`...)
}

// text is some words, the first ones of the list more often. (No library's
// distribution: the same seed has to give the same text on every processor.)
func (c *contents) text(words int) string {
	var text strings.Builder
	for i := range words {
		switch {
		case i == 0:
		case i%12 == 0:
			text.WriteString(`.\n\n`)
		default:
			text.WriteByte(' ')
		}
		u := c.random.Float64()
		text.WriteString(c.words[int(u*u*u*u*u*float64(len(c.words)))])
	}
	return text.String()
}

// earlier is the id of a message that is there already.
func (c *contents) earlier(g *generator) refs.Message {
	return g.recent[c.random.IntN(len(g.recent))]
}

func (c *contents) blob() refs.Blob { return refs.Blob(c.noise(32)) }

// box looks like a private message: nobody can open it.
func (c *contents) box() []byte {
	text := base64.StdEncoding.EncodeToString(c.noise(400 + c.random.IntN(1600)))
	return fmt.Appendf(nil, `"%s.box"`, text)
}

func (c *contents) noise(n int) []byte {
	noise := make([]byte, n)
	for i := range noise {
		noise[i] = byte(c.random.Uint32())
	}
	return noise
}
