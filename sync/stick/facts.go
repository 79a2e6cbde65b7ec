package stick

import (
	"encoding/binary"
	"fmt"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// facts are what we know of a bundle by its contents, wherever a copy of it
// lies: its manifest and range table, and what reading it told us. The name,
// which is a hash of the manifest, stands for all of it.
type facts struct {
	name     string
	exporter refs.Feed
	network  [32]byte
	codec    string
	frames   []frame // with messages
	blobs    []refs.Blob
}

// frame is one frame of messages. Frames are numbered as in the manifest: 0
// is the range table, then frames of messages, then blobs.
type frame struct {
	stored int64 // bytes in the file
	runs   []run // in the order of the lines
}

// run is a stretch of a feed that a bundle claims to hold.
type run struct {
	bundle.Run

	// agreed: our store holds the message Last, and it is the same one.
	agreed bool
	// proved: we compared each message of the run with our store.
	proved bool
	// junk, when not 0, is the first sequence of the run that is of no use to
	// our store.
	junk int64
	// lie: it is of no use to anybody, for it is not that message, or none.
	// Otherwise it is a valid message that our branch of the feed excludes.
	lie bool
}

// end returns the last sequence of the run that can be of use; First-1 when
// none can.
func (r *run) end() int64 {
	if r.junk != 0 {
		return r.junk - 1
	}
	return r.Last
}

// spoil notes that what stands at seq is of no use.
func (r *run) spoil(seq int64) {
	if r.junk == 0 || seq < r.junk {
		r.junk = seq
	}
}

// manifestFrame is the number in the manifest of the message frame i.
func manifestFrame(i int) int { return i + 1 }

// blobFrame is the number in the manifest of the blob i.
func (f *facts) blobFrame(i int) int { return 1 + len(f.frames) + i }

// factsOf takes the facts from an opened bundle.
func factsOf(r *bundle.Reader) *facts {
	m := r.Manifest()
	f := &facts{name: r.Name(), exporter: m.Exporter, network: m.Network, codec: m.Codec, blobs: r.Blobs()}
	f.frames = make([]frame, r.MessageFrames())
	for i := range f.frames {
		f.frames[i].stored = int64(m.Frames[manifestFrame(i)].Stored)
		claims := r.Runs(i)
		f.frames[i].runs = make([]run, len(claims))
		for k, claim := range claims {
			f.frames[i].runs[k].Run = claim
		}
	}
	return f
}

// Flags of a run in the ledger.
const (
	flagAgreed = 1 << iota
	flagProved
	flagJunk
	flagLie
	knownFlags = 1<<iota - 1
)

// Bounds of facts in the ledger; bundles hold less.
const (
	maxFactFrames = 1 << 18
	maxFactRuns   = 1 << 22
	maxFactBlobs  = 1 << 18
	maxCodecLen   = 16
)

// encode writes facts for the ledger: the feeds once, then the runs.
func (f *facts) encode() []byte {
	number := make(map[refs.Feed]uint64)
	var feeds []refs.Feed
	runs := 0
	for i := range f.frames {
		for j := range f.frames[i].runs {
			feed := f.frames[i].runs[j].Feed
			if _, ok := number[feed]; !ok {
				number[feed] = uint64(len(feeds))
				feeds = append(feeds, feed)
			}
			runs++
		}
	}
	b := make([]byte, 0, 96+32*len(feeds)+16*runs)
	b = append(append(b, f.exporter[:]...), f.network[:]...)
	b = append(binary.AppendUvarint(b, uint64(len(f.codec))), f.codec...)
	b = appendList(b, feeds, func(b []byte, x refs.Feed) []byte { return append(b, x[:]...) })
	b = appendList(b, f.frames, func(b []byte, x frame) []byte {
		b = binary.AppendUvarint(b, uint64(x.stored))
		return appendList(b, x.runs, func(b []byte, r run) []byte { return r.append(b, number[r.Feed]) })
	})
	return appendList(b, f.blobs, func(b []byte, x refs.Blob) []byte { return append(b, x[:]...) })
}

func (r *run) append(b []byte, feed uint64) []byte {
	var flags byte
	if r.agreed {
		flags |= flagAgreed
	}
	if r.proved {
		flags |= flagProved
	}
	if r.junk != 0 {
		flags |= flagJunk
	}
	if r.lie {
		flags |= flagLie
	}
	b = append(b, flags)
	for _, n := range []uint64{feed, uint64(r.First), uint64(r.Last - r.First)} {
		b = binary.AppendUvarint(b, n)
	}
	b = append(b, r.LastID[:]...)
	if r.junk != 0 {
		b = binary.AppendUvarint(b, uint64(r.junk))
	}
	return b
}

// decodeFacts reads what encode wrote.
func decodeFacts(name string, b []byte) (*facts, error) {
	f := &facts{name: name}
	d := &decoder{rest: b}
	d.copy(f.exporter[:])
	d.copy(f.network[:])
	f.codec = string(d.take(int(d.atMost(maxCodecLen))))
	feeds := decodeColumn(d, maxHoldings, 32, (*decoder).feed)
	f.frames = decodeColumn(d, maxFactFrames, 2, func(d *decoder) frame {
		stored := int64(d.number())
		return frame{stored, decodeColumn(d, maxFactRuns, 12, func(d *decoder) run { return d.run(feeds) })}
	})
	f.blobs = decodeColumn(d, maxFactBlobs, 32, (*decoder).blob)
	if d.err == nil && len(d.rest) != 0 {
		d.fail(fmt.Errorf("trailing bytes"))
	}
	if d.err != nil {
		return nil, fmt.Errorf("ledger entry of bundle %s: %v", name, d.err)
	}
	return f, nil
}

func (d *decoder) run(feeds []refs.Feed) (r run) {
	flags := d.take(1)
	feed := d.number()
	r.First = int64(d.number())
	r.Last = r.First + int64(d.number())
	d.copy(r.LastID[:])
	if d.err != nil {
		return run{}
	}
	if flags[0]&^knownFlags != 0 || feed >= uint64(len(feeds)) {
		d.fail(fmt.Errorf("run with flags %d of feed %d", flags[0], feed))
		return run{}
	}
	r.Feed = feeds[feed]
	r.agreed, r.proved = flags[0]&flagAgreed != 0, flags[0]&flagProved != 0
	r.lie = flags[0]&flagLie != 0
	if flags[0]&flagJunk != 0 {
		r.junk = int64(d.number())
	}
	return r
}

// decodeColumn is decodeList without an order.
func decodeColumn[T any](d *decoder, most, size int, entry func(*decoder) T) []T {
	return decodeList(d, "ledger", most, size, entry, nil)
}
