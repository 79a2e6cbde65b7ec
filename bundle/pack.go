package bundle

import (
	"bytes"
	"crypto/sha256"

	"github.com/klauspost/compress/zstd"

	"github.com/ssbsync/ssbsync/bundle/compact"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// lags are the numbers of newest frames whose size before compression counts
// in packer.size: it does not wait for them, and still does not depend on time.
const (
	lagJSONL   = 4
	lagCompact = 2 // they are larger
)

// packed is a frame as it will stand in the file. The goroutine that
// compresses it owns the fields until done is closed.
type packed struct {
	done   chan struct{}
	bound  int64 // upper bound of len(stored), known from the start
	frame  Frame
	stored []byte
	ids    []refs.Message // of the messages, for codec compact
	lines  uint64         // bytes of the lines of a message frame
}

// packer compresses frames, several at the same time.
type packer struct {
	compact  bool // the codec of message frames
	maxLines int  // bound of the lines of a message frame
	lag      int

	enc     *zstd.Encoder
	slots   chan struct{} // one per running compression
	buffers chan []byte   // for message frames, used again
	scratch chan []byte   // for compressed frames, used again

	frames  []*packed
	settled int   // frames of which the size is known
	exact   int64 // bytes of the settled frames
	open    int64 // bound of the others
}

func newPacker(codec string, workers int) *packer {
	enc, err := zstd.NewWriter(nil, encoderOptions(workers)...)
	if err != nil {
		panic("bundle: " + err.Error()) // the options are constant
	}
	p := &packer{
		maxLines: MaxFrame,
		lag:      lagJSONL,

		enc:     enc,
		slots:   make(chan struct{}, workers),
		buffers: make(chan []byte, workers+1),
		scratch: make(chan []byte, workers),
	}
	if codec == CodecCompact {
		p.compact, p.maxLines, p.lag = true, compact.MaxLines, lagCompact
	}
	return p
}

// pack compresses raw, which it then owns like the ids, to a frame of the given
// kind. It waits while all workers are busy.
func (p *packer) pack(kind Kind, raw []byte, ids []refs.Message) *packed {
	f := &packed{done: make(chan struct{}), bound: int64(maxStored(uint32(len(raw) + 1))), ids: ids}
	f.frame = Frame{Kind: kind}
	p.frames = append(p.frames, f)
	p.open += f.bound
	p.slots <- struct{}{}
	go func() {
		defer func() { <-p.slots }()
		p.compress(f, raw)
		close(f.done)
	}()
	return f
}

func (p *packer) compress(f *packed, raw []byte) {
	contents := raw
	if f.frame.Kind == KindMessages && p.compact {
		contents = compact.Encode(raw, f.ids)
		f.ids = nil
	}
	out := p.enc.EncodeAll(contents, take(p.scratch))
	switch f.frame.Kind {
	case KindMessages:
		f.stored, f.lines = bytes.Clone(out), uint64(len(raw))
		give(p.buffers, raw)
	case KindRanges:
		f.stored = appendSkippable(nil, skipRanges, out)
	default:
		if len(out) == 0 || len(out) >= len(raw) || uint64(len(raw)) > maxRaw(uint32(len(out))) {
			f.frame.Kind = KindStoredBlob
			f.stored = appendSkippable(nil, skipBlob, raw)
		} else {
			f.stored = appendSkippable(nil, skipBlob, out)
		}
	}
	give(p.scratch, out)
	f.frame.Raw = uint32(len(contents))
	f.frame.Stored = uint32(len(f.stored))
	f.frame.Sum = sha256.Sum256(f.stored)
}

// buffer returns an empty buffer for a message frame.
func (p *packer) buffer() []byte { return take(p.buffers) }

// size bounds the bytes of all frames: exact but for the last few.
func (p *packer) size() int64 {
	p.settle(len(p.frames) - p.lag)
	return p.exact + p.open
}

// settle waits for the first n frames.
func (p *packer) settle(n int) {
	for p.settled < n {
		f := p.frames[p.settled]
		<-f.done
		p.exact += int64(len(f.stored))
		p.open -= f.bound
		p.settled++
	}
}

func take(free chan []byte) []byte {
	select {
	case b := <-free:
		return b[:0]
	default:
		return make([]byte, 0, MaxFrame)
	}
}

func give(free chan []byte, b []byte) {
	select {
	case free <- b:
	default:
	}
}
