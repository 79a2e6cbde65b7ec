package bundle

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"github.com/klauspost/compress/zstd"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// WriterOptions tunes a Writer. The zero value holds the defaults.
type WriterOptions struct {
	Workers int // frames compressed at the same time, 0 = one per processor
	Limits  Limits
}

func (o WriterOptions) withDefaults() WriterOptions {
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	o.Limits = o.Limits.withDefaults()
	return o
}

// Writer builds one bundle in memory, compressed, for its name is known only
// when it is complete, and writes it in one pass. Equal input gives equal
// bytes. A Writer is not safe for concurrent use; it compresses on other
// goroutines, which end by themselves.
type Writer struct {
	signer *keys.Pair
	header Header
	limits Limits
	packer *packer
	err    error    // of the header or the compressor; finished
	sealed [][]byte // the pieces of the finished file, in order

	line []byte         // current message frame
	ids  []refs.Message // of its messages, for codec compact
	runs []feedRun      // of the current message frame
	last uint32         // last sequence of the current feed

	feeds    []refs.Feed            // by first appearance; the last one is current
	known    map[refs.Feed]struct{} // of feeds
	messages uint32
	frames   []messageFrame
	blobs    []blobFrame
	hasBlob  map[refs.Blob]struct{}
	runCount int // in frames, without the current one
}

type messageFrame struct {
	runs []feedRun
	*packed
}

type blobFrame struct {
	id refs.Blob
	*packed
}

// NewWriter returns a Writer for a bundle exported by signer.
func NewWriter(signer *keys.Pair, h Header, o WriterOptions) *Writer {
	o = o.withDefaults()
	if h.Codec == "" {
		h.Codec = CodecJSONL
	}
	w := &Writer{
		signer:  signer,
		header:  h,
		limits:  o.Limits,
		known:   make(map[refs.Feed]struct{}),
		hasBlob: make(map[refs.Blob]struct{}),
	}
	if !slices.Contains(Codecs(), h.Codec) {
		w.err = fmt.Errorf("writing a bundle: unknown codec %q", h.Codec)
	}
	w.packer = newPacker(h.Codec, o.Workers)
	return w
}

// Add adds a message. All messages of a feed must be added one after the
// other, sequences ascending; gaps are allowed. It returns ErrFull when a
// limit of the format is reached.
func (w *Writer) Add(r Record) error {
	if err := w.checkRecord(r); err != nil {
		return err
	}
	if !w.fits(int64(len(r.Value))+1, feedLen+runLen+4) {
		return ErrFull
	}
	if len(w.line)+len(r.Value)+1 > w.packer.maxLines {
		w.cut()
	}
	if !w.isCurrent(r.Feed) {
		w.feeds = append(w.feeds, r.Feed)
		w.known[r.Feed] = struct{}{}
	}
	w.extend(uint32(len(w.feeds)-1), uint32(r.Seq), Prefix(r.ID))
	if w.line == nil && len(w.frames) > 0 { // a small bundle needs no whole buffer
		w.line = w.packer.buffer()
	}
	w.line = append(append(w.line, r.Value...), '\n')
	if w.packer.compact {
		w.ids = append(w.ids, r.ID)
	}
	w.last = uint32(r.Seq)
	w.messages++
	return nil
}

func (w *Writer) isCurrent(f refs.Feed) bool {
	return len(w.feeds) > 0 && w.feeds[len(w.feeds)-1] == f
}

func (w *Writer) checkRecord(r Record) error {
	_, known := w.known[r.Feed]
	current := w.isCurrent(r.Feed)
	switch {
	case w.err != nil:
		return w.err
	case r.Seq < 1 || r.Seq > MaxSeq:
		return fmt.Errorf("adding a message of feed %s: sequence %d", r.Feed, r.Seq)
	case len(r.Value) == 0 || len(r.Value) > MaxMessage || bytes.IndexByte(r.Value, '\n') >= 0:
		return fmt.Errorf("adding message %d of feed %s: %d bytes are not one compact line", r.Seq, r.Feed, len(r.Value))
	case known && !current:
		return fmt.Errorf("adding message %d of feed %s: messages of the feed do not stand together", r.Seq, r.Feed)
	case current && r.Seq <= int64(w.last):
		return fmt.Errorf("adding message %d of feed %s after %d", r.Seq, r.Feed, w.last)
	}
	return nil
}

// extend notes a message in the last run, or in a new one where it leaves a
// gap or begins a frame or a feed.
func (w *Writer) extend(feed, seq uint32, id IDPrefix) {
	if n := len(w.runs); n > 0 && w.runs[n-1].feed == feed && w.runs[n-1].last+1 == seq {
		w.runs[n-1].last, w.runs[n-1].lastID = seq, id
		return
	}
	w.runs = append(w.runs, feedRun{feed, seq, seq, id})
}

// cut ends the current message frame and has it compressed.
func (w *Writer) cut() {
	if len(w.line) == 0 {
		return
	}
	w.frames = append(w.frames, messageFrame{w.runs, w.packer.pack(KindMessages, w.line, w.ids)})
	w.runCount += len(w.runs)
	w.runs, w.line, w.ids = nil, nil, nil
}

// AddBlob adds a blob, at any time. It returns ErrFull when a limit of the
// format is reached. The data may be changed after it returned.
func (w *Writer) AddBlob(id refs.Blob, data []byte) error {
	switch _, twice := w.hasBlob[id]; {
	case w.err != nil:
		return w.err
	case twice:
		return fmt.Errorf("adding blob %s for the second time", id)
	case int64(len(data)) > w.limits.Blob:
		return fmt.Errorf("adding blob %s: %d bytes, more than %d", id, len(data), w.limits.Blob)
	case sha256.Sum256(data) != id:
		return fmt.Errorf("adding blob %s: the data have another hash", id)
	case !w.fits(int64(len(data))+skipHeader, blobLen):
		return ErrFull
	}
	w.hasBlob[id] = struct{}{}
	w.blobs = append(w.blobs, blobFrame{id, w.packer.pack(KindBlob, bytes.Clone(data), nil)})
	return nil
}

// fits reports whether the bundle stays within the limits when it grows by
// contents and table bytes in at most one more frame.
func (w *Writer) fits(contents, table int64) bool {
	frames := w.frameCount() + 1
	return frames <= maxFrames &&
		w.tableLen()+table <= MaxRangeTable &&
		w.sizeWith(frames, contents, table) <= w.limits.File
}

// frameCount returns the number of frames in the manifest if the bundle were
// finished now.
func (w *Writer) frameCount() int {
	n := 1 + len(w.frames) + len(w.blobs)
	if len(w.line) > 0 {
		n++
	}
	return n
}

// tableLen returns the size of the range table if the bundle were finished
// now.
func (w *Writer) tableLen() int64 {
	return rangesHead + feedLen*int64(len(w.feeds)) + 4*int64(len(w.frames)+1) +
		runLen*int64(w.runCount+len(w.runs)) + blobLen*int64(len(w.blobs))
}

// sizeWith bounds the size of the file with so many frames, and contents and
// table bytes more.
func (w *Writer) sizeWith(frames int, contents, table int64) int64 {
	return 2*manifestFrameSize(frames) + seekTableSize(frames) +
		int64(maxStored(uint32(w.tableLen()+table))) +
		w.packer.size() + int64(maxStored(uint32(int64(len(w.line))+contents+1)))
}

// Size returns an upper bound of the size of the finished file. It depends
// only on what was added, not on how far compression got: of the last few
// frames it counts the size before compression.
func (w *Writer) Size() int64 { return w.sizeWith(w.frameCount(), 0, 0) }

// Settle ends the current message frame and waits until everything is
// compressed: Size is exact then, but for the range table. A frame that ends
// early compresses less well.
func (w *Writer) Settle() {
	if w.err == nil {
		w.cut()
		w.packer.settle(len(w.packer.frames))
	}
}

// Messages returns the number of messages added.
func (w *Writer) Messages() int { return int(w.messages) }

// Blobs returns the number of blobs added.
func (w *Writer) Blobs() int { return len(w.blobs) }

var errFinished = errors.New("bundle was finished before")
var errOpen = errors.New("writing a bundle that is not sealed")
var errEmpty = errors.New("finishing a bundle without messages or blobs")

// encoderOptions are what all frames are compressed with. The default level
// with a window of one frame was measured best: the next level costs twice
// the time for 1.3 % less.
func encoderOptions(workers int) []zstd.EOption {
	return []zstd.EOption{
		zstd.WithEncoderLevel(zstd.SpeedDefault),
		zstd.WithEncoderConcurrency(workers),
		zstd.WithWindowSize(MaxFrame),
		zstd.WithSingleSegment(true), // else small frames come without content size
		zstd.WithEncoderCRC(true),
	}
}
